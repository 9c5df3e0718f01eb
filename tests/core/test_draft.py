"""A decision while it is being made: what it keeps, and what it tells."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.coordinator.core.draft import MESSAGE_LIMIT, Draft
from lockstep.coordinator.core.errors import NotFound
from lockstep.coordinator.core.model import EventType
from lockstep.coordinator.core.policy import Policy
from lockstep.protocol.states import ReleaseState, TaskState
from tests.table import Table, task_id

A = task_id("A")


def draft_of(table: Table) -> Draft:
    table.now += timedelta(minutes=5)
    return Draft(table.snapshot, table.now)


def test_a_draft_that_was_not_touched_stores_nothing() -> None:
    table = Table("AB")
    change = draft_of(table).change()
    assert (change.release, change.tasks, change.events, change.at) == (table.release, (), (), table.now)


def test_a_move_remembers_when_it_was() -> None:
    table = Table("AB")
    draft = draft_of(table)
    draft.move_task(A, TaskState.PENDING, TaskState.RUNNING)
    draft.move_release(ReleaseState.INITIALIZING)
    task, other = draft.tasks[A], draft.tasks[task_id("B")]
    assert (task.state_since, task.life_at, draft.release.step_since) == (table.now, table.now, table.now)
    assert [change.kf_id for change in draft.change().tasks] == [A]
    assert other == table.task("B")


def test_only_a_change_of_progress_is_a_sign_of_life() -> None:
    table = Table("A")
    draft = draft_of(table)
    draft.set_progress(A, 0)
    assert draft.change().tasks == ()
    draft.set_progress(A, 7)
    assert (draft.tasks[A].progress, draft.tasks[A].life_at) == (7, table.now)


def test_an_event_keeps_its_length() -> None:
    draft = draft_of(Table("A"))
    draft.note("x" * (MESSAGE_LIMIT + 1), event_type=EventType.ERROR)
    assert [event.message for event in draft.events] == ["x" * MESSAGE_LIMIT]


def test_a_failure_of_a_settled_task_is_told_and_changes_nothing_else() -> None:
    table = Table("A")
    table.change_task("A", state=TaskState.PUBLISHED)
    draft = draft_of(table)
    draft.fail_task(A, TaskState.FAILED, "too late")
    assert (draft.tasks[A].state, draft.tasks[A].last_error) == (TaskState.PUBLISHED, "too late")
    assert [(event.event_type, event.message) for event in draft.events] == [(EventType.ERROR, "too late")]


def test_the_engine_is_called_when_the_release_has_moved() -> None:
    """In the row itself, so that whoever moved it may die before it can ring."""
    table = Table("AB")
    table.started()
    for letter, called in (("A", False), ("B", True)):
        before = table.release.look_at
        table.now += timedelta(seconds=1)
        table.call_back(letter, TaskState.STAGED)
        assert (table.release.look_at == table.now, table.release.look_at != before) == (called, called)


def test_a_task_of_another_release_is_not_found() -> None:
    with pytest.raises(NotFound, match="has no task TA_0000000Z"):
        Table("A").call_back("Z", TaskState.STAGED)


@given(st.integers(1, 10_000), st.none() | st.floats(0, 1e9))
def test_a_pause_grows_and_has_a_limit(attempts: int, asked_for_s: float | None) -> None:
    """It is never shorter than the one before, and as long as the service asked for unless that is too long."""
    policy = Policy(retry_pause_s=0.5, retry_pause_limit_s=100)
    pause = policy.pause(attempts, asked_for_s).total_seconds()
    assert policy.pause(attempts + 1, asked_for_s).total_seconds() >= pause
    assert min(asked_for_s or 0, 100) - 1e-6 <= pause <= 100
