"""When something fails: who is told, how the release ends, and what is said about it."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from lockstep.coordinator.core.callers import LOCAL
from lockstep.coordinator.core.draft import MESSAGE_LIMIT
from lockstep.coordinator.core.model import EventType
from lockstep.coordinator.core.policy import Policy
from lockstep.protocol.messages import Action, Answer, Refusal, Reply, Silence
from lockstep.protocol.states import SETTLED_RELEASES, ReleaseState, TaskState
from tests.rules.rest import rest
from tests.scripted import Says, Service, in_simulation, on_loopback
from tests.simulation.loop import run
from tests.table import RELEASE_ID, YES, Table, task_id

NO = Refusal(400, "HTTP 400 Bad Request: no")
DAY_S = 86_400


@pytest.mark.rule("F1")
def test_a_refused_initialize_rejects_the_task() -> None:
    table = Table("AB")
    table.decide()
    table.hear(Action.INITIALIZE, {"A": NO})
    assert (table.states["A"], table.state) == (TaskState.REJECTED, ReleaseState.CANCELING)


@pytest.mark.rule("F1")
def test_a_refusal_after_a_callback_that_agreed_is_a_failure() -> None:
    """A service that has reported `pending` and then refuses cannot be rejected any more."""
    table = Table("AB")
    table.decide()
    table.call_back("A", TaskState.PENDING)
    table.hear(Action.INITIALIZE, {"A": NO})
    assert (table.states["A"], table.state) == (TaskState.FAILED, ReleaseState.CANCELING)


@pytest.mark.rule("F2")
@pytest.mark.parametrize("reply", [NO, Answer(TaskState.FAILED), Answer(TaskState.CANCELED)])
@pytest.mark.parametrize("action", [Action.START, Action.PUBLISH])
def test_a_later_refusal_fails_the_task(action: Action, reply: Reply) -> None:
    """So does an answer to the action that contradicts it."""
    table = Table("AB")
    {Action.START: table.initialized, Action.PUBLISH: table.told_to_publish}[action]()
    table.hear(action, {"A": reply})
    assert (table.states["A"], table.state) == (TaskState.FAILED, ReleaseState.CANCELING)


@pytest.mark.rule("F2")
@pytest.mark.parametrize("reply", [NO, Answer(TaskState.FAILED)])
def test_a_failure_that_is_found_by_polling_fails_the_task(reply: Reply) -> None:
    table = Table("AB")
    table.publishing()
    table.pass_time(30)
    table.hear(Action.GET_STATUS, {"A": reply})
    assert (table.states["A"], table.state) == (TaskState.FAILED, ReleaseState.CANCELING)


@pytest.mark.rule("F3")
def test_every_service_of_a_failed_release_is_told_to_cancel() -> None:
    """The one that has published, the one that works, and the one that failed; and the release ends failed."""
    table = Table("ABC")
    table.publishing()
    table.call_back("A", TaskState.PUBLISHED)
    table.pass_time(30)
    sent = table.hear(Action.GET_STATUS, {"B": Answer(TaskState.FAILED), "C": Answer()})
    assert (sent, table.state) == (dict.fromkeys("ABC", Action.CANCEL), ReleaseState.CANCELING)
    assert table.every(Action.CANCEL) == {}
    assert table.state is ReleaseState.FAILED
    assert table.states == {"A": TaskState.PUBLISHED, "B": TaskState.FAILED, "C": TaskState.CANCELED}


@pytest.mark.rule("F3", "F5")
def test_services_that_were_never_told_anything_are_told_to_cancel() -> None:
    """A release that is canceled before its first step tells them, and nothing else."""
    table = Table("AB")
    table.cancel()
    assert table.sent() == dict.fromkeys("AB", Action.CANCEL)
    table.every(Action.CANCEL, Refusal(404, "unknown task"))
    assert table.state is ReleaseState.CANCELED


@pytest.mark.rule("F3")
def test_a_rejected_release_ends_at_once() -> None:
    """Over real sockets: one of three services refuses, all three are told to cancel."""

    async def life() -> None:
        services = [Service("A"), Service("B", {"initialize": [Says(400, b"never")]}), Service("C")]
        async with on_loopback(*services) as coordinator:
            release_id = await coordinator.create()
            await coordinator.until(release_id, "failed")
            assert await coordinator.states(release_id) == {"A": "canceled", "B": "rejected", "C": "canceled"}
        assert [service.actions() for service in services] == [["initialize", "cancel"]] * 3

    asyncio.run(life())


@pytest.mark.rule("F4")
def test_cancel_follows_the_request_that_is_on_its_way() -> None:
    """A slow service is told when its answer has come; the others are not kept waiting."""

    async def slowly() -> Says:
        await asyncio.sleep(9)
        return Says()

    async def life() -> None:
        services = [Service("A"), Service("slow", {"initialize": [slowly]}), Service("B")]
        async with in_simulation(*services) as coordinator:
            release_id = await coordinator.create()
            await asyncio.sleep(2)
            await coordinator.commands.cancel(release_id, LOCAL)
            await coordinator.until(release_id, "canceled", 100)
            assert [service.times("cancel") for service in services] == [
                pytest.approx([2], abs=0.5),
                pytest.approx([9], abs=1.1),
                pytest.approx([2], abs=0.5),
            ]

    run(life())


@pytest.mark.rule("F5")
@pytest.mark.parametrize("steps", ["", "decide", "initialized", "started", "staged", "told_to_publish", "publishing"])
def test_a_person_may_cancel_in_any_unsettled_state(steps: str) -> None:
    """Every service is told, and the release ends canceled."""
    table = Table("AB")
    if steps:
        getattr(table, steps)()
    table.cancel()
    assert table.state is ReleaseState.CANCELING
    table.decide()
    told: dict[str, Action] = {}
    while table.flying:
        told = dict(table.flying)
        table.land()
    assert told == dict.fromkeys("AB", Action.CANCEL)
    assert (table.state, set(table.states.values())) == (ReleaseState.CANCELED, {TaskState.CANCELED})
    assert table.errors == []


@pytest.mark.rule("F5")
@pytest.mark.parametrize("state", sorted({ReleaseState.CANCELING, *SETTLED_RELEASES}))
def test_canceling_again_changes_nothing(state: ReleaseState) -> None:
    table = Table("A")
    table.release = replace(table.release, state=state, ending=ReleaseState.FAILED)
    before = table.snapshot
    table.cancel()
    assert (before, []) == (table.snapshot, table.events)


@pytest.mark.rule("F5")
def test_a_person_cancels_over_rest() -> None:
    """200 with the release as it is then; a repetition is fine, also when it has ended."""

    async def life() -> None:
        async with on_loopback(Service("A", work_s=1000)) as coordinator, rest(coordinator) as client:
            release_id = await coordinator.create()
            await coordinator.until(release_id, "running")
            answer = await client.delete(f"/releases/{release_id}")
            assert (answer.status_code, answer.json()["state"]) == (200, "canceling")
            await coordinator.until(release_id, "canceled")
            told = len(await coordinator.events(release_id))
            answer = await client.delete(f"/releases/{release_id}")
            assert (answer.status_code, answer.json()["state"]) == (200, "canceled")
            assert told == len(await coordinator.events(release_id))

    asyncio.run(life())


@pytest.mark.rule("F6")
def test_a_task_that_its_service_canceled_cancels_the_release() -> None:
    """Found by polling, over real sockets."""

    async def life() -> None:
        services = [Service("A", {"get_status": [Says(body={"state": "cancelling"})]}), Service("B", work_s=1000)]
        async with on_loopback(*services) as coordinator:
            release_id = await coordinator.create()
            await coordinator.until(release_id, "canceled")
            assert set((await coordinator.states(release_id)).values()) == {"canceled"}

    asyncio.run(life())


@pytest.mark.rule("F6")
@pytest.mark.parametrize("steps", ["initialized", "started", "staged", "publishing"])
def test_a_canceled_task_cancels_its_release_in_every_step(steps: str) -> None:
    table = Table("AB")
    getattr(table, steps)()
    table.call_back("A", TaskState.CANCELED)
    assert (table.state, table.release.ending) == (ReleaseState.CANCELING, ReleaseState.CANCELED)


@pytest.mark.rule("F7")
def test_the_first_cause_decides_how_a_release_ends() -> None:
    """Canceled by a person and failing afterwards, it is canceled; failed and canceled afterwards, it has failed."""
    canceled, failed = Table("AB"), Table("AB")
    for table in (canceled, failed):
        table.started()
    canceled.cancel()
    canceled.call_back("A", TaskState.FAILED)
    failed.call_back("A", TaskState.FAILED)
    failed.cancel()
    for table in (canceled, failed):
        table.decide()
        table.every(Action.CANCEL)
    assert (canceled.state, failed.state) == (ReleaseState.CANCELED, ReleaseState.FAILED)


@pytest.mark.rule("F7")
def test_of_two_causes_at_once_the_failure_counts() -> None:
    table = Table("AB")
    table.started()
    table.pass_time(30)
    table.hear(Action.GET_STATUS, {"A": Answer(TaskState.CANCELED), "B": Answer(TaskState.FAILED)})
    table.every(Action.CANCEL)
    assert table.state is ReleaseState.FAILED


@pytest.mark.rule("F8")
@pytest.mark.parametrize("steps", ["decide", "initialized", "started", "staged", "told_to_publish", "publishing"])
def test_nothing_but_cancel_is_sent_after_a_cancel(steps: str) -> None:
    """Whatever answers and reports still come in, and however long one waits."""
    table = Table("AB")
    getattr(table, steps)()
    table.cancel()
    sent = list(table.sent().values())
    if not sent:
        sent += table.land(Answer()).values()
    table.call_back("A", TaskState.FAILED)
    for reply in (Silence("reset"), Refusal(500, "no"), Silence("HTTP 503 with Retry-After", 7)):
        sent += table.land(reply).values()
        sent += table.pass_time(1000).values()
    assert set(sent) == {Action.CANCEL}
    assert len(sent) == 8


@pytest.mark.rule("F9")
@pytest.mark.parametrize(
    "reply",
    [Answer(), Answer(TaskState.FAILED), Refusal(200, "no state"), *(Refusal(s, "no") for s in (301, 400, 404, 499))],
)
def test_any_answer_below_500_delivers_a_cancel(reply: Reply) -> None:
    table = Table("A")
    table.started()
    table.cancel()
    assert table.sent() == {"A": Action.CANCEL}
    table.hear(Action.CANCEL, {"A": reply})
    assert (table.states["A"], table.state) == (TaskState.CANCELED, ReleaseState.CANCELED)
    assert table.pass_time(1000) == {}


@pytest.mark.rule("F9")
def test_a_cancel_is_sent_again_with_growing_pauses() -> None:
    """Until it is answered below 500: not by a 500, nor silence, nor one that asks to be asked again."""

    async def life() -> None:
        lines = [Says(500), Says(503), Says(429, b"", {"Retry-After": "11"}), Says(599), Says(404)]
        service = Service("A", {"cancel": list(lines)}, work_s=1000)
        async with in_simulation(service) as coordinator:
            release_id = await coordinator.create()
            await coordinator.marked(release_id, "start")
            await asyncio.sleep(1)
            await coordinator.commands.cancel(release_id, LOCAL)
            await coordinator.until(release_id, "canceled", 100)
            times = service.times("cancel")
            pauses = [later - earlier for earlier, later in pairwise(times)]
            assert pauses == pytest.approx([1, 2, 11, 8], abs=0.6)
            errors = [event.message for event in await coordinator.events(release_id) if event.event_type == "error"]
            said = "request to cancel task failed: HTTP 500 Internal Server Error: {}; it is tried again"
            assert errors == [said]

    run(life())


@pytest.mark.rule("F10")
def test_a_release_ends_when_every_service_has_answered() -> None:
    table = Table("AB")
    table.started()
    table.cancel()
    table.decide()
    table.hear(Action.CANCEL, {"A": Answer()})
    assert (table.state, table.states["B"]) == (ReleaseState.CANCELING, TaskState.RUNNING)
    table.hear(Action.CANCEL, {"B": Answer()})
    assert (table.state, table.states["B"]) == (ReleaseState.CANCELED, TaskState.CANCELED)


@pytest.mark.rule("F10")
def test_a_release_does_not_wait_for_ever_for_a_silent_service() -> None:
    """It ends after 60 s, with the task canceled."""

    async def life() -> None:
        service = Service("A", work_s=1000)
        async with in_simulation(service, Service("B")) as coordinator:
            release_id = await coordinator.create()
            await coordinator.marked(release_id, "start")
            await asyncio.sleep(1)
            service.down = True
            await coordinator.commands.cancel(release_id, LOCAL)
            begun = asyncio.get_running_loop().time()
            view = await coordinator.until(release_id, "canceled", 100)
            assert asyncio.get_running_loop().time() - begun == pytest.approx(60, abs=1)
            assert {task.state for task in view.tasks} == {TaskState.CANCELED}

    run(life())


@pytest.mark.rule("F11")
def test_a_cancel_is_delivered_after_the_end_and_across_restarts() -> None:
    """A service that is away for an hour, while the coordinator is killed twice, hears of it all the same."""

    async def life() -> None:
        service = Service("A", down=True)
        async with in_simulation(service) as coordinator:
            release_id = await coordinator.create()
            await coordinator.until(release_id, "failed", 200)
            for _ in range(2):
                await asyncio.sleep(1800)
                await coordinator.restart()
            tried = len(service.times("cancel"))
            service.down = False
            event = await coordinator.heard_of(release_id, "cancel of task", 400)
            task = await coordinator.task_id(release_id, service)
            assert (event.message, event.task_id) == (f"cancel of task {task} arrived after {tried + 1} attempts", task)
            await asyncio.sleep(DAY_S / 10)
            assert len(service.times("cancel")) == tried + 1

    run(life())


@pytest.mark.rule("F11")
def test_a_cancel_that_never_arrives_is_given_up_after_a_day() -> None:
    """With an error event; nothing is sent afterwards."""

    async def life() -> None:
        service = Service("A", down=True)
        async with in_simulation(service, policy=Policy(retry_pause_limit_s=3000)) as coordinator:
            release_id = await coordinator.create()
            await coordinator.until(release_id, "failed", 200)
            ended = asyncio.get_running_loop().time()
            event = await coordinator.heard_of(release_id, "given up", 2 * DAY_S)
            assert asyncio.get_running_loop().time() - ended == pytest.approx(DAY_S, abs=16)
            tried = len(service.times("cancel"))
            expected = (
                f"cancel of task {event.task_id} was given up after {tried} attempts: "
                "request to cancel task failed: no answer from http://A within 15 s"
            )
            assert (event.event_type, event.message) == (EventType.ERROR, expected)
            await asyncio.sleep(DAY_S / 10)
            assert tried == len(service.times("cancel"))

    run(life())


@pytest.mark.rule("F11")
def test_a_cancel_that_is_on_its_way_is_not_given_up() -> None:
    """Its answer comes when the day is over, and counts."""
    table = Table("A")
    table.started()
    table.cancel()
    table.decide()
    table.hear(Action.CANCEL, {"A": Silence("reset")})
    for pause_s in (60, DAY_S - 1):
        assert table.pass_time(pause_s) == {"A": Action.CANCEL}
        if pause_s == 60:
            table.hear(Action.CANCEL, {"A": Silence("reset")})
    table.pass_time(2)
    table.land(Refusal(404, "unknown"))
    assert [message for message in table.messages if "given up" in message] == []
    assert table.messages[-1] == f"cancel of task {task_id('A')} arrived after 3 attempts"


@pytest.mark.rule("F12")
@pytest.mark.parametrize("said", [None, TaskState.CANCELED, TaskState.FAILED])
def test_a_published_task_stays_published(said: TaskState | None) -> None:
    """Whatever it says when it is told to cancel."""
    table = Table("AB")
    table.publishing()
    table.call_back("A", TaskState.PUBLISHED)
    table.cancel()
    table.decide()
    table.every(Action.CANCEL, Answer(said))
    assert table.states == {"A": TaskState.PUBLISHED, "B": TaskState.CANCELED}


@pytest.mark.rule("F12")
@pytest.mark.parametrize("action", [Action.PUBLISH, Action.GET_STATUS, Action.CANCEL])
def test_a_service_that_did_publish_in_the_end_is_believed(action: Action) -> None:
    """Its answer comes while the release is being canceled already."""
    table = Table("AB")
    if action is Action.PUBLISH:
        table.told_to_publish()
    else:
        table.publishing()
    if action is Action.GET_STATUS:
        table.pass_time(30)
    table.cancel()
    table.decide()
    table.hear(action, {"A": Answer(TaskState.PUBLISHED)})
    assert (table.states["A"], table.state) == (TaskState.PUBLISHED, ReleaseState.CANCELING)


@pytest.mark.rule("F12")
@pytest.mark.parametrize("steps", ["started", "staged"])
def test_a_service_that_was_never_told_to_publish_is_not_believed(steps: str) -> None:
    """It cannot have published this release, whatever it says when it is told to cancel."""
    table = Table("A")
    getattr(table, steps)()
    table.cancel()
    table.decide()
    table.every(Action.CANCEL, Answer(TaskState.PUBLISHED))
    assert (table.states["A"], table.release.partially_published) == (TaskState.CANCELED, False)


@pytest.mark.rule("F13")
def test_a_partial_publish_names_both_sides() -> None:
    """Over real sockets: two have published when the third fails."""

    async def life() -> None:
        services = [Service("A", quick=True), Service("B", quick=True), Service("C", {"publish": [Says(500)]})]
        async with on_loopback(*services) as coordinator, rest(coordinator) as client:
            release_id = await coordinator.staged()
            await coordinator.commands.publish(release_id, LOCAL)
            await coordinator.until(release_id, "failed")
            release = (await client.get(f"/releases/{release_id}")).json()
            assert (release["partially_published"], release["published_at"]) == (True, None)
            event = await coordinator.heard_of(release_id, "partial")
            assert (event.event_type, event.message) == (EventType.ERROR, "partial publish: live in A, B; not in C")

    asyncio.run(life())


@pytest.mark.rule("F13")
@pytest.mark.parametrize("ending", ["canceled", "failed"])
def test_a_release_that_ends_before_anything_is_live_says_nothing_of_it(ending: str) -> None:
    table = Table("AB")
    table.publishing()
    table.cancel() if ending == "canceled" else table.call_back("A", TaskState.FAILED)
    table.decide()
    table.every(Action.CANCEL)
    assert (table.state, table.release.partially_published) == (ending, False)
    assert [message for message in table.messages if "partial" in message] == []


@pytest.mark.rule("F13")
def test_a_canceled_release_that_is_live_everywhere_says_so() -> None:
    table = Table("AB")
    table.publishing()
    table.cancel()
    table.decide()
    table.every(Action.CANCEL, Answer(TaskState.PUBLISHED))
    said = "partial publish: live in A, B, in all of its services, although the release was stopped"
    assert (table.state, table.release.partially_published) == (ReleaseState.CANCELED, True)
    assert said in table.errors


@pytest.mark.rule("F13")
def test_a_service_that_turns_out_later_to_have_published_is_told_of() -> None:
    """It is silent until the release has ended, and then answers its cancel as one that has published."""
    table = Table("AB")
    table.publishing()
    table.cancel()
    table.decide()
    table.hear(Action.CANCEL, {"A": YES, "B": Silence("time-out")})
    table.pass_time(60)
    assert (table.state, table.release.partially_published) == (ReleaseState.CANCELED, False)
    table.land(Answer(TaskState.PUBLISHED))
    assert (table.states["B"], table.release.partially_published) == (TaskState.CANCELED, True)
    assert table.errors[-1] == "partial publish: live in B too, as its late answer says"


@pytest.mark.rule("F13", "F17")
def test_a_partial_publish_of_many_services_names_twenty_of_each_side() -> None:
    """And the event keeps its length even where every name is as long as names may be."""
    table = Table("")
    names = [f"{n:02}" for n in range(50)]
    table.tasks = {
        task_id(name): Table("A").task("A")._replace(kf_id=task_id(name), service_name=name) for name in names
    }
    table.publishing()
    for name in names[:25]:
        table.call_back(name, TaskState.PUBLISHED)
    table.cancel()
    table.decide()
    table.every(Action.CANCEL)
    live, dark = ", ".join(names[:20]), ", ".join(names[25:45])
    assert f"partial publish: live in {live} and 5 more; not in {dark} and 5 more" in table.errors
    table.tasks = {key: task._replace(service_name=task.service_name * 50) for key, task in table.tasks.items()}
    table.release = replace(table.release, state=ReleaseState.CANCELING)
    table.decide()
    assert max(map(len, table.messages)) == MESSAGE_LIMIT == 1000


@pytest.mark.rule("F14")
def test_a_task_without_a_sign_of_life_fails() -> None:
    """It answers every poll for 600 s, always the same; the service beside it makes progress and is canceled."""

    async def life() -> None:
        dead = Service("dead", {"get_status": [Says(body={"state": "running", "progress": 5}) for _ in range(99)]})
        lively = Service(
            "lively", {"get_status": [Says(body={"state": "running", "progress": n % 100}) for n in range(99)]}
        )
        async with in_simulation(dead, lively, policy=Policy(task_timeout_s=600)) as coordinator:
            release_id = await coordinator.create()
            await coordinator.until(release_id, "failed", 1000)
            assert asyncio.get_running_loop().time() == pytest.approx(630, abs=2)
            assert await coordinator.states(release_id) == {"dead": "failed", "lively": "canceled"}
            task = await coordinator.task_id(release_id, dead)
            event = await coordinator.heard_of(release_id, "sign of life")
            said = f"task {task} failed: no sign of life in 600 s while running"
            assert (event.message, event.event_type, event.task_id) == (said, EventType.ERROR, task)

    run(life())


@pytest.mark.rule("F14")
@pytest.mark.parametrize("steps", ["decide", "initialized", "started", "told_to_publish", "publishing"])
def test_every_task_that_is_waited_for_has_a_deadline(steps: str) -> None:
    """The last request to it is heard out."""
    table = Table("A")
    getattr(table, steps)()
    table.now = table.task("A").life_at
    table.pass_time(Table().policy.task_timeout_s - 1)
    assert table.states["A"] != "failed"
    table.pass_time(1)
    assert table.states["A"] != "failed"
    table.land(Silence("nobody there"))
    assert table.states["A"] == "failed"


@pytest.mark.rule("F14")
@pytest.mark.parametrize("steps", ["decide", "initialized", "started", "told_to_publish", "publishing"])
def test_after_an_outage_of_ours_a_task_is_asked_before_it_fails(steps: str) -> None:
    """One has gone on meanwhile and its release with it; the other has not, and has had its time."""
    table = Table("AB")
    getattr(table, steps)()
    table.crash()
    assert table.pass_time(2 * table.policy.task_timeout_s) == dict.fromkeys("AB", Action.GET_STATUS)
    further = {"decide": TaskState.PENDING, "initialized": TaskState.RUNNING, "started": TaskState.STAGED}
    gone_on = Answer(further.get(steps, TaskState.PUBLISHED))
    table.hear(Action.GET_STATUS, {"A": gone_on})
    assert table.states == {"A": gone_on.state, "B": table.task("B").state}
    assert table.states["B"] != "failed"
    table.hear(Action.GET_STATUS, {"B": Silence("nobody there")})
    assert table.states["B"] == "failed"


@pytest.mark.rule("F14")
def test_a_task_that_is_not_waited_for_has_no_deadline() -> None:
    """One that staged early may be silent while the others are at work."""
    table = Table("AB")
    table.started()
    table.call_back("A", TaskState.STAGED)
    for progress in range(1, 4):
        table.pass_time(110_000)
        table.call_back("B", progress=progress)
    assert table.states == {"A": TaskState.STAGED, "B": TaskState.RUNNING}


@pytest.mark.rule("F15")
@pytest.mark.parametrize("steps", ["decide", "started", "publishing"])
def test_a_release_has_a_deadline_in_each_step(steps: str) -> None:
    """However lively its tasks are; it ends failed, and its tasks are canceled."""
    table = Table("A", policy=Policy(task_timeout_s=10**9))
    getattr(table, steps)()
    step = table.state
    table.now = table.release.step_since
    table.pass_time(359_999)
    assert table.state is step
    table.pass_time(1)
    assert (table.state, table.release.ending) == (ReleaseState.CANCELING, ReleaseState.FAILED)
    assert table.errors == [f"release {RELEASE_ID} failed: not done with {step} in 360000 s"]


@pytest.mark.rule("F15")
def test_each_step_has_the_whole_time() -> None:
    """And a staged release has any."""
    table = Table("A")
    table.initialized()
    table.now += Table().policy.pause(1) * 100_000
    table.every(Action.START, Answer(TaskState.STAGED))
    table.pass_time(10**7)
    assert table.state == "staged"
    table.publish()
    table.decide()
    table.every(Action.PUBLISH)
    table.pass_time(100_000)
    assert table.state == "publishing"


@pytest.mark.rule("F16")
def test_every_move_has_an_event_in_exactly_these_words() -> None:
    """From the first state to the last, each event about its release, task and service."""

    async def life() -> None:
        service = Service("A", quick=True)
        async with on_loopback(service) as coordinator:
            release_id = await coordinator.staged()
            await coordinator.commands.publish(release_id, LOCAL)
            await coordinator.until(release_id, "published")
            task = await coordinator.task_id(release_id, service)
            events = await coordinator.events(release_id)
            release, began = f"release {release_id}, version 0.1.0 changed from", f"release {release_id}, version 0.0.0"
            assert [event.message for event in events] == [
                f"{began} changed from waiting to initializing",
                f"task {task} changed from waiting to pending",
                f"{began} changed from initializing to running",
                f"task {task} changed from pending to running",
                f"task {task} changed from running to staged",
                f"{began} changed from running to staged",
                f"{release} staged to publishing",
                f"task {task} changed from staged to publishing",
                f"task {task} changed from publishing to published",
                f"{release} publishing to published",
            ]
            service_id = (await coordinator.store.task(task)).task.service_id
            about = {(event.release_id, event.task_id, event.task_service_id) for event in events}
            assert about == {(release_id, None, None), (release_id, task, service_id)}
            assert {event.event_type for event in events} == {EventType.INFO}

    asyncio.run(life())


@pytest.mark.rule("F16")
def test_a_move_to_a_bad_end_is_an_error() -> None:
    """To `failed` and to `rejected`; the others are information, also those to `canceling` and `canceled`."""
    table = Table("ABC")
    table.decide()
    table.hear(Action.INITIALIZE, {"A": NO, "B": Answer(), "C": Answer()})
    table.call_back("B", TaskState.FAILED)
    table.every(Action.CANCEL)
    moves = {message.split()[-1]: kind for kind, message in table.events if re.search(r" from \w+ to \w+$", message)}
    bad = {"failed", "rejected"}
    assert moves == {state: EventType.ERROR if state in bad else EventType.INFO for state in moves}
    assert bad | {"canceling", "canceled"} <= set(moves)


@pytest.mark.rule("F17")
@pytest.mark.parametrize("action", [Action.INITIALIZE, Action.START, Action.PUBLISH, Action.GET_STATUS, Action.CANCEL])
def test_every_failure_has_an_event_with_its_cause(action: Action) -> None:
    """In the words that those who read events look for."""
    table = Table("A")
    if action is Action.CANCEL:
        table.started()
        table.cancel()
        table.decide()
        reply, said = Refusal(500, "HTTP 500: no"), "request to cancel task failed: HTTP 500: no; it is tried again"
    else:
        go: dict[Action, Callable[[], object]] = {
            Action.INITIALIZE: table.decide,
            Action.START: table.initialized,
            Action.PUBLISH: table.told_to_publish,
        }
        go.get(action, table.started)()
        if action is Action.GET_STATUS:
            table.pass_time(30)
        reply, said = NO, f"request to {action} task failed: HTTP 400 Bad Request: no"
    table.hear(action, {"A": reply})
    assert table.errors[0] == said


@pytest.mark.rule("F17")
def test_a_request_that_will_be_repeated_has_a_warning() -> None:
    table = Table("A")
    table.initialized()
    table.hear(Action.START, {"A": Silence("connection reset")})
    said = "request to start task got no answer (connection reset); asking again in 1 s"
    assert table.events[-1] == (EventType.WARNING, said)
