"""The states of a task and of a release, and every move between them.

A release is in one state, and so is each of its tasks (one per task service). Both run along a line while all goes
well and leave it when something does not:

    task      waiting → pending → running → staged → publishing → published
              waiting → rejected;  any unsettled → failed, canceled

    release   waiting → initializing → running → staged → publishing → published
              any unsettled → canceling → canceled, failed

The tables below are those lines as data, and they are the only statement of them: the engine reads them, the tests
walk them, the diagram in the documentation is drawn from them. A settled state has an empty row, not no row. A move
that is not in the table does not exist: `check_move` raises and nothing changes.

What *causes* a release to move (all of its tasks are staged, so it is staged) is not told here but in
`lockstep.coordinator.core.joint`, since a task service has no part in it.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from lockstep.protocol.errors import BadMessage, IllegalMove, shown


class TaskState(StrEnum):
    """Where one service stands in one release."""

    WAITING = "waiting"
    PENDING = "pending"
    RUNNING = "running"
    STAGED = "staged"
    PUBLISHING = "publishing"
    PUBLISHED = "published"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELED = "canceled"


class ReleaseState(StrEnum):
    """Where a release stands on all of its services together."""

    WAITING = "waiting"
    INITIALIZING = "initializing"
    RUNNING = "running"
    STAGED = "staged"
    PUBLISHING = "publishing"
    PUBLISHED = "published"
    CANCELING = "canceling"
    CANCELED = "canceled"
    FAILED = "failed"


AnyState = TaskState | ReleaseState

_T = TaskState
_R = ReleaseState

TASK_LINE: Final = (_T.WAITING, _T.PENDING, _T.RUNNING, _T.STAGED, _T.PUBLISHING, _T.PUBLISHED)
"""The way of a task when all goes well, in order."""

TASK_MOVES: Final[Mapping[TaskState, frozenset[TaskState]]] = {
    _T.WAITING: frozenset({_T.PENDING, _T.REJECTED, _T.FAILED, _T.CANCELED}),
    _T.PENDING: frozenset({_T.RUNNING, _T.FAILED, _T.CANCELED}),
    _T.RUNNING: frozenset({_T.STAGED, _T.FAILED, _T.CANCELED}),
    _T.STAGED: frozenset({_T.PUBLISHING, _T.FAILED, _T.CANCELED}),
    _T.PUBLISHING: frozenset({_T.PUBLISHED, _T.FAILED, _T.CANCELED}),
    _T.PUBLISHED: frozenset(),
    _T.REJECTED: frozenset(),
    _T.FAILED: frozenset(),
    _T.CANCELED: frozenset(),
}

RELEASE_MOVES: Final[Mapping[ReleaseState, frozenset[ReleaseState]]] = {
    _R.WAITING: frozenset({_R.INITIALIZING, _R.CANCELING}),
    _R.INITIALIZING: frozenset({_R.RUNNING, _R.CANCELING}),
    _R.RUNNING: frozenset({_R.STAGED, _R.CANCELING}),
    _R.STAGED: frozenset({_R.PUBLISHING, _R.CANCELING}),
    _R.PUBLISHING: frozenset({_R.PUBLISHED, _R.CANCELING}),
    _R.PUBLISHED: frozenset(),
    _R.CANCELING: frozenset({_R.CANCELED, _R.FAILED}),
    _R.CANCELED: frozenset(),
    _R.FAILED: frozenset(),
}

SETTLED_TASKS: Final = frozenset(state for state, moves in TASK_MOVES.items() if not moves)
SETTLED_RELEASES: Final = frozenset(state for state, moves in RELEASE_MOVES.items() if not moves)
UNSETTLED_RELEASES: Final = frozenset(ReleaseState) - SETTLED_RELEASES
ENDED_EARLY: Final = SETTLED_TASKS - frozenset(TASK_LINE)
"""The settled states off the line: the task ended, and was not published."""

TASK_WORDS: Final[Mapping[str, TaskState]] = {
    **{state.value: state for state in TaskState},
    "initialized": TaskState.PENDING,
    "cancelled": TaskState.CANCELED,
    "cancelling": TaskState.CANCELED,
}
"""Every word that means a task state on input: our own, and those that services in the field say."""


class Decision(StrEnum):
    """What a coordinator has decided about a release, as far as a service must know."""

    UNDECIDED = "undecided"
    """It may still go either way: what is staged stays staged."""

    PUBLISH = "publish"
    CANCEL = "cancel"


DECISIONS: Final[Mapping[ReleaseState, Decision]] = {
    ReleaseState.WAITING: Decision.UNDECIDED,
    ReleaseState.INITIALIZING: Decision.UNDECIDED,
    ReleaseState.RUNNING: Decision.UNDECIDED,
    ReleaseState.STAGED: Decision.UNDECIDED,
    ReleaseState.PUBLISHING: Decision.PUBLISH,
    ReleaseState.PUBLISHED: Decision.PUBLISH,
    ReleaseState.CANCELING: Decision.CANCEL,
    ReleaseState.CANCELED: Decision.CANCEL,
    ReleaseState.FAILED: Decision.CANCEL,
}
"""What the state of a release says was decided. A release that is not known is one that is not published."""


def task_state(word: object) -> TaskState:
    """Return the task state that a word from outside means.

    Raises:
        BadMessage: the word is no task state; the sentence lists those that are.
    """
    if isinstance(word, str) and (state := TASK_WORDS.get(word.strip().lower())):
        return state
    known = ", ".join(TaskState)
    raise BadMessage(f"{shown(word)} is not a state of a task; the states are {known}")


def moves_from(state: AnyState) -> frozenset[str]:
    """Return the states that a state can change to, of a task or of a release as the case may be."""
    return frozenset(RELEASE_MOVES[state]) if isinstance(state, ReleaseState) else frozenset(TASK_MOVES[state])


def check_move(current: AnyState, wanted: AnyState) -> None:
    """Let a move pass that its table has.

    Raises:
        IllegalMove: the table has no such move; the sentence names those that it has.
    """
    moves = moves_from(current)
    if wanted in moves:
        return
    if not moves:
        raise IllegalMove(f"{current} is final; it cannot change to {wanted}")
    raise IllegalMove(f"cannot change from {current} to {wanted}; possible: {', '.join(sorted(moves))}")


def reached(state: TaskState, mark: TaskState) -> bool:
    """Tell whether a task is at a mark of the line, or past it; off the line it is nowhere."""
    return state in TASK_LINE and TASK_LINE.index(state) >= TASK_LINE.index(mark)


def route(current: TaskState, wanted: TaskState) -> tuple[TaskState, ...]:
    """Return the moves, one table row each, that lead from one task state to another.

    The line is followed for as many steps as it takes; a state off the line is one step away or not at all. Empty
    when nothing leads there (a state behind, a settled start) and when both are the same.
    """
    if wanted in TASK_MOVES[current]:
        return (wanted,)
    if current in TASK_LINE and reached(wanted, current):
        return TASK_LINE[TASK_LINE.index(current) + 1 : TASK_LINE.index(wanted) + 1]
    return ()
