"""What a service's reply does to its task.

A receipt is a reply together with the action that it came to. `take` stores what follows from it: forward moves, an
end, another attempt, or nothing. Three kinds of request get replies of their own sort: an action (initialize, start,
publish), a `get_status` (a poll of a task at work, or the question after an action that got no answer), and a cancel.
A reply never moves a task backwards, and one that comes when the release is being canceled can only add facts.
"""

from dataclasses import dataclass
from typing import Final

from lockstep.coordinator.core.draft import Draft
from lockstep.coordinator.core.model import Delivery, EventType, Task
from lockstep.coordinator.core.policy import Policy
from lockstep.coordinator.core.standing import CANCELS, holds_up, in_doubt
from lockstep.protocol.messages import ACCEPTED, WANTED, Action, Answer, Refusal, Reply, Silence
from lockstep.protocol.states import ENDED_EARLY, SETTLED_TASKS, TaskState, reached, route

SERVER_ERROR: Final = 500
"""The lowest status with which a service has not taken a cancel."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A reply, the task whose service gave it, and the action that it was given to."""

    task_id: str
    action: Action
    reply: Reply


def take(draft: Draft, receipt: Receipt, policy: Policy) -> None:
    """Store what follows from one receipt; `docs/rules.md`, "What counts as an answer"."""
    task = draft.set_task(receipt.task_id, flight_epoch=None)
    receipt = _unfenced(receipt, draft.release.lease.epoch)
    if receipt.action is Action.CANCEL:
        _take_cancel(draft, task, receipt.reply, policy)
    elif draft.release.state in CANCELS or task.state in SETTLED_TASKS:
        _take_late(draft, task, receipt.reply)
    elif isinstance(receipt.reply, Silence):
        _take_silence(draft, task, receipt.action, receipt.reply, policy)
    elif receipt.action is not Action.GET_STATUS:
        _take_action(draft, task, receipt.action, receipt.reply, policy)
    elif in_doubt(task):
        _take_check(draft, task, receipt.reply, policy)
    else:
        _take_poll(draft, task, receipt.reply, policy)


def _unfenced(receipt: Receipt, epoch: int) -> Receipt:
    """Return the receipt, as no answer where a service takes us for one who has been replaced: we have not been.

    Its epoch is above that of the lease where the database was put back to an older state.
    """
    reply = receipt.reply
    if isinstance(reply, Refusal) and reply.epoch is not None and reply.epoch > epoch:
        return Receipt(receipt.task_id, receipt.action, Silence(f"{reply.reason}; the lease here is of epoch {epoch}"))
    return receipt


def _take_action(draft: Draft, task: Task, action: Action, reply: Answer | Refusal, policy: Policy) -> None:
    if isinstance(reply, Refusal):
        _refuse(draft, task, action, reply.reason)
    elif reply.state is not None and reply.state not in ACCEPTED[action]:
        _refuse(draft, task, action, f"the service answered {reply.state}")
    else:
        _agree(draft, task, reply.state or WANTED[action], reply, policy)


def _take_check(draft: Draft, task: Task, reply: Answer | Refusal, policy: Policy) -> None:
    """Take the answer to the question whether an action arrived.

    A service that does not know the task says so with some error: it has not been initialized, and may be now.
    """
    told = task.told or Action.INITIALIZE
    if isinstance(reply, Refusal):
        if told is Action.INITIALIZE:
            draft.set_task(task.kf_id, delivery=Delivery.ABSENT)
        else:
            _refuse(draft, task, Action.GET_STATUS, reply.reason)
    elif reply.state in ENDED_EARLY:
        draft.end_task(task.kf_id, reply.state, reply.findings.error)
    elif reply.state is not None and reached(reply.state, WANTED[told]):
        _agree(draft, task, reply.state, reply, policy)
    else:
        draft.set_task(task.kf_id, delivery=Delivery.ABSENT)


def _take_poll(draft: Draft, task: Task, reply: Answer | Refusal, policy: Policy) -> None:
    if isinstance(reply, Refusal):
        _refuse(draft, task, Action.GET_STATUS, reply.reason)
    elif reply.state in ENDED_EARLY:
        draft.end_task(task.kf_id, reply.state, reply.findings.error)
    else:
        _agree(draft, task, reply.state or task.state, reply, policy)


