"""One decision about one release: from what is stored, and what has come in, to what is stored and sent next.

`decide` is the whole engine without its hands. It takes the receipts, lets deadlines pass, applies the joint rules,
ends what can end, and plans the sends, all in one go, so that one commit serves many answers and every step that
needs no answer. It may be called at any time, any number of times; when there is nothing to do it changes nothing.

The lease lives here too. A decision that sends something takes it, keeps it while requests are on their way, and gives
it back in the same commit that finds none; a decision that sends nothing needs none, since the commit is one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from lockstep.coordinator.core.draft import Draft
from lockstep.coordinator.core.errors import LeaseHeld, LeaseLost
from lockstep.coordinator.core.joint import JOINT_RULES, JointRule, settle
from lockstep.coordinator.core.model import Change, EventType, Lease, Snapshot, Task
from lockstep.coordinator.core.policy import Policy
from lockstep.coordinator.core.replies import Receipt, take
from lockstep.coordinator.core.sends import (
    Send,
    action_due,
    expire_deliveries,
    next_due,
    plan,
    task_deadline,
)
from lockstep.coordinator.core.standing import cancel_delivered, holds_up
from lockstep.protocol.messages import Refusal
from lockstep.protocol.states import SETTLED_TASKS, ReleaseState, TaskState

_HIGHEST_EPOCH: Final = 10**9
"""No coordinator has counted further; what a service says beyond that is a mistake, which must not become ours."""

_TIMED: Final = frozenset({ReleaseState.INITIALIZING, ReleaseState.RUNNING, ReleaseState.PUBLISHING})


@dataclass(frozen=True, slots=True)
class Worker:
    """Who decides: a name, unique among all that ever ran, and whether it is known to be the only one alive.

    A worker that is alone need not wait for the lease of a dead one to run out. No worker decides twice at once about
    one release, so a lease in its own name that it does not hold is left over and may be taken as well.
    """

    name: str
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What a decision came to.

    Attributes:
        change: what is to be stored.
        sends: what is to be sent once it is stored.
        epoch: the lease epoch under which the sends go out, 0 when the lease is not held.
        look_again_at: when there will be something to do that nothing announces; None for never.
    """

    change: Change
    sends: tuple[Send, ...]
    epoch: int
    look_again_at: datetime | None


def decide(
    snapshot: Snapshot,
    worker: Worker,
    receipts: Sequence[Receipt],
    now: datetime,
    policy: Policy,
    *,
    held_epoch: int = 0,
    rules: Sequence[JointRule] = JOINT_RULES,
) -> Decision:
    """Decide what is to be done about a release now.

    Args:
        snapshot: the release with all of its tasks.
        worker: who decides.
        receipts: replies to requests that this worker sent under `held_epoch`.
        now: the time.
        policy: the deployment's patience.
        held_epoch: the epoch of the lease that the worker holds, 0 when it holds none.
        rules: the joint rules.

    Raises:
        LeaseHeld: another worker has requests of this release on their way.
        LeaseLost: the worker held the lease and another has taken it.
    """
    epoch = _epoch(snapshot.release.lease, worker, held_epoch, now)
    draft = Draft(snapshot, now)
    for receipt in receipts:
        take(draft, receipt, policy)
    epoch = _above_all(draft, epoch, receipts)
    _pass_deadlines(draft, policy, epoch)
    settle(draft, rules)
    _end_canceling(draft, policy)
    expire_deliveries(draft, policy)
    sends = plan(draft, epoch)
    look_again_at = next_due(draft, policy)
    flying = any(task.flight_epoch == epoch for task in draft.tasks.values())
    _set_lease(draft, worker, epoch if flying else 0, look_again_at, policy)
    return Decision(draft.change(), sends, epoch if flying else 0, look_again_at)


def give_back(snapshot: Snapshot, worker: Worker, held_epoch: int, now: datetime) -> Change:
    """Decide to leave a release to others at once, with requests still on their way; nothing if the lease is lost.

    Those requests are in doubt for whoever comes next, who asks the services for their status, as after a crash.
    """
    draft = Draft(snapshot, now)
    lease = snapshot.release.lease
    if lease.owner == worker.name and lease.epoch == held_epoch:
        draft.set_release(lease=Lease(epoch=lease.epoch), look_at=now)
    return draft.change()


