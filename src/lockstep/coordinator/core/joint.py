"""The joint rules: what a release does because of all of its tasks together.

Each rule is one row: in these states of the release, when every task (or some task) is in one of those states, the
release moves on. Rows are tried in order and applied until nothing moves. A release without tasks needs no special
case: of no tasks, every one is staged. The same table serves the engine, which has all tasks before it, and a
callback, which has counted them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from lockstep.coordinator.core.draft import Draft
from lockstep.coordinator.core.model import Ahead, EventType
from lockstep.protocol.states import TASK_LINE, ReleaseState, TaskState, reached


class HowMany(Enum):
    """How many of the tasks a rule wants."""

    EVERY = "every"
    SOME = "some"


@dataclass(frozen=True, slots=True)
class JointRule:
    """A row: `when` the release is in one of these states and `how_many` tasks are in `states`, it goes `then`.

    `ending` is how a release that goes to `canceling` will end.
    """

    when: frozenset[ReleaseState]
    how_many: HowMany
    states: frozenset[TaskState]
    then: ReleaseState
    ending: ReleaseState | None = None

    def holds(self, state: ReleaseState, tasks: Mapping[TaskState, int]) -> bool:
        """Tell whether the rule moves a release in a state with so many tasks in each state."""
        if state not in self.when:
            return False
        present = [task for task, number in tasks.items() if number]
        wanted = [task in self.states for task in present]
        return all(wanted) if self.how_many is HowMany.EVERY else any(wanted)


def _from(mark: TaskState) -> frozenset[TaskState]:
    return frozenset(state for state in TASK_LINE if reached(state, mark))


_IN_STEPS: Final = frozenset(
    {ReleaseState.INITIALIZING, ReleaseState.RUNNING, ReleaseState.STAGED, ReleaseState.PUBLISHING}
)
_ANY: Final = frozenset(TaskState)

JOINT_RULES: Final = (
    JointRule(
        _IN_STEPS,
        HowMany.SOME,
        frozenset({TaskState.REJECTED, TaskState.FAILED}),
        ReleaseState.CANCELING,
        ReleaseState.FAILED,
    ),
    JointRule(_IN_STEPS, HowMany.SOME, frozenset({TaskState.CANCELED}), ReleaseState.CANCELING, ReleaseState.CANCELED),
    JointRule(frozenset({ReleaseState.WAITING}), HowMany.EVERY, _ANY, ReleaseState.INITIALIZING),
    JointRule(frozenset({ReleaseState.INITIALIZING}), HowMany.EVERY, _from(TaskState.PENDING), ReleaseState.RUNNING),
    JointRule(frozenset({ReleaseState.RUNNING}), HowMany.EVERY, _from(TaskState.STAGED), ReleaseState.STAGED),
    JointRule(
        frozenset({ReleaseState.PUBLISHING}),
        HowMany.EVERY,
        frozenset({TaskState.PUBLISHED}),
        ReleaseState.PUBLISHED,
    ),
)


def settle(draft: Draft, rules: Sequence[JointRule] = JOINT_RULES) -> None:
    """Apply the joint rules to a draft until nothing moves, and begin a publishing that was asked for."""
    while rule := _first(draft, rules):
        if rule.then is ReleaseState.CANCELING:
            draft.stop(rule.ending or ReleaseState.FAILED)
        else:
            draft.move_release(rule.then)
    if draft.release.state is ReleaseState.STAGED and draft.release.publish_order is not None:
        _begin_publishing(draft, draft.release.publish_order, rules)


def _first(draft: Draft, rules: Sequence[JointRule]) -> JointRule | None:
    tasks = draft.task_states()
    return next((rule for rule in rules if rule.holds(draft.release.state, tasks)), None)


def _begin_publishing(draft: Draft, order: int, rules: Sequence[JointRule]) -> None:
    """Publish in the order in which it was asked: releases that share a study wait for the ones before them."""
    before = [ahead for ahead in draft.before.ahead if ahead.order < order]
    if not before:
        draft.move_release(ReleaseState.PUBLISHING)
        settle(draft, rules)
    elif draft.release.waits_for != before[-1].kf_id:
        _wait_for(draft, before[-1])


def _wait_for(draft: Draft, ahead: Ahead) -> None:
    draft.set_release(waits_for=ahead.kf_id)
    studies = ", ".join(ahead.shared[:5]) + (" and others" if len(ahead.shared) > 5 else "")  # noqa: PLR2004
    draft.note(
        f"release {draft.release.kf_id} waits to be published until release {ahead.kf_id} has ended, "
        f"which shares {studies} and was asked to publish first",
        event_type=EventType.WARNING,
    )
