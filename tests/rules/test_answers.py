"""What counts as an answer, and what is done when there is none."""

import asyncio
import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from lockstep.coordinator.core.callers import LOCAL
from lockstep.coordinator.core.model import EventType
from lockstep.protocol.errors import BadMessage
from lockstep.protocol.messages import ACCEPTED, EPOCH_LIMIT, WANTED, Action, Answer, Refusal, Silence
from lockstep.protocol.states import ReleaseState, TaskState, reached, route
from lockstep.protocol.wire import read_progress, reply_from_http
from tests.scripted import STUDIES, Says, Service, in_simulation, on_loopback
from tests.simulation.loop import run
from tests.table import YES, Table, task_id

STEPS = (Action.INITIALIZE, Action.START, Action.PUBLISH)
SILENCE = Silence("connection reset")


def asked_to(action: Action, services: str = "A") -> Table:
    """A release whose services have just been asked for an action, or for their status while they stage."""
    table = Table(services)
    go: dict[Action, Callable[[], object]] = {
        Action.INITIALIZE: table.decide,
        Action.START: table.initialized,
        Action.PUBLISH: table.told_to_publish,
        Action.GET_STATUS: table.started,
    }
    go[action]()
    if action is Action.GET_STATUS:
        assert table.pass_time(30) == dict.fromkeys(services, Action.GET_STATUS)
    return table


@pytest.mark.rule("A1")
@pytest.mark.parametrize("status", [201, 204, 302, 400, 404, 409, 429, 500, 503])
@pytest.mark.parametrize("action", [*STEPS, Action.GET_STATUS])
def test_any_status_but_200_fails_the_release(action: Action, status: int) -> None:
    """At the first one: nothing but cancel is sent then."""
    table = asked_to(action, "AB")
    sent = table.hear(action, {"A": reply_from_http(status, b"no"), "B": Answer()})
    assert dict.fromkeys("AB", Action.CANCEL) == sent
    table.every(Action.CANCEL)
    assert table.state is ReleaseState.FAILED


@pytest.mark.rule("A1")
@pytest.mark.parametrize("action", STEPS)
def test_a_refused_action_is_not_tried_again(action: Action) -> None:
    """The service is told to cancel, and nothing else."""

    async def life() -> None:
        service = Service("A", {action: [Says(500, b"broken")]}, quick=True)
        async with on_loopback(service) as coordinator:
            release_id = await coordinator.create()
            if action is Action.PUBLISH:
                await coordinator.until(release_id, "staged")
                await coordinator.commands.publish(release_id, LOCAL)
            await coordinator.until(release_id, "failed")
        assert service.actions(polls=True) == [*STEPS[: STEPS.index(action) + 1], "cancel"]

    asyncio.run(life())


@pytest.mark.rule("A2")
@pytest.mark.parametrize(
    ("retry_after", "pause_s"),
    [("20", 20), ("0", 1), ("100000", 300), ("Wed, 21 Oct 2026 07:28:00 GMT", 1)],
)
@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_service_may_ask_to_be_asked_again(status: int, retry_after: str, pause_s: float) -> None:
    """It is asked again after the pause it wanted, up to the longest one; a date means soon."""

    async def life() -> None:
        busy = Says(status, b"busy", {"Retry-After": retry_after})
        service = Service("A", {"start": [busy]}, quick=True)
        async with in_simulation(service) as coordinator:
            await coordinator.until(await coordinator.create(), "staged", 1000)
            first, second = service.times("start")
            assert second - first == pytest.approx(pause_s, abs=0.6)

    run(life())


@pytest.mark.rule("A2")
@pytest.mark.parametrize(
    ("status", "retry_after"),
    [(503, None), (503, "later"), (503, "-1"), (503, ""), (503, "1.5"), (500, "5"), (404, "5"), (202, "5")],
)
def test_nothing_else_asks_to_be_asked_again(status: int, retry_after: str | None) -> None:
    """Without a Retry-After that can be read, or with another status, it is a refusal."""
    assert isinstance(reply_from_http(status, b"", retry_after), Refusal)


