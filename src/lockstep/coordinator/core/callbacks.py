"""What a task service reports by itself: `PATCH /tasks/{id}` with a state, a progress, or both.

Services repeat themselves, report late, and report early: a quick one says `staged` before its answer to `start` has
been recorded. All of that is taken as `docs/rules.md` ("Callbacks") says. A state that only an action of ours can
bring about is taken only once that action was marked as sent: no service starts or publishes by itself.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from lockstep.coordinator.core.draft import Draft
from lockstep.coordinator.core.errors import Conflict, Invalid, NotFound
from lockstep.coordinator.core.joint import JOINT_RULES, JointRule, settle
from lockstep.coordinator.core.model import Delivery, Task
from lockstep.protocol.errors import IllegalMove
from lockstep.protocol.messages import NO_FINDINGS, Action, Findings
from lockstep.protocol.states import ENDED_EARLY, SETTLED_TASKS, TaskState, check_move, route

BROUGHT_ABOUT_BY: Final[Mapping[TaskState, Action]] = {
    TaskState.PENDING: Action.INITIALIZE,
    TaskState.REJECTED: Action.INITIALIZE,
    TaskState.RUNNING: Action.START,
    TaskState.PUBLISHING: Action.PUBLISH,
}
"""The states that a task enters only because it was told to."""

_ENDS_OF_STEPS: Final = frozenset({TaskState.STAGED, TaskState.PUBLISHED})
"""The states that a quick service reports before its answer to the action has been recorded; each is a hundred percent
of its step, whatever a report that was overtaken says."""


def report(
    draft: Draft,
    task_id: str,
    state: TaskState | None,
    progress: int | None,
    findings: Findings = NO_FINDINGS,
    *,
    rules: Sequence[JointRule] = JOINT_RULES,
) -> None:
    """Take a report about one task, and what follows from it for the release.

    Raises:
        NotFound: the release has no such task.
        Conflict: the task or its release is settled, and the report says something else.
        Invalid: the task's table does not have this move now.
    """
    task = draft.tasks.get(task_id)
    if task is None:
        raise NotFound(f"Release {draft.release.kf_id} has no task {task_id}.")
    if task.state in SETTLED_TASKS and state is task.state:
        return
    if draft.settled or task.state in SETTLED_TASKS:
        raise Conflict(
            f"Task {task_id} is {task.state} and its release {draft.release.kf_id} {draft.release.state}; "
            "what is settled does not change."
        )
    if state is not None and state is not task.state:
        moves = _moves(task, state)
        if state in ENDED_EARLY:
            draft.end_task(task_id, state, findings.error)
        else:
            draft.move_task(task_id, *moves)
        draft.set_task(task_id, delivery=Delivery.ANSWERED, attempts=0)
    draft.take_findings(task_id, findings)
    if progress is not None and draft.tasks[task_id].state not in _ENDS_OF_STEPS:
        draft.set_progress(task_id, progress)
    settle(draft, rules)
    draft.call_engine()


def _moves(task: Task, state: TaskState) -> tuple[TaskState, ...]:
    moves = route(task.state, state)
    if len(moves) > 1 and state not in _ENDS_OF_STEPS:
        moves = ()
    if not moves:
        try:
            check_move(task.state, state)
        except IllegalMove as error:
            raise Invalid({"state": [f"Task {task.kf_id} {error}."]}) from None
    for move in moves:
        action = BROUGHT_ABOUT_BY.get(move)
        if action is not None and task.told is not action:
            raise Invalid({"state": [f"Task {task.kf_id} cannot be {state}: {action} has not been sent to it."]})
    return moves
