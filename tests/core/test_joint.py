"""The joint rules, walked whole: every state of a release with every set of states of its tasks."""

from collections import Counter
from dataclasses import replace
from itertools import combinations_with_replacement

import pytest

from lockstep.coordinator.core.draft import Draft
from lockstep.coordinator.core.joint import JOINT_RULES, HowMany, settle
from lockstep.coordinator.core.model import Snapshot
from lockstep.protocol.states import RELEASE_MOVES, SETTLED_RELEASES, ReleaseState, TaskState, reached
from tests.table import Table

LINE = [
    (ReleaseState.INITIALIZING, TaskState.PENDING, ReleaseState.RUNNING),
    (ReleaseState.RUNNING, TaskState.STAGED, ReleaseState.STAGED),
    (ReleaseState.PUBLISHING, TaskState.PUBLISHED, ReleaseState.PUBLISHED),
]
MIXES = [mix for size in range(4) for mix in combinations_with_replacement(TaskState, size)]
QUIET = {*SETTLED_RELEASES, ReleaseState.CANCELING}


def settled(state: ReleaseState, mix: tuple[TaskState, ...]) -> Draft:
    """A release in a state, with so many uncounted tasks, after the joint rules."""
    release = replace(Table("").release, state=state)
    draft = Draft(Snapshot(release, {}, Counter(mix)), Table("").now)
    settle(draft)
    return draft


def expected(state: ReleaseState, mix: tuple[TaskState, ...]) -> ReleaseState:
    """The same, told in another way."""
    if state in QUIET:
        return state
    if state is ReleaseState.WAITING:
        state = ReleaseState.INITIALIZING
    if {TaskState.REJECTED, TaskState.FAILED, TaskState.CANCELED} & set(mix):
        return ReleaseState.CANCELING
    for when, mark, then in LINE:
        if state is when and all(reached(task, mark) for task in mix):
            state = then
    return state


@pytest.mark.parametrize("state", ReleaseState)
def test_every_mix_of_tasks_in_every_state_of_a_release(state: ReleaseState) -> None:
    """Up to three tasks in any states: the release goes as far as all of them allow, and no further."""
    assert {mix: settled(state, mix).release.state for mix in MIXES} == {mix: expected(state, mix) for mix in MIXES}


@pytest.mark.parametrize("state", sorted(set(ReleaseState) - QUIET))
def test_a_failure_weighs_more_than_a_cancellation(state: ReleaseState) -> None:
    for mix in MIXES:
        bad = {TaskState.REJECTED, TaskState.FAILED} & set(mix)
        ending = ReleaseState.FAILED if bad else ReleaseState.CANCELED if TaskState.CANCELED in mix else None
        assert (mix, settled(state, mix).release.ending) == (mix, ending)


@pytest.mark.parametrize("state", ReleaseState)
def test_nothing_is_left_to_settle(state: ReleaseState) -> None:
    """The rules have been applied until nothing moves: applied again, they move nothing."""
    for mix in MIXES:
        once = settled(state, mix).release
        again = settled(once.state, mix).release
        assert (mix, again.state) == (mix, once.state)


def test_a_task_that_was_not_loaded_counts_like_one_that_was() -> None:
    """A callback has counted the others, the engine has them all: both come to the same."""
    for letters in ("A", "AB"):
        whole = Table(letters)
        whole.started()
        snapshot = whole.snapshot
        others = Counter(task.state for key, task in snapshot.tasks.items() if not key.endswith("A"))
        part = replace(snapshot, tasks={whole.task("A").kf_id: whole.task("A")}, others=others)
        results = []
        for each in (snapshot, part):
            draft = Draft(each, whole.now)
            draft.move_task(whole.task("A").kf_id, TaskState.STAGED)
            settle(draft)
            results.append(draft.release.state)
        assert results == [ReleaseState.STAGED if letters == "A" else ReleaseState.RUNNING] * 2


def test_every_rule_is_a_move_of_the_table() -> None:
    for rule in JOINT_RULES:
        assert all(rule.then in RELEASE_MOVES[state] for state in rule.when)
        assert (rule.ending is not None) is (rule.then is ReleaseState.CANCELING)


def test_of_no_tasks_everything_is_true_and_nothing_exists() -> None:
    for rule in JOINT_RULES:
        held = [rule.holds(state, {}) for state in rule.when]
        assert held == [rule.how_many is HowMany.EVERY] * len(held)