@pytest.mark.rule("A3")
@pytest.mark.parametrize("action", STEPS)
def test_a_lost_connection_is_not_a_refusal(action: Action) -> None:
    """Each request is reset once, and the release goes all the way."""

    async def life() -> None:
        service = Service("A", {action: [None], "get_status": [None]}, quick=True)
        async with on_loopback(service) as coordinator:
            release_id = await coordinator.staged()
            await coordinator.commands.publish(release_id, LOCAL)
            await coordinator.until(release_id, "published")
        assert service.actions() == [step for step in STEPS for _ in range(2 if step is action else 1)]

    asyncio.run(life())


@pytest.mark.rule("A4", "A7")
def test_a_silent_service_is_asked_three_times_in_all() -> None:
    """With pauses of 1 and 2 s after the 15 s that each request may take; then the task has failed."""

    async def life() -> None:
        service = Service("A", down=True)
        async with in_simulation(service) as coordinator:
            release_id = await coordinator.create()
            await coordinator.until(release_id, "canceling", 100)
            asked = [asked for asked in service.asked if asked.action != "cancel"]
            assert [asked.action for asked in asked] == ["initialize", "get_status", "get_status"]
            assert [asked.at for asked in asked] == pytest.approx([0, 16, 33], abs=0.1)
            task_id, silence = await coordinator.task_id(release_id, service), "no answer from http://A within 15 s"
            assert (await coordinator.messages(release_id))[3:6] == [
                f"request to initialize task failed: no answer in 3 attempts, the last: {silence}",
                f"task {task_id} changed from waiting to failed",
                f"release {release_id}, version 0.0.0 changed from initializing to canceling",
            ]

    run(life())


@pytest.mark.rule("A4")
def test_an_action_is_sent_three_times_when_only_its_answers_are_missing() -> None:
    """The service says each time that the action has not arrived: the row of silences goes on all the same."""
    table = asked_to(Action.START)
    sent = []
    for pause_s in (1, 2):
        assert table.hear(Action.START, {"A": SILENCE}) == {}
        assert table.pass_time(pause_s - 0.1) == {}
        sent.append(table.pass_time(0.1))
        sent.append(table.hear(Action.GET_STATUS, {"A": Answer(TaskState.PENDING)}))
    assert sent == [{"A": Action.GET_STATUS}, {"A": Action.START}] * 2
    assert table.hear(Action.START, {"A": SILENCE}) == {"A": Action.CANCEL}
    assert table.states == {"A": TaskState.FAILED}


@pytest.mark.rule("A4")
def test_an_answer_ends_the_row_of_silences() -> None:
    """Two polls in three may get lost for ever."""
    table = Table("A")
    table.started()
    for _ in range(5):
        assert table.pass_time(30) == {"A": Action.GET_STATUS}
        for pause_s in (1, 2):
            table.hear(Action.GET_STATUS, {"A": SILENCE})
            assert table.pass_time(pause_s) == {"A": Action.GET_STATUS}
        table.hear(Action.GET_STATUS, {"A": Answer(TaskState.RUNNING)})
    assert table.states == {"A": TaskState.RUNNING}


@pytest.mark.rule("A4")
def test_pauses_grow_up_to_the_longest() -> None:
    policy = Table().policy
    assert [policy.pause(n).total_seconds() for n in (1, 2, 3, 4, 9, 10, 1000)] == [1, 2, 4, 8, 256, 300, 300]


@pytest.mark.rule("A5")
@pytest.mark.parametrize("action", STEPS)
def test_an_action_whose_answer_was_lost_is_not_sent_again(action: Action) -> None:
    """The service took it and refuses repetitions, as in the field; its status is asked, and that is enough."""

    async def life() -> None:
        service = Service("A", quick=True)

        async def take_it_and_reset() -> None:
            service.honest(service.asked[-1].body)
            service.script[action] = [Says(400, b"not again")]

        service.script[action] = [take_it_and_reset]
        async with on_loopback(service) as coordinator:
            release_id = await coordinator.staged()
            await coordinator.commands.publish(release_id, LOCAL)
            await coordinator.until(release_id, "published")
        assert service.actions() == list(STEPS)
        asked = service.actions(polls=True)
        assert asked[asked.index(action) + 1] == "get_status"

    asyncio.run(life())