def _epoch(lease: Lease, worker: Worker, held_epoch: int, now: datetime) -> int:
    """Return the epoch under which the worker may act: the one that it holds, or the next."""
    if held_epoch:
        if lease.owner != worker.name or lease.epoch != held_epoch:
            raise LeaseLost(f"the lease of epoch {held_epoch} is lost to {lease.owner or 'nobody'}")
        return held_epoch
    foreign = lease.owner not in {None, worker.name}
    if foreign and not worker.alone and lease.until is not None and now < lease.until:
        raise LeaseHeld(f"{lease.owner} is at work on it until {lease.until}")
    return lease.epoch + 1


def _above_all(draft: Draft, epoch: int, receipts: Sequence[Receipt]) -> int:
    """Raise the lease's epoch above those that services refuse it for, and return it; requests on their way keep up.

    Nobody else has the lease, or nothing of this would be stored; so the database was put back to an older state, and
    without this the services would go on taking us for one who has been replaced.
    """
    refused = (receipt.reply for receipt in receipts if isinstance(receipt.reply, Refusal))
    seen = max((reply.epoch or 0 for reply in refused), default=0)
    if not epoch < seen <= _HIGHEST_EPOCH:
        return epoch
    for task in list(draft.tasks.values()):
        if task.flight_epoch == epoch:
            draft.set_task(task.kf_id, flight_epoch=seen + 1)
    draft.set_release(lease=replace(draft.release.lease, epoch=seen + 1))
    return seen + 1


def _set_lease(draft: Draft, worker: Worker, epoch: int, look_again_at: datetime | None, policy: Policy) -> None:
    """Store who is at work, and when somebody must look: soon after the holder's death, if there is a holder."""
    lease = draft.release.lease
    if epoch:
        until = draft.now + timedelta(seconds=policy.lease_s)
        draft.set_release(lease=Lease(worker.name, until, epoch), look_at=until)
        return
    if lease.owner is not None:
        draft.set_release(lease=Lease(epoch=lease.epoch))
    if draft.release.look_at != look_again_at:
        draft.set_release(look_at=look_again_at)


def _pass_deadlines(draft: Draft, policy: Policy, epoch: int) -> None:
    """Fail what has taken too long; a task only when there is nothing left to ask it, however long nobody was here."""
    state, since = draft.release.state, draft.release.step_since
    if state not in _TIMED:
        return
    for task in list(draft.tasks.values()):
        late = holds_up(state, task) and task_deadline(draft, task, policy) <= draft.now
        if late and task.flight_epoch != epoch and action_due(draft, task) is None:
            message = f"task {task.kf_id} failed: no sign of life in {policy.task_timeout_s:g} s while {task.state}"
            draft.fail_task(task.kf_id, TaskState.FAILED, message)
    if since + timedelta(seconds=policy.release_timeout_s) <= draft.now:
        message = f"release {draft.release.kf_id} failed: not done with {state} in {policy.release_timeout_s:g} s"
        draft.note(message, event_type=EventType.ERROR)
        draft.stop(ReleaseState.FAILED)


def _end_canceling(draft: Draft, policy: Policy) -> None:
    """End a canceling when every service has answered, or when the patience with those that do not is at its end."""
    if draft.release.state is not ReleaseState.CANCELING:
        return
    patience_ends = draft.release.step_since + timedelta(seconds=policy.cancel_patience_s)
    if draft.now < patience_ends and not all(map(cancel_delivered, draft.tasks.values())):
        return
    for task in list(draft.tasks.values()):
        if task.state not in SETTLED_TASKS:
            draft.move_task(task.kf_id, TaskState.CANCELED)
    _tell_partial_publish(draft)
    draft.move_release(draft.release.ending or ReleaseState.FAILED)


def _tell_partial_publish(draft: Draft) -> None:
    live = [task for task in draft.tasks.values() if task.state is TaskState.PUBLISHED]
    if not live:
        return
    dark = [task for task in draft.tasks.values() if task.state is not TaskState.PUBLISHED]
    draft.set_release(partially_published=True)
    message = (
        f"partial publish: live in {_names(live)}; not in {_names(dark)}"
        if dark
        else (f"partial publish: live in {_names(live)}, in all of its services, although the release was stopped")
    )
    draft.note(message, event_type=EventType.ERROR)


def _names(tasks: Sequence[Task]) -> str:
    names = sorted(task.service_name for task in tasks)
    shown = ", ".join(names[:20])
    return shown if len(names) <= 20 else f"{shown} and {len(names) - 20} more"  # noqa: PLR2004
