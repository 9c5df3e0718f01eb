"""What is to be sent now, and when there will be something again.

What a service is told follows from the states as they stand, never from the message that woke us. Whatever is
planned here is stored as sent before it leaves, so that after a crash it is known to be in doubt; and a request of an
older lease epoch is one that nobody waits for any more, since its sender has died or been replaced.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from lockstep.coordinator.core.draft import Draft
from lockstep.coordinator.core.model import Delivery, EventType, Task
from lockstep.coordinator.core.policy import Policy
from lockstep.coordinator.core.standing import AT_WORK, CANCELS, NEXT_ACTION, cancel_delivered, holds_up, in_doubt
from lockstep.protocol.messages import Action
from lockstep.protocol.states import ReleaseState


@dataclass(frozen=True, slots=True)
class Send:
    """One request to make: the action, the task, and the service's address as it is now."""

    task_id: str
    service_url: str
    action: Action


def plan(draft: Draft, epoch: int) -> tuple[Send, ...]:
    """Mark everything that is due as on its way under a lease epoch, and return it."""
    sends = []
    for task in list(draft.tasks.values()):
        if task.flight_epoch == epoch:
            continue
        action = _cancel_due(draft, task) if draft.release.state in CANCELS else action_due(draft, task)
        if action is not None:
            _mark(draft, task, action, epoch)
            sends.append(Send(task.kf_id, task.service_url, action))
    return tuple(sends)


def next_due(draft: Draft, policy: Policy) -> datetime | None:
    """Return when something will be due that is not yet: a repetition, a poll, a deadline; None for nothing."""
    return min(_times(draft, policy), default=None)


def task_deadline(draft: Draft, task: Task, policy: Policy) -> datetime:
    """Return when a task that is waited for has shown no sign of life for too long."""
    return max(task.life_at, draft.release.step_since) + timedelta(seconds=policy.task_timeout_s)


def expire_deliveries(draft: Draft, policy: Policy) -> None:
    """Give up the cancels of an ended release that could not be delivered in all the time allowed for it."""
    if draft.release.state not in {ReleaseState.CANCELED, ReleaseState.FAILED}:
        return
    if draft.now < draft.release.step_since + timedelta(seconds=policy.cancel_delivery_s):
        return
    for task in list(draft.tasks.values()):
        if not cancel_delivered(task) and task.flight_epoch is None:
            message = f"cancel of task {task.kf_id} was given up after {task.attempts} attempts: {task.last_error}"
            draft.note(message, event_type=EventType.ERROR, task=task)
            draft.set_task(task.kf_id, cancel=Delivery.GIVEN_UP, due_at=None)


def action_due(draft: Draft, task: Task) -> Action | None:
    """Return what a task is to be told or asked now, unless something is on its way to it; None for nothing."""
    due = task.due_at is None or task.due_at <= draft.now
    pair = (draft.release.state, task.state)
    if action := NEXT_ACTION.get(pair):
        if task.told is action and in_doubt(task):
            return Action.GET_STATUS if due else None
        return action
    return Action.GET_STATUS if due and pair in AT_WORK else None


def _cancel_due(draft: Draft, task: Task) -> Action | None:
    if cancel_delivered(task):
        return None
    waiting = task.cancel is Delivery.DOUBTFUL and task.due_at is not None and draft.now < task.due_at
    return None if waiting else Action.CANCEL


def _mark(draft: Draft, task: Task, action: Action, epoch: int) -> None:
    if action is Action.GET_STATUS:
        draft.set_task(task.kf_id, flight_epoch=epoch, due_at=None)
    elif action is Action.CANCEL:
        attempts = 0 if task.cancel is Delivery.NONE else task.attempts
        cancel = Delivery.SENT if task.cancel is Delivery.NONE else task.cancel
        draft.set_task(task.kf_id, flight_epoch=epoch, cancel=cancel, attempts=attempts, due_at=None)
    else:
        attempts = task.attempts if task.told is action else 0
        draft.set_task(
            task.kf_id, flight_epoch=epoch, told=action, delivery=Delivery.SENT, attempts=attempts, due_at=None
        )


def _times(draft: Draft, policy: Policy) -> Iterator[datetime]:
    state, since = draft.release.state, draft.release.step_since
    if state in {ReleaseState.INITIALIZING, ReleaseState.RUNNING, ReleaseState.PUBLISHING}:
        yield since + timedelta(seconds=policy.release_timeout_s)
        for task in draft.tasks.values():
            if holds_up(state, task):
                deadline = task_deadline(draft, task, policy)
                if deadline > draft.now:  # one that is late by now has been asked, and its answer decides
                    yield deadline
                if task.due_at is not None:
                    yield task.due_at
    elif state in CANCELS:
        undelivered = [
            task for task in draft.tasks.values() if task.flight_epoch is None and not cancel_delivered(task)
        ]
        if state is ReleaseState.CANCELING:
            yield since + timedelta(seconds=policy.cancel_patience_s)
        elif undelivered:
            yield since + timedelta(seconds=policy.cancel_delivery_s)
        yield from (task.due_at for task in undelivered if task.due_at is not None)