def _take_silence(draft: Draft, task: Task, action: Action, silence: Silence, policy: Policy) -> None:
    """Ask again after a pause, or give up; an action that a callback has answered meanwhile needs no answer."""
    answered = action in WANTED and reached(task.state, WANTED[action])
    if answered or not holds_up(draft.release.state, task):
        return
    attempts = task.attempts + 1
    asked = f"request to {task.told if in_doubt(task) and task.told else action} task"
    if attempts >= policy.attempts:
        draft.set_task(task.kf_id, attempts=attempts)
        cause = f"{asked} failed: no answer in {attempts} attempts, the last: {silence.reason}"
        draft.fail_task(task.kf_id, TaskState.FAILED, cause)
        return
    pause = policy.pause(attempts, silence.retry_after_s)
    doubt = Delivery.DOUBTFUL if in_doubt(task) else task.delivery
    message = f"{asked} got no answer ({silence.reason}); asking again in {pause.total_seconds():g} s"
    task = draft.set_task(task.kf_id, attempts=attempts, delivery=doubt, due_at=draft.now + pause, last_error=message)
    draft.note(message, event_type=EventType.WARNING, task=task)


def _take_cancel(draft: Draft, task: Task, reply: Reply, policy: Policy) -> None:
    if isinstance(reply, Answer) or (isinstance(reply, Refusal) and reply.status < SERVER_ERROR):
        if draft.settled:
            _tell_arrival(draft, task, reply)
        _take_late(draft, task, reply)
        task = draft.set_task(task.kf_id, cancel=Delivery.ANSWERED, due_at=None)
        if task.state not in SETTLED_TASKS:
            draft.move_task(task.kf_id, TaskState.CANCELED)
        return
    attempts = task.attempts + 1
    asked_for_s = reply.retry_after_s if isinstance(reply, Silence) else None
    message = f"request to cancel task failed: {reply.reason}"
    if attempts == 1:
        draft.note(f"{message}; it is tried again", event_type=EventType.ERROR, task=task)
    draft.set_task(
        task.kf_id,
        cancel=Delivery.DOUBTFUL,
        attempts=attempts,
        due_at=draft.now + policy.pause(attempts, asked_for_s),
        last_error=message,
    )


def _tell_arrival(draft: Draft, task: Task, reply: Reply) -> None:
    """Tell of a cancel that was delivered after the release had ended, and of a service that had published by then."""
    draft.note(f"cancel of task {task.kf_id} arrived after {task.attempts + 1} attempts", task=task)
    said = reply.state if isinstance(reply, Answer) else None
    if said is TaskState.PUBLISHED and task.told is Action.PUBLISH and task.state is not said:
        draft.set_release(partially_published=True)
        draft.note(
            f"partial publish: live in {task.service_name} too, as its late answer says", event_type=EventType.ERROR
        )


def _take_late(draft: Draft, task: Task, reply: Reply) -> None:
    """Take what a reply adds when the release is over: that the service did publish, which nothing can undo."""
    said = reply.state if isinstance(reply, Answer) else None
    if said is TaskState.PUBLISHED and task.told is Action.PUBLISH and task.state not in SETTLED_TASKS:
        draft.move_task(task.kf_id, *route(task.state, said))


def _agree(draft: Draft, task: Task, state: TaskState, answer: Answer, policy: Policy) -> None:
    """Store that the service is with us: forward moves, progress, and when to look again."""
    if answer.complaint and answer.complaint != task.last_error:
        draft.note(
            f"progress of task {task.kf_id} ignored: {answer.complaint}", event_type=EventType.WARNING, task=task
        )
    draft.move_task(task.kf_id, *route(task.state, state))
    draft.take_findings(task.kf_id, answer.findings)
    draft.set_task(
        task.kf_id,
        delivery=Delivery.ANSWERED,
        attempts=0,
        due_at=draft.now + policy.poll_interval,
        last_error=answer.complaint or "",
    )
    if answer.progress is not None and draft.tasks[task.kf_id].state is state:
        _take_progress(draft, task, state, answer.progress)


def _take_progress(draft: Draft, task: Task, state: TaskState, progress: int) -> None:
    """Take a progress that is about the step at hand; the end of a step is its own hundred percent."""
    if state in {TaskState.RUNNING, TaskState.PUBLISHING}:
        draft.set_progress(task.kf_id, progress)


def _refuse(draft: Draft, task: Task, action: Action, reason: str) -> None:
    draft.set_task(task.kf_id, delivery=Delivery.ANSWERED)
    state = TaskState.REJECTED if task.state is TaskState.WAITING else TaskState.FAILED
    draft.fail_task(task.kf_id, state, f"request to {action} task failed: {reason}")