@pytest.mark.rule("A5")
@pytest.mark.parametrize(
    ("action", "state"),
    [(action, state) for action in STEPS for state in TaskState if reached(state, WANTED[action])],
)
def test_a_state_at_the_wanted_one_or_past_it_is_success(action: Action, state: TaskState) -> None:
    table = asked_to(action)
    table.hear(action, {"A": SILENCE})
    assert table.pass_time(1) == {"A": Action.GET_STATUS}
    assert action not in table.hear(Action.GET_STATUS, {"A": Answer(state)}).values()
    assert table.states == {"A": state}


@pytest.mark.rule("A6")
@pytest.mark.parametrize(
    ("action", "state"),
    [
        (action, state)
        for action in STEPS
        for state in (None, TaskState.WAITING, TaskState.PENDING, TaskState.RUNNING, TaskState.STAGED)
        if state is None or not reached(state, WANTED[action])
    ],
)
def test_an_action_that_has_not_arrived_is_sent_again_at_once(action: Action, state: TaskState | None) -> None:
    table = asked_to(action)
    table.hear(action, {"A": SILENCE})
    table.pass_time(1)
    assert table.hear(Action.GET_STATUS, {"A": Answer(state)}) == {"A": action}


@pytest.mark.rule("A6")
@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_a_task_that_is_not_known_may_be_initialized_again(status: int) -> None:
    """Services say that they do not know a task in many ways."""
    table = asked_to(Action.INITIALIZE)
    table.hear(Action.INITIALIZE, {"A": SILENCE})
    table.pass_time(1)
    assert table.hear(Action.GET_STATUS, {"A": Refusal(status, "unknown")}) == {"A": Action.INITIALIZE}


@pytest.mark.rule("A6")
@pytest.mark.parametrize("action", [Action.START, Action.PUBLISH])
def test_a_task_that_is_not_known_any_more_has_failed(action: Action) -> None:
    """It was initialized: a service that does not know it has lost it."""
    table = asked_to(action)
    table.hear(action, {"A": SILENCE})
    table.pass_time(1)
    assert table.hear(Action.GET_STATUS, {"A": Refusal(404, "HTTP 404")}) == {"A": Action.CANCEL}
    assert table.states == {"A": TaskState.FAILED}


@pytest.mark.rule("A7")
@pytest.mark.parametrize("action", STEPS)
def test_no_answer_at_last_is_a_failure_that_says_so(action: Action) -> None:
    table = asked_to(action)
    for asked in (action, Action.GET_STATUS, Action.GET_STATUS):
        table.hear(asked, {"A": SILENCE})
        table.pass_time(2)
    said = f"request to {action} task failed: no answer in 3 attempts, the last: connection reset"
    assert (table.states["A"], table.state) == (TaskState.FAILED, ReleaseState.CANCELING)
    assert (EventType.ERROR, said) in table.events
    assert table.task("A").last_error == said


@pytest.mark.rule("A8")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>OK</body></html>",
        b"ok",
        b"[]",
        b'["failed"]',
        b"null",
        b'"failed"',
        b"7",
        b"\xff\xfe\x00",
        b'{"state": "failed"',
        b'{"state": "\xe9"}',
        b"{" * 100_000,
        b"[" * 100_000,
        b'{"state": null}',
        b"{}",
    ],
)
def test_200_without_a_json_object_is_an_answer_without_a_state(body: bytes) -> None:
    """So it accepts every action, and moves nothing when it answers a poll."""
    assert reply_from_http(200, body) == Answer()
    table = asked_to(Action.START)
    table.hear(Action.START, {"A": reply_from_http(200, body)})
    assert table.states == {"A": TaskState.RUNNING}
    table.pass_time(30)
    table.hear(Action.GET_STATUS, {"A": reply_from_http(200, body)})
    assert table.states == {"A": TaskState.RUNNING}


@pytest.mark.rule("A9")
@pytest.mark.parametrize(
    ("action", "state"), [(action, state) for action in STEPS for state in TaskState if state not in ACCEPTED[action]]
)
def test_a_state_that_contradicts_the_action_is_a_refusal(action: Action, state: TaskState) -> None:
    table = asked_to(action)
    assert table.hear(action, {"A": Answer(state)}) == {"A": Action.CANCEL}
    assert table.errors[0] == f"request to {action} task failed: the service answered {state}"


