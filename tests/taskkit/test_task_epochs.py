"""The fence: whoever has been replaced is not obeyed any more, however late the request arrives."""

import asyncio
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from lockstep.taskkit import MemoryStore, SqliteStore, Task, TaskService
from tests.taskkit.conversation import conversation

ACTIONS = ("initialize", "start", "publish", "cancel", "get_status")


def gated(store: Any) -> tuple[TaskService, Event]:
    """Make a service whose staging waits for an event."""
    service, gate = TaskService("gated", store=store, coordinator_url=""), Event()

    @service.stage
    def stage(task: Task) -> None:
        while not gate.wait(0.005):
            task.progress(40)

    return service, gate


@pytest.mark.parametrize("state", ["pending", "running", "staged", "published", "canceled"])
def test_a_lower_epoch_is_refused_in_every_state(serve: Any, tmp_path: Path, state: str) -> None:
    """Whatever it asks: 409, a sentence and the task's epoch, and the task is as it was."""
    service, gate = gated(SqliteStore(tmp_path / "tasks.db"))
    if state in {"staged", "published"}:
        gate.set()

    async def scene() -> None:
        async with serve(service) as url, conversation(url) as talk:
            await talk.bring("TA_1", to=state)
            assert (await talk.ask("get_status", "TA_1", epoch=7))[1]["epoch"] == 7
            for action in ACTIONS:
                status, body = await talk.ask(action, "TA_1", epoch=6)
                said = "a coordinator of epoch 7 has taken over task TA_1; epoch 6 has nothing to say any more"
                assert (status, body) == (409, {"message": said, "epoch": 7})
            _, body = await talk.ask("get_status", "TA_1")
            assert (body["state"], body["epoch"]) == (state, 7)

    asyncio.run(scene())


def test_the_highest_epoch_counts_whatever_it_came_with(serve: Any) -> None:
    """A question for the status raises the fence, and so does an action that is refused."""
    service, _ = gated(MemoryStore())

    async def scene() -> None:
        async with serve(service) as url, conversation(url) as talk:
            assert (await talk.ask("get_status", epoch=9))[0] == 404
            status, body = await talk.ask("initialize")
            assert (status, "epoch" in body) == (200, False)
            seen = []
            for action, epoch in (("initialize", 0), ("get_status", 3), ("publish", 5), ("get_status", 5)):
                status, body = await talk.ask(action, epoch=epoch)
                seen.append((status, body.get("epoch")))
            assert seen == [(200, 0), (200, 3), (400, None), (200, 5)]
            assert (await talk.ask("start", epoch=4))[0] == 409
            assert (await talk.ask("start"))[1]["state"] == "running"

    asyncio.run(scene())


def test_a_higher_epoch_does_not_disturb_the_work(serve: Any) -> None:
    """The work goes on under it, and the task that it ends in has the epoch."""
    store = MemoryStore()
    service, gate = gated(store)

    async def scene() -> None:
        async with serve(service) as url, conversation(url) as talk:
            await talk.ask("initialize", epoch=1)
            await talk.ask("start", epoch=1)
            assert (await talk.ask("get_status", epoch=2))[1]["state"] == "running"
            assert (await talk.ask("get_status", epoch=1))[0] == 409
            gate.set()
            assert (await talk.until("staged"))["epoch"] == 2
            kept = store.get("TA_00000001")
            assert kept is not None
            assert (kept.attempt, kept.epoch) == (1, 2)

    asyncio.run(scene())


def test_the_fence_outlives_the_process(serve: Any, tmp_path: Path) -> None:
    """After a restart the replaced coordinator is refused as before, while the work goes on."""

    async def scene() -> None:
        service, _ = gated(SqliteStore(tmp_path / "tasks.db"))
        async with serve(service) as url, conversation(url) as talk:
            await talk.bring("TA_1", to="running")
            await talk.ask("get_status", "TA_1", epoch=4)
        service, gate = gated(SqliteStore(tmp_path / "tasks.db"))
        async with serve(service) as url, conversation(url) as talk:
            assert (await talk.ask("cancel", "TA_1", epoch=3))[0] == 409
            gate.set()
            assert (await talk.until("staged", "TA_1"))["epoch"] == 4

    asyncio.run(scene())


def test_epochs_of_tasks_have_nothing_to_do_with_each_other(serve: Any) -> None:
    """The fence of one task does not keep out those who speak of another."""
    service, _ = gated(MemoryStore())

    async def scene() -> None:
        async with serve(service) as url, conversation(url) as talk:
            await talk.ask("initialize", "TA_1", epoch=8)
            assert (await talk.ask("initialize", "TA_2", epoch=2))[1]["epoch"] == 2

    asyncio.run(scene())
