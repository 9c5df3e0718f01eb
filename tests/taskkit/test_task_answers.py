"""The table of answers: every action in every state, over HTTP, and what it may never say."""

import asyncio
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from lockstep.protocol.messages import ACCEPTED, Action, Refusal
from lockstep.protocol.states import TASK_MOVES, TaskState
from lockstep.taskkit import MemoryStore, SqliteStore, Task, TaskService, TaskStore
from lockstep.taskkit.table import ANSWERS
from tests.taskkit.conversation import Conversation, conversation

STATES = ["unknown", "pending", "running", "staged", "publishing", "published", "failed", "canceled"]

EXPECTED = {
    "initialize": "200 pending|200 pending|200 running|200 staged|200 publishing|200 published|400|400",
    "start": "404|200 running|200 running|200 staged|200 publishing|200 published|400|400",
    "publish": "404|400|400|200 publishing|200 publishing|200 published|400|400",
    "cancel": "404|200 canceled|200 canceled|200 canceled|200 canceled|200 published|200 failed|200 canceled",
    "get_status": "404|200 pending|200 running|200 staged|200 publishing|200 published|200 failed|200 canceled",
}


def walking_service(store: TaskStore) -> tuple[TaskService, Event]:
    """Make a service whose tasks stay in the state that their study names, until the event is set."""
    service = TaskService("walked", store=store, coordinator_url="")
    go_on = Event()

    @service.stage
    def stage(task: Task) -> None:
        if "SD_failed" in task.studies:
            raise ValueError("the study is broken")
        while "SD_running" in task.studies and not go_on.wait(0.01):
            task.check()

    @service.publish
    def publish(task: Task) -> None:
        while "SD_publishing" in task.studies and not go_on.wait(0.01):
            task.check()

    return service, go_on


async def answer_in(talk: Conversation, action: str, state: str) -> str:
    task = f"TA_{action}_{state}"
    if state != "unknown":
        await talk.bring(task, to=state, studies=[f"SD_{state}"], urls=[f"http://data.test/{state}"])
    status, body = await talk.ask(action, task)
    if status != 200:
        assert list(body) == ["message"], body
        assert len(body["message"].split()) > 5, body
        return str(status)
    assert (task, task, "RE_00000001", "walked") == (
        body["task_id"],
        body["kf_id"],
        body["release_id"],
        body["name"],
    )
    _, after = await talk.ask("get_status", task)
    assert body["state"] == after["state"] or (body["state"], after["state"]) in {
        ("running", "staged"),
        ("publishing", "published"),
    }
    return f"{status} {body['state']}"


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_every_action_in_every_state(serve: Any, tmp_path: Path, kind: str) -> None:
    """Walked over HTTP, the service answers as the table written down here says."""
    service, go_on = walking_service(MemoryStore() if kind == "memory" else SqliteStore(tmp_path / "tasks.db"))

    async def walk() -> dict[str, str]:
        async with serve(service) as url, conversation(url) as talk:
            walked = {
                action: "|".join([await answer_in(talk, action, state) for state in STATES]) for action in EXPECTED
            }
            go_on.set()
            return walked

    assert asyncio.run(walk()) == EXPECTED


def test_every_move_of_the_table_is_a_move_of_the_protocol() -> None:
    """The table has a word for each action in each state that a service keeps, and moves only where tasks can move."""
    kept = {None, *TaskState} - {TaskState.WAITING, TaskState.REJECTED}
    for action in Action:
        assert kept == set(ANSWERS[action])
        for state, after in ANSWERS[action].items():
            if not isinstance(after, Refusal) and after is not state:
                assert after in TASK_MOVES[state or TaskState.WAITING]


def test_a_repeated_action_is_never_refused_before_the_end() -> None:
    """After an action was done, the same action is answered by a state that the coordinator takes for consent."""
    for action, states in ACCEPTED.items():
        for state in states:
            assert not isinstance(ANSWERS[action][state], Refusal)
            assert ANSWERS[action][state] in states


def test_what_a_task_shows(serve: Any) -> None:
    """An answer holds who, where and how far, and after a failure why."""
    service, _ = walking_service(MemoryStore())

    async def scene() -> None:
        async with serve(service) as url, conversation(url) as talk:
            await talk.bring("TA_good", to="staged", studies=["SD_1"], urls=["http://data.test/1"])
            await talk.bring("TA_bad", to="failed", studies=["SD_failed"], urls=["http://data.test/1"])
            shown = {"release_id": "RE_00000001", "name": "walked"}
            good = {"task_id": "TA_good", "kf_id": "TA_good", **shown, "state": "staged", "progress": 100}
            bad = {"task_id": "TA_bad", "kf_id": "TA_bad", **shown, "state": "failed", "progress": 0}
            assert (await talk.ask("get_status", "TA_good")) == (200, good)
            error = {"error": "ValueError: the study is broken"}
            assert (await talk.ask("get_status", "TA_bad")) == (200, bad | error)
            async with talk.web.get(f"{url}/status") as answer:
                expected = {"name": "walked", "message": "ready to take part in releases", "version": "0.0.0"}
                assert await answer.json() == expected

    asyncio.run(scene())


def test_a_task_belongs_to_one_release(serve: Any) -> None:
    """Whoever speaks of a task under another release is told so, and nothing changes."""
    service, _ = walking_service(MemoryStore())

    async def scene() -> None:
        async with serve(service) as url, conversation(url) as talk:
            await talk.ask("initialize")
            for action in EXPECTED:
                status, body = await talk.ask(action, release="RE_00000002")
                assert status == 400
                assert body["message"] == "task TA_00000001 belongs to release RE_00000001, not to RE_00000002"
            assert (await talk.ask("get_status"))[1]["state"] == "pending"

    asyncio.run(scene())


@pytest.mark.rule("K18", "K19")
def test_a_repetition_under_the_same_key_is_the_same_success(serve: Any) -> None:
    """The coordinator's key is that of the action on the task: sent at once or later, the effect is had once."""
    ran: list[str] = []
    service = TaskService("repeated", store=MemoryStore(), coordinator_url="")

    @service.stage
    def stage(task: Task) -> None:
        ran.append(f"stage {task.id}")

    @service.publish
    def publish(task: Task) -> None:
        ran.append(f"publish {task.id}")

    async def repeated(talk: Conversation, action: str, *states: str) -> None:
        body = {"action": action, "task_id": "TA_1", "release_id": "RE_00000001"}

        async def once() -> None:
            headers = {"Idempotency-Key": f"TA_1:{action}"}
            async with talk.web.post(f"{talk.url}/tasks", json=body, headers=headers) as answer:
                assert (answer.status, (await answer.json())["state"] in states) == (200, True)

        await asyncio.gather(*(once() for _ in range(5)))
        await talk.until(states[-1], "TA_1")
        await once()

    async def scene() -> None:
        async with serve(service) as url, conversation(url) as talk:
            await repeated(talk, "initialize", "pending")
            await repeated(talk, "start", "running", "staged")
            await repeated(talk, "publish", "publishing", "published")
            await repeated(talk, "initialize", "published")
            await repeated(talk, "cancel", "published")

    asyncio.run(scene())
    assert ran == ["stage TA_1", "publish TA_1"]