@pytest.mark.rule("A9")
@pytest.mark.parametrize("word", ["done", "", "Published!", 7, True, ["staged"], {"state": "staged"}, "x" * 10_000])
@pytest.mark.parametrize("action", [*STEPS, Action.GET_STATUS])
def test_a_word_that_is_no_state_is_a_refusal(action: Action, word: Any) -> None:
    table = asked_to(action)
    reply = reply_from_http(200, json.dumps({"state": word}).encode())
    assert table.hear(action, {"A": reply}) == {"A": Action.CANCEL}
    assert table.errors[0].startswith(f"request to {action} task failed: HTTP 200, but ")


@pytest.mark.rule("A10", "A11", "A12")
@pytest.mark.parametrize("said", TaskState)
@pytest.mark.parametrize("action", [Action.START, Action.PUBLISH])
def test_a_poll_takes_what_is_ahead_and_nothing_else(action: Action, said: TaskState) -> None:
    """Of both states in which a task is polled, and every state that a service may say."""
    table = asked_to(action)
    table.hear(action, {"A": Answer()})
    before, told = table.states["A"], len(table.events)
    table.pass_time(30)
    table.hear(Action.GET_STATUS, {"A": Answer(said)})
    steps = route(before, said)
    if said in {TaskState.FAILED, TaskState.REJECTED}:
        steps = (TaskState.FAILED,)
    assert table.states["A"] is (steps[-1] if steps else before)
    moves = [f"task {task_id('A')} changed from {was} to {to}" for was, to in pairwise((before, *steps))]
    assert moves == [message for message in table.messages[told:] if message.startswith("task TA_0000000A changed")]


@pytest.mark.rule("A11")
@pytest.mark.parametrize(
    ("word", "ending"), [("failed", "failed"), ("canceled", "canceled"), ("cancelled", "canceled")]
)
def test_a_service_that_ends_its_task_ends_the_release(word: str, ending: str) -> None:
    """Found by polling, over real sockets; the other service is told to cancel."""

    async def life() -> None:
        bad = Service("bad", {"get_status": [Says(body={"state": word})]}, work_s=1000)
        good = Service("good", work_s=1000)
        async with on_loopback(bad, good) as coordinator:
            release_id = await coordinator.create(STUDIES[0])
            await coordinator.until(release_id, ending)
            assert await coordinator.states(release_id) == {"bad": ending, "good": "canceled"}
        assert "cancel" in good.actions()

    asyncio.run(life())


@pytest.mark.rule("A13")
@pytest.mark.parametrize(
    ("written", "percent"),
    [
        ("50", 50),
        ('"50"', 50),
        ('"50%"', 50),
        ("50.0", 50),
        ("null", 0),
        ("12.7", 12),
        ('"12.7 %"', 12),
        ("99.999", 99),
        ("-5", 0),
        ("150", 100),
        ('"150%"', 100),
        ('"-5"', 0),
        ("1e3", 100),
        ("9" * 400, 100),
        ("-" + "9" * 400, 0),
    ],
)
def test_progress_is_understood_in_every_form(written: str, percent: int) -> None:
    assert reply_from_http(200, f'{{"state": "running", "progress": {written}}}'.encode()) == Answer(
        TaskState.RUNNING, percent
    )
    assert read_progress(json.loads(written)) == percent


BAD_PROGRESS = ["NaN", "Infinity", "-Infinity", "1e999", "true", "false", '"half"', '""', '"%"', '"1_0"', '"NaN"']
BAD_PROGRESS += ['"1e1"', '"٥٠"', '"50%%"', "[50]", "{}", "[" * 500 + "]" * 500]


@pytest.mark.rule("A14")
@pytest.mark.parametrize("written", BAD_PROGRESS)
def test_progress_in_another_form_is_ignored_with_one_warning(written: str) -> None:
    """However often it is polled; the state beside it is taken, and a sound progress later on too."""
    table = asked_to(Action.START)
    table.hear(Action.START, {"A": Answer(TaskState.RUNNING, 40)})
    for _ in range(3):
        table.pass_time(30)
        reply = reply_from_http(200, f'{{"state": "running", "progress": {written}}}'.encode())
        table.hear(Action.GET_STATUS, {"A": reply})
    assert (table.states["A"], table.task("A").progress) == (TaskState.RUNNING, 40)
    warnings = [message for event_type, message in table.events if event_type is EventType.WARNING]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"progress of task {task_id('A')} ignored: ")
    table.pass_time(30)
    table.hear(Action.GET_STATUS, {"A": Answer(None, 60)})
    assert (table.task("A").progress, table.task("A").last_error) == (60, "")


