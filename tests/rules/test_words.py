"""Words: what a release and a task are, and the states that they go through."""

import asyncio
from dataclasses import replace

import pytest

from lockstep.coordinator.core.callers import LOCAL
from lockstep.coordinator.core.draft import Draft
from lockstep.coordinator.core.errors import Conflict
from lockstep.protocol.errors import IllegalMove
from lockstep.protocol.messages import Action, Answer
from lockstep.protocol.states import (
    RELEASE_MOVES,
    SETTLED_RELEASES,
    SETTLED_TASKS,
    TASK_MOVES,
    ReleaseState,
    TaskState,
    task_state,
)
from lockstep.protocol.wire import reply_from_http
from tests.rules import book
from tests.scripted import Service, on_loopback
from tests.table import Table, task_id


@pytest.mark.rule("W1", "W2")
def test_a_release_is_brought_to_every_service_in_three_steps() -> None:
    """Two services are prepared, stage, and publish once a person has asked; each has one task."""

    async def life() -> None:
        services = Service("A"), Service("B")
        async with on_loopback(*services) as coordinator:
            release_id = await coordinator.staged("SD_AAAAAAAA", "SD_BBBBBBBB")
            assert [service.actions() for service in services] == [["initialize", "start"]] * 2
            await coordinator.commands.publish(release_id, LOCAL)
            view = await coordinator.until(release_id, "published")
            assert [service.actions() for service in services] == [["initialize", "start", "publish"]] * 2
            assert [(t.service_name, t.state) for t in view.tasks] == [("A", "published"), ("B", "published")]

    asyncio.run(life())


@pytest.mark.rule("W3", "W4")
def test_the_diagrams_are_the_tables() -> None:
    """The arrows on the page are the moves in the code, from the first state to the settled ones."""
    tables = [(TASK_MOVES.items(), SETTLED_TASKS), (RELEASE_MOVES.items(), SETTLED_RELEASES)]
    for (moves, settled), drawn in zip(tables, book.diagrams(), strict=True):
        arrows = {(state.value, to.value) for state, row in moves for to in row}
        ends = {(state.value, "[*]") for state in settled}
        assert arrows | ends | {("[*]", "waiting")} == drawn


@pytest.mark.rule("W3")
@pytest.mark.parametrize("to", TaskState)
@pytest.mark.parametrize("state", TaskState)
def test_a_task_moves_along_its_arrows_only(state: TaskState, to: TaskState) -> None:
    """Of every state to every state: an arrow moves the task and tells of it, any other pair changes nothing."""
    table = Table("A")
    table.change_task("A", state=state)
    draft = Draft(table.snapshot, table.now)
    if (state.value, to.value) in book.diagrams()[0]:
        draft.move_task(task_id("A"), to)
        assert (to, [f"task {task_id('A')} changed from {state} to {to}"]) == (
            draft.tasks[task_id("A")].state,
            [event.message for event in draft.events],
        )
    else:
        with pytest.raises(IllegalMove):
            draft.move_task(task_id("A"), to)
        assert (state, []) == (draft.tasks[task_id("A")].state, draft.events)


@pytest.mark.rule("W4")
@pytest.mark.parametrize("to", ReleaseState)
@pytest.mark.parametrize("state", ReleaseState)
def test_a_release_moves_along_its_arrows_only(state: ReleaseState, to: ReleaseState) -> None:
    """Of every state to every state: an arrow moves the release, any other pair changes nothing."""
    table = Table("A")
    table.release = replace(table.release, state=state)
    draft = Draft(table.snapshot, table.now)
    if (state.value, to.value) in book.diagrams()[1]:
        draft.move_release(to)
        assert to is draft.release.state
    else:
        with pytest.raises(IllegalMove):
            draft.move_release(to)
        assert (table.release, []) == (draft.release, draft.events)


@pytest.mark.rule("W5")
@pytest.mark.parametrize("settled", sorted(SETTLED_TASKS))
def test_a_settled_task_stays_as_it_is(settled: TaskState) -> None:
    """Neither an answer, nor a report, nor a person moves a task that is settled."""
    table = Table("AB")
    table.publishing()
    table.change_task("A", state=settled)
    for said in TaskState:
        table.hear(Action.GET_STATUS, {"A": Answer(said)})
        if said is not settled:
            with pytest.raises(Conflict):
                table.call_back("A", said)
    table.cancel()
    table.decide()
    table.every(Action.CANCEL, Answer(TaskState.CANCELED))
    assert settled is table.states["A"]
    assert table.release.state in SETTLED_RELEASES


@pytest.mark.rule("W5")
@pytest.mark.parametrize("settled", sorted(SETTLED_RELEASES))
def test_a_settled_release_stays_as_it_is(settled: ReleaseState) -> None:
    """A release that has ended is neither canceled nor published, and nothing is decided about it any more."""
    table = Table("")
    table.release = replace(table.release, state=settled)
    table.cancel()
    with pytest.raises(Conflict):
        table.publish()
    table.pass_time(10**6)
    assert (settled, []) == (table.state, table.events)


@pytest.mark.rule("W6")
@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("initialized", TaskState.PENDING),
        ("cancelled", TaskState.CANCELED),
        ("cancelling", TaskState.CANCELED),
        (" Staged ", TaskState.STAGED),
        *((state.value, state) for state in TaskState),
    ],
)
def test_services_may_use_words_of_their_own(word: str, state: TaskState) -> None:
    """A word is understood in an answer as in a report."""
    assert Answer(state) == reply_from_http(200, f'{{"state": "{word}"}}'.encode())
    assert state is task_state(word)
