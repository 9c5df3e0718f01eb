"""The tables of states, walked whole: every state against every state."""

from collections.abc import Mapping
from itertools import pairwise
from typing import TypeVar

import pytest

from lockstep.protocol.errors import BadMessage, IllegalMove
from lockstep.protocol.states import (
    ENDED_EARLY,
    RELEASE_MOVES,
    SETTLED_RELEASES,
    SETTLED_TASKS,
    TASK_LINE,
    TASK_MOVES,
    TASK_WORDS,
    UNSETTLED_RELEASES,
    AnyState,
    ReleaseState,
    TaskState,
    check_move,
    moves_from,
    reached,
    route,
    task_state,
)

State = TypeVar("State", TaskState, ReleaseState)

TASK_PAIRS = [(state, to) for state in TaskState for to in TaskState]
RELEASE_PAIRS = [(state, to) for state in ReleaseState for to in ReleaseState]


def test_every_state_has_a_row() -> None:
    """A settled state has an empty row, not no row."""
    assert set(TASK_MOVES) == set(TaskState)
    assert set(RELEASE_MOVES) == set(ReleaseState)


def test_no_state_moves_to_itself() -> None:
    assert [state for state, moves in [*TASK_MOVES.items(), *RELEASE_MOVES.items()] if state in moves] == []


def everything_from(first: State, moves: Mapping[State, frozenset[State]]) -> set[State]:
    seen, ahead = {first}, {first}
    while ahead:
        ahead = {to for state in ahead for to in moves[state]} - seen
        seen |= ahead
    return seen


def test_every_state_can_be_reached_from_the_first() -> None:
    assert everything_from(TaskState.WAITING, TASK_MOVES) == set(TASK_MOVES)
    assert everything_from(ReleaseState.WAITING, RELEASE_MOVES) == set(RELEASE_MOVES)


def test_a_release_can_be_stopped_until_it_is_settled() -> None:
    """From every unsettled state one move leads to canceling, which alone leads to the two unhappy ends."""
    stopped = {state for state, moves in RELEASE_MOVES.items() if ReleaseState.CANCELING in moves}
    assert stopped == UNSETTLED_RELEASES - {ReleaseState.CANCELING}
    for end in (ReleaseState.CANCELED, ReleaseState.FAILED):
        assert [state for state, moves in RELEASE_MOVES.items() if end in moves] == [ReleaseState.CANCELING]


def test_a_task_can_fail_and_be_canceled_until_it_is_settled() -> None:
    for end in (TaskState.FAILED, TaskState.CANCELED):
        assert {state for state, moves in TASK_MOVES.items() if end in moves} == set(TaskState) - SETTLED_TASKS
    assert [state for state, moves in TASK_MOVES.items() if TaskState.REJECTED in moves] == [TaskState.WAITING]


def test_what_is_settled() -> None:
    assert {"published", "rejected", "failed", "canceled"} == SETTLED_TASKS
    assert {"published", "failed", "canceled"} == SETTLED_RELEASES
    assert set(ReleaseState) - SETTLED_RELEASES == UNSETTLED_RELEASES
    assert {"rejected", "failed", "canceled"} == ENDED_EARLY


@pytest.mark.parametrize(("state", "to"), [*TASK_PAIRS, *RELEASE_PAIRS])
def test_a_move_passes_if_its_table_has_it(state: AnyState, to: AnyState) -> None:
    """Otherwise the sentence names the states that are possible, or says that there are none."""
    table = TASK_MOVES if isinstance(state, TaskState) else RELEASE_MOVES
    moves = table[state]  # type: ignore[index] # the state is of the table's kind
    assert moves_from(state) == moves
    if to in moves:
        check_move(state, to)
        return
    with pytest.raises(IllegalMove) as refused:
        check_move(state, to)
    expected = (
        f"cannot change from {state} to {to}; possible: {', '.join(sorted(moves))}"
        if moves
        else f"{state} is final; it cannot change to {to}"
    )
    assert str(refused.value) == expected


def test_states_of_tasks_and_of_releases_are_not_mixed_up() -> None:
    """Both have a `waiting`, and each looks into its own table."""
    check_move(TaskState.WAITING, TaskState.PENDING)
    check_move(ReleaseState.WAITING, ReleaseState.INITIALIZING)
    with pytest.raises(IllegalMove):
        check_move(TaskState.WAITING, ReleaseState.INITIALIZING)
    with pytest.raises(IllegalMove):
        check_move(ReleaseState.WAITING, TaskState.PENDING)


@pytest.mark.parametrize(("state", "mark"), [(state, mark) for state, mark in TASK_PAIRS if mark in TASK_LINE])
def test_reached_follows_the_line(state: TaskState, mark: TaskState) -> None:
    """Off the line a task is nowhere."""
    expected = state in TASK_LINE and TASK_LINE.index(state) >= TASK_LINE.index(mark)
    assert reached(state, mark) is expected


@pytest.mark.parametrize(("state", "wanted"), TASK_PAIRS)
def test_a_route_is_made_of_moves(state: TaskState, wanted: TaskState) -> None:
    """It ends where it should; there is one exactly when moves lead there, and none to where one is."""
    moves = route(state, wanted)
    for was, to in pairwise((state, *moves)):
        check_move(was, to)
    assert moves[-1:] == ((wanted,) if moves else ())
    ahead_on_the_line = state in TASK_LINE and wanted in TASK_LINE[TASK_LINE.index(state) + 1 :]
    assert bool(moves) is (ahead_on_the_line or wanted in TASK_MOVES[state])


def test_a_route_takes_every_step_of_the_line() -> None:
    assert route(TaskState.WAITING, TaskState.PUBLISHED) == TASK_LINE[1:]
    assert route(TaskState.PENDING, TaskState.STAGED) == (TaskState.RUNNING, TaskState.STAGED)


def test_the_words_of_services_in_the_field() -> None:
    """Beside our own words there are three, and nothing else is a state."""
    foreign = {word: state for word, state in TASK_WORDS.items() if word not in set(TaskState)}
    assert foreign == {"initialized": "pending", "cancelled": "canceled", "cancelling": "canceled"}
    assert {word: state for word, state in TASK_WORDS.items() if word in set(TaskState)} == {s: s for s in TaskState}


@pytest.mark.parametrize("word", ["", "canceling", "ready", "Ru nning", None, 0, b"staged", ["staged"], {}])
def test_what_is_no_state(word: object) -> None:
    """The sentence shows the word, and names the states that are."""
    with pytest.raises(BadMessage) as refused:
        task_state(word)
    assert str(refused.value) == f"{word!r} is not a state of a task; the states are {', '.join(TaskState)}"


def test_a_word_of_any_size_makes_a_short_sentence() -> None:
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    for word in ("x" * 10**6, deep, list(range(10**5)), {"a": "b" * 10**6}):
        with pytest.raises(BadMessage) as refused:
            task_state(word)
        assert len(str(refused.value)) < 250