@pytest.mark.rule("A14")
@pytest.mark.parametrize("written", BAD_PROGRESS)
def test_no_other_progress_is_read_anywhere(written: str) -> None:
    with pytest.raises(BadMessage, match="is not a progress"):
        read_progress(json.loads(written))


@pytest.mark.rule("A15")
def test_progress_counts_for_the_step_at_hand() -> None:
    """Not when a service that is behind speaks of an earlier step, and not when the step is over."""
    table = Table("AB")
    table.publishing()
    table.pass_time(30)
    table.hear(Action.GET_STATUS, {"A": Answer(TaskState.STAGED, 100), "B": Answer(TaskState.PUBLISHING, 30)})
    assert [table.task(name).progress for name in "AB"] == [0, 30]
    table.pass_time(30)
    table.hear(Action.GET_STATUS, {"A": Answer(TaskState.PUBLISHED, 20), "B": Answer(None, 70)})
    assert [table.task(name).progress for name in "AB"] == [100, 70]


@pytest.mark.rule("A16")
@pytest.mark.parametrize("action", STEPS)
def test_a_service_that_knows_a_later_epoch_has_not_answered(action: Action) -> None:
    """Nobody has taken the release over, so its database was put back; a refusal of the task itself fails it."""
    table = asked_to(action)
    epoch = table.release.lease.epoch
    assert table.hear(action, {"A": Refusal(409, "replaced", epoch + 1)}) == {}
    assert "replaced" in table.task("A").last_error
    assert table.pass_time(1) == {"A": Action.GET_STATUS}
    table.hear(Action.GET_STATUS, {"A": Answer(WANTED[action])})
    assert table.states == {"A": WANTED[action]}


@pytest.mark.rule("A16")
@pytest.mark.parametrize("action", STEPS)
def test_the_next_request_comes_with_a_later_epoch_than_the_service_knows(action: Action) -> None:
    """However far the database was put back: services that keep the highest epoch (K27) do not refuse it again."""
    table = asked_to(action)
    known = table.release.lease.epoch + 40
    table.hear(action, {"A": Refusal(409, "replaced", known)})
    assert table.pass_time(1) == {"A": Action.GET_STATUS}
    assert table.release.lease.epoch > known


@pytest.mark.rule("A16")
def test_a_cancel_is_repeated_under_a_later_epoch_too() -> None:
    table = Table("A")
    table.started()
    table.cancel()
    table.decide()
    known = table.release.lease.epoch + 40
    table.hear(Action.CANCEL, {"A": Refusal(409, "replaced", known)})
    assert table.pass_time(1) == {"A": Action.CANCEL}
    assert table.release.lease.epoch > known


@pytest.mark.rule("A16")
def test_requests_that_are_on_their_way_are_still_awaited_under_the_later_epoch() -> None:
    """Nothing is sent again to the other services, and their answers count."""
    table = Table("ABC")
    table.initialized()
    known = table.release.lease.epoch + 40
    assert table.hear(Action.START, {"A": Refusal(409, "replaced", known)}) == {}
    assert table.release.lease.epoch > known
    assert table.hear(Action.START, {"B": YES, "C": YES}) == {}
    assert table.states == {"A": TaskState.PENDING, "B": TaskState.RUNNING, "C": TaskState.RUNNING}


@pytest.mark.rule("A16")
def test_an_epoch_that_nobody_can_have_counted_to_is_not_followed() -> None:
    """It is a mistake of that one service, and the other services and the database would have to live with it."""
    table = asked_to(Action.START)
    epoch = table.release.lease.epoch
    table.hear(Action.START, {"A": Refusal(409, "replaced", EPOCH_LIMIT)})
    table.pass_time(1)
    assert table.release.lease.epoch == epoch + 1


@pytest.mark.rule("A16")
def test_a_refusal_under_the_epoch_of_the_lease_is_a_refusal() -> None:
    table = asked_to(Action.START)
    table.hear(Action.START, {"A": Refusal(409, "no", table.release.lease.epoch)})
    assert table.states == {"A": TaskState.FAILED}
