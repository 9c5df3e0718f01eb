"""Callbacks: what a service may report about its task, and what it is answered."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import httpx
import pytest

from lockstep.coordinator.core.callers import LOCAL
from lockstep.coordinator.core.errors import Conflict, Invalid
from lockstep.coordinator.core.model import Delivery, EventType
from lockstep.protocol.messages import Action, Answer, Refusal, Silence
from lockstep.protocol.states import SETTLED_RELEASES, SETTLED_TASKS, TASK_MOVES, ReleaseState, TaskState
from tests.rules.rest import rest
from tests.scripted import Coordinator, Says, Service, in_simulation, on_loopback
from tests.simulation.loop import run
from tests.table import Table, task_id


@dataclass
class Reporting:
    """A release with two services at work, the first of which reports over REST."""

    coordinator: Coordinator
    client: httpx.AsyncClient
    release_id: str
    task: dict[str, Any]

    @property
    def path(self) -> str:
        return f"/tasks/{self.task['kf_id']}"

    async def report(self, **body: Any) -> tuple[int, Any]:
        answer = await self.client.patch(self.path, json=body)
        return answer.status_code, answer.json()

    async def everything(self) -> tuple[Any, Any]:
        """All that a report could change."""
        release = await self.client.get(f"/releases/{self.release_id}")
        return release.json(), (await self.client.get("/events", params={"limit": 100})).json()

    async def is_refused(self, status: int, field: str, **body: Any) -> str:
        """See that a report is answered with a status and a sentence, and that nothing changes."""
        before = await self.everything()
        seen, said = await self.report(**body)
        assert (seen, list(said)) == (status, [field]), f"{body} was answered {seen} {said}"
        assert before == await self.everything()
        sentence: str = said[field] if isinstance(said[field], str) else said[field][0]
        return sentence


@asynccontextmanager
async def reporting() -> AsyncIterator[Reporting]:
    services = Service("A", work_s=1000), Service("B", work_s=1000)
    async with on_loopback(*services) as coordinator, rest(coordinator) as client:
        release_id = await coordinator.create()
        await coordinator.until(release_id, "running")
        await coordinator.wait(release_id, lambda: all_in(coordinator, release_id, "running"))
        tasks = (await client.get(f"/releases/{release_id}")).json()["tasks"]
        task = next(task for task in tasks if task["service_name"] == "A")
        yield Reporting(coordinator, client, release_id, task)


async def all_in(coordinator: Coordinator, release_id: str, state: str) -> bool:
    return set((await coordinator.states(release_id)).values()) == {state}


@pytest.mark.rule("B1")
@pytest.mark.parametrize("path", ["/tasks/{task}", "/releases/{release}/tasks/{task}"])
def test_both_addresses_take_a_report(path: str) -> None:
    async def life() -> None:
        async with reporting() as it:
            address = path.format(release=it.release_id, task=it.task["kf_id"])
            answer = await it.client.patch(address, json={"state": "staged"})
            assert (answer.status_code, answer.json()["state"], answer.json()["progress"]) == (200, "staged", 100)
            assert (await it.coordinator.states(it.release_id))["A"] == "staged"

    asyncio.run(life())


@pytest.mark.rule("B1")
def test_a_task_is_reported_under_its_own_release_only() -> None:
    async def life() -> None:
        async with reporting() as it:
            before = await it.everything()
            for path in (f"/releases/RE_00000000{it.path}", "/tasks/TA_00000000", "/tasks/x"):
                answer = await it.client.patch(path, json={"state": "staged"})
                assert (path, answer.status_code) == (path, 404)
            assert before == await it.everything()

    asyncio.run(life())


@pytest.mark.rule("B2")
def test_only_state_and_progress_can_be_reported() -> None:
    """Whatever else a service sends with them stays as it is."""

    async def life() -> None:
        async with reporting() as it:
            assert (await it.report(progress="40%"))[1]["progress"] == 40
            assert (await it.report(state="running", progress=50))[1]["progress"] == 50
            before = (await it.client.get(it.path)).json()
            others = {"kf_id": "TA_00000000", "release": "/releases/RE_00000000", "created_at": None, "last_error": "x"}
            assert (200, before) == await it.report(**others, service_name="mine", attempts=9, task_service="/x")
            assert (200, before) == await it.report()

    asyncio.run(life())


@pytest.mark.rule("B3", "W6")
@pytest.mark.parametrize(
    ("word", "state"),
    [("staged", "staged"), ("failed", "failed"), ("cancelled", "canceled"), ("cancelling", "canceled")],
)
def test_a_move_that_the_table_has_is_taken(word: str, state: str) -> None:
    async def life() -> None:
        async with reporting() as it:
            status, task = await it.report(state=word)
            assert (status, task["state"]) == (200, state)
            events = await it.coordinator.messages(it.release_id)
            assert f"task {it.task['kf_id']} changed from running to {state}" in events

    asyncio.run(life())


@pytest.mark.rule("B4")
def test_a_repeated_report_changes_nothing() -> None:
    """Not while the task is at work, not when it is staged, and not when the release has ended."""

    async def life() -> None:
        async with reporting() as it:
            for word in ("running", "staged", "canceled"):
                await it.report(state=word)
                if word == "canceled":
                    await it.coordinator.until(it.release_id, "canceled")
                before = await it.everything()
                status, task = await it.report(state=word)
                assert (status, task["state"], before) == (200, word, await it.everything())

    asyncio.run(life())


@pytest.mark.rule("B4")
@pytest.mark.parametrize("state", TaskState)
def test_no_state_minds_to_be_repeated(state: TaskState) -> None:
    table = Table("AB")
    table.publishing()
    table.change_task("A", state=state)
    before = table.snapshot
    table.call_back("A", state)
    assert before.tasks == table.snapshot.tasks


@pytest.mark.rule("B5")
def test_a_report_that_is_wrong_is_refused() -> None:
    """With a sentence that names what is wrong and what would be right; nothing changes."""

    async def life() -> None:
        async with reporting() as it:
            for word in ("waiting", "pending", "publishing", "published", "rejected"):
                said = await it.is_refused(400, "state", state=word)
                assert said.startswith(f"Task {it.task['kf_id']} ")
                assert word in said
            odd: tuple[object, ...] = ("bogus", "", "initializing", 7, True, ["staged"], {}, "staged\0", "x" * 5000)
            for state in odd:
                said = await it.is_refused(400, "state", state=state)
                assert "the states are waiting, pending, running" in said
                assert len(said) < 300
            assert await it.is_refused(400, "state", state=None) == "This field may not be null."

    asyncio.run(life())


@pytest.mark.rule("A14", "B5")
def test_a_progress_that_is_none_is_refused() -> None:
    """Also together with a state that would be fine."""

    async def life() -> None:
        async with reporting() as it:
            odd: list[object] = ["half", "", "%", "1_0", "NaN", True, [50], {}, "5" * 400, [[[[["deep"]]]]]]
            for progress in odd:
                assert "is not a progress" in await it.is_refused(400, "progress", progress=progress)
                await it.is_refused(400, "progress", state="staged", progress=progress)
            before = await it.everything()
            for written in (b"NaN", b"Infinity", b"1e999", b"[" * 900 + b"]" * 900):
                body = b'{"progress": ' + written + b"}"
                answer = await it.client.patch(it.path, content=body, headers={"Content-Type": "application/json"})
                assert (written[:9], answer.status_code) == (written[:9], 400)
            assert before == await it.everything()

    asyncio.run(life())


@pytest.mark.rule("A13")
def test_progress_is_taken_in_every_form() -> None:
    async def life() -> None:
        async with reporting() as it:
            for written, percent in (("50%", 50), (60, 60), ("70", 70), (80.9, 80), (None, 0), (150, 100), (-1, 0)):
                status, task = await it.report(progress=written)
                assert (status, written, task["progress"]) == (200, written, percent)
            huge = b'{"progress": ' + b"9" * 400 + b"}"
            answer = await it.client.patch(it.path, content=huge, headers={"Content-Type": "application/json"})
            assert (answer.status_code, answer.json()["progress"]) == (200, 100)

    asyncio.run(life())


@pytest.mark.rule("B5")
@pytest.mark.parametrize("said", TaskState)
@pytest.mark.parametrize("state", sorted(set(TaskState) - SETTLED_TASKS))
def test_every_move_is_taken_or_refused_by_the_table(state: TaskState, said: TaskState) -> None:
    """Of every state to every state, after every action has been marked as sent in its time."""
    told = {
        TaskState.WAITING: Action.INITIALIZE,
        TaskState.PENDING: Action.START,
        TaskState.RUNNING: Action.START,
        TaskState.STAGED: Action.PUBLISH,
        TaskState.PUBLISHING: Action.PUBLISH,
    }
    table = Table("AB")
    table.publishing()
    table.change_task("A", state=state, told=told[state])
    overtakes = {(TaskState.PENDING, TaskState.STAGED), (TaskState.STAGED, TaskState.PUBLISHED)}
    if said is state or said in TASK_MOVES[state] or (state, said) in overtakes:
        table.call_back("A", said)
        assert table.states["A"] is said
    else:
        before = table.snapshot
        with pytest.raises(Invalid):
            table.call_back("A", said)
        assert before == table.snapshot


@pytest.mark.rule("B6")
def test_what_is_settled_takes_no_report() -> None:
    """409 for a task that has ended, while its release goes on and afterwards; nothing changes."""

    async def life() -> None:
        async with reporting() as it:
            await it.report(state="failed")
            await it.coordinator.until(it.release_id, "failed")
            for body in ({"state": "staged"}, {"state": "canceled"}, {"progress": 5}, {"state": "running"}, {}):
                assert it.task["kf_id"] in await it.is_refused(409, "detail", **body)

    asyncio.run(life())


@pytest.mark.rule("B6")
@pytest.mark.parametrize("settled", sorted(SETTLED_RELEASES))
@pytest.mark.parametrize("state", sorted(SETTLED_TASKS))
def test_a_settled_task_takes_no_report(state: TaskState, settled: ReleaseState) -> None:
    table = Table("A")
    table.publishing()
    table.change_task("A", state=state)
    for release in (ReleaseState.PUBLISHING, ReleaseState.CANCELING, settled):
        table.release = replace(table.release, state=release)
        before = table.snapshot
        for said in set(TaskState) - {state}:
            with pytest.raises(Conflict):
                table.call_back("A", said)
        with pytest.raises(Conflict):
            table.call_back("A", progress=7)
        assert before == table.snapshot


@pytest.mark.rule("B6")
@pytest.mark.parametrize("settled", sorted(SETTLED_RELEASES))
@pytest.mark.parametrize("state", sorted(set(TaskState) - SETTLED_TASKS))
def test_a_settled_release_takes_no_report(state: TaskState, settled: ReleaseState) -> None:
    """Not even about a task that could go on; there should be none."""
    table = Table("A")
    table.publishing()
    table.change_task("A", state=state)
    table.release = replace(table.release, state=settled)
    before = table.snapshot
    for said in (TaskState.FAILED, TaskState.CANCELED, None):
        with pytest.raises(Conflict):
            table.call_back("A", said, 7)
    assert before == table.snapshot


@pytest.mark.rule("B7")
def test_the_release_follows_in_the_same_transaction() -> None:
    """Its state has changed when the last report has been answered, though no engine runs any more."""

    async def life() -> None:
        async with reporting() as it:
            await it.coordinator.stop()
            view = await it.coordinator.store.release(it.release_id)
            for task, expected in zip(view.tasks, ("running", "staged"), strict=True):
                answer = await it.client.patch(f"/tasks/{task.kf_id}", json={"state": "staged"})
                release = (await it.client.get(f"/releases/{it.release_id}")).json()
                assert (answer.status_code, release["state"]) == (200, expected)

    asyncio.run(life())


@pytest.mark.rule("B8", "B9")
def test_callbacks_that_overtake_the_answer_are_not_lost() -> None:
    """Twelve services report the end of each step before they answer, and say `running` and `publishing` after it."""

    async def life() -> None:
        services = [Service(f"service {n}") for n in range(12)]
        async with on_loopback(*services) as coordinator:

            def overtaking(service: Service, state: str, answer: str) -> Any:
                async def tell_then_answer() -> Says:
                    release_id = service.asked[-1].body["release_id"]
                    await coordinator.call_back(release_id, service, state=state, progress=100)
                    return Says(body={"state": answer, "progress": 0})

                return tell_then_answer

            for service in services:
                service.script = {
                    "start": [overtaking(service, "staged", "running")],
                    "publish": [overtaking(service, "published", "publishing")],
                }
            release_id = await coordinator.staged()
            await coordinator.commands.publish(release_id, LOCAL)
            await coordinator.until(release_id, "published")
            assert set((await coordinator.states(release_id)).values()) == {"published"}
        assert [service.actions(polls=True) for service in services] == [["initialize", "start", "publish"]] * 12

    asyncio.run(life())


@pytest.mark.rule("B8")
@pytest.mark.parametrize(
    ("said", "steps"),
    [
        (TaskState.STAGED, ["pending", "running", "staged"]),
        (TaskState.PUBLISHED, ["staged", "publishing", "published"]),
    ],
)
def test_the_end_of_an_action_is_taken_once_it_is_marked_as_sent(said: TaskState, steps: list[str]) -> None:
    """Both steps have their event, as if the answer had come first."""
    table = Table("AB")
    table.initialized() if said is TaskState.STAGED else table.told_to_publish()
    told = len(table.events)
    table.call_back("A", said)
    assert table.states["A"] is said
    assert table.task("A").delivery is Delivery.ANSWERED
    moves = [f"task {task_id('A')} changed from {a} to {b}" for a, b in pairwise(steps)]
    assert moves == table.messages[told:]


@pytest.mark.rule("B9")
@pytest.mark.parametrize("reply", [Answer(TaskState.RUNNING, 10), Answer(), Answer(TaskState.STAGED), Silence("reset")])
def test_the_answer_after_a_callback_moves_nothing_back(reply: Answer | Silence) -> None:
    """And a lost one is not asked for again."""
    table = Table("AB")
    table.initialized()
    table.call_back("A", TaskState.STAGED)
    told = len(table.events)
    assert table.hear(Action.START, {"A": reply}) == {}
    task = table.task("A")
    assert (task.state, task.progress, task.attempts, task.last_error) == (TaskState.STAGED, 100, 0, "")
    assert table.messages[told:] == []


@pytest.mark.rule("B9")
@pytest.mark.parametrize(
    ("action", "said"),
    [
        (Action.INITIALIZE, TaskState.PENDING),
        (Action.START, TaskState.RUNNING),
        (Action.PUBLISH, TaskState.PUBLISHING),
    ],
)
def test_no_answer_is_missed_after_a_callback(action: Action, said: TaskState) -> None:
    """The service has told by itself that the action arrived: the answer that is lost then is not a lost one."""
    table = Table("AB", policy=replace(Table().policy, attempts=1))
    go: dict[Action, Callable[[], object]] = {
        Action.INITIALIZE: table.decide,
        Action.START: table.initialized,
        Action.PUBLISH: table.told_to_publish,
    }
    go[action]()
    table.call_back("A", said)
    sent = table.hear(action, {"A": Silence("reset")})
    assert (table.states["A"], table.task("A").attempts) == (said, 0)
    assert sent == ({} if action is Action.INITIALIZE else {"A": Action.GET_STATUS})


@pytest.mark.rule("B10")
def test_nothing_is_reported_before_it_was_asked_for() -> None:
    """What only an action brings about is refused until that action has been marked as sent."""
    table = Table("A")
    refused = [(TaskState.PENDING, "initialize"), (TaskState.REJECTED, "initialize")]
    for said, action in refused:
        with pytest.raises(Invalid, match=f"{action} has not been sent"):
            table.call_back("A", said)
    table.decide()
    table.call_back("A", TaskState.PENDING)
    for said in (TaskState.RUNNING, TaskState.STAGED):
        with pytest.raises(Invalid, match="start has not been sent"):
            table.call_back("A", said)
    table.hear(Action.INITIALIZE, {"A": Answer()})
    table.call_back("A", TaskState.STAGED)
    for said in (TaskState.PUBLISHING, TaskState.PUBLISHED):
        with pytest.raises(Invalid, match="publish has not been sent"):
            table.call_back("A", said)
    table.hear(Action.START, {"A": Answer()})
    table.publish()
    with pytest.raises(Invalid, match="publish has not been sent"):
        table.call_back("A", TaskState.PUBLISHED)
    table.decide()
    table.call_back("A", TaskState.PUBLISHED)
    assert table.state is ReleaseState.PUBLISHED


@pytest.mark.rule("B11", "F2", "F17")
@pytest.mark.parametrize(("word", "ending"), [("failed", "failed"), ("canceled", "canceled")])
def test_a_service_that_reports_its_end_ends_the_release(word: str, ending: str) -> None:
    """A failure has an event with its cause; the other service is told to cancel."""

    async def life() -> None:
        bad, good = Service("bad", work_s=1000), Service("good", work_s=1000)
        async with in_simulation(bad, good) as coordinator:
            release_id = await coordinator.create()
            await coordinator.marked(release_id, "start")
            await asyncio.sleep(1)
            await coordinator.call_back(release_id, bad, state=word)
            await coordinator.until(release_id, ending)
            assert await coordinator.states(release_id) == {"bad": word, "good": "canceled"}
            assert good.actions()[-1] == "cancel"
            task = await coordinator.task_id(release_id, bad)
            causes = [f"task {task} failed: the service reports failed", f"task {task} changed from running to failed"]
            errors = [event for event in await coordinator.events(release_id) if event.event_type is EventType.ERROR]
            assert [event.message for event in errors if event.task_id] == (causes if word == "failed" else [])

    run(life())


@pytest.mark.rule("B11", "F1")
def test_a_service_may_reject_by_itself() -> None:
    table = Table("AB")
    table.decide()
    table.call_back("A", TaskState.REJECTED)
    assert (table.states["A"], table.state) == (TaskState.REJECTED, ReleaseState.CANCELING)
    sent = table.hear(Action.INITIALIZE, {"A": Refusal(400, "no"), "B": Answer()})
    assert sent == dict.fromkeys("AB", Action.CANCEL)


@pytest.mark.rule("B12")
def test_reports_are_taken_while_a_release_is_being_canceled() -> None:
    """A service that publishes at the last moment keeps what it did; the release is canceled all the same."""
    table = Table("ABC")
    table.publishing()
    table.cancel()
    table.decide()
    table.call_back("A", TaskState.PUBLISHED)
    table.call_back("B", TaskState.FAILED)
    assert table.state == "canceling"
    table.every(Action.CANCEL)
    assert table.state == "canceled"
    assert table.states == {"A": TaskState.PUBLISHED, "B": TaskState.FAILED, "C": TaskState.CANCELED}
