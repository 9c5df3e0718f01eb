"""Which process works on which task, where several of them share a store.

The process that puts a task to work is its holder, and says so again every second, or every fifth of a lease shorter
than five, by a `beat`: a number beside the task, one higher each time, with how far the work is. Whoever sees the same
beat for the length of a lease takes the task over, which raises its `attempt`; of many who try, the store lets one
through. A holder that could not beat for two thirds of the lease stops its work before that may happen. A process that
stops in order gives its tasks back, and they are taken up at the next beat of another.

No two clocks are compared: each process measures by its own how long *it* has seen nothing new, and begins anew after
the store was out of reach. A process that hangs for longer than the lease and then wakes may find its work done by
another, and learns that with its next beat; its own end of the work is refused by the store. Functions have to bear
being run twice anyway.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from lockstep.taskkit.store import StoredTask

DEFAULT_LEASE_S: Final = 15.0
"""Long enough for a loaded machine, short enough that work goes on soon after a crash."""

BEATS: Final = 5
"""Beats in a lease, at the least."""

LONGEST_BEAT_S: Final = 1.0
"""How old the progress may be that other processes tell."""

SAFE_PART: Final = 2 / 3
"""The part of the lease after which a holder that could not beat stops its work."""

Sign = tuple[str | None, int, int, str]


class Lease:
    """The view of one process; where `lease_s` is None the store belongs to it alone, and every task is its own.

    Called under the lock of the desk.
    """

    def __init__(self, lease_s: float | None) -> None:
        self._lease_s = lease_s
        self._holder = ""
        self._seen: dict[str, tuple[Sign, float]] = {}
        self._left_alone: set[str] = set()

    @property
    def is_shared(self) -> bool:
        """Whether there may be other processes."""
        return self._lease_s is not None

    @property
    def beat_s(self) -> float:
        """How long it is from one beat to the next, in seconds."""
        return min((self._lease_s or 0.0) / BEATS, LONGEST_BEAT_S)

    def begin(self) -> None:
        """Be somebody new: what a process before or beside this one holds is not ours, fork or not."""
        self._holder = secrets.token_hex(8)
        self._left_alone.clear()
        self.forget()

    def forget(self) -> None:
        """Forget what was seen of other processes: the store was out of reach, for them perhaps as well."""
        self._seen.clear()

    def leave_alone(self, task_id: str) -> None:
        """Do not take a task up again in this process; another may try."""
        self._left_alone.add(task_id)

    def is_mine(self, task: StoredTask) -> bool:
        """Tell whether this process holds a task."""
        return not self.is_shared or task.holder == self._holder

    def held(self, before: StoredTask | None, after: StoredTask) -> StoredTask:
        """Return a changed task with its holder: what begins is ours, what others do stays theirs."""
        if not self.is_shared or after is before:
            return after
        if not after.is_due:
            return replace(after, holder=None)
        is_at_work = before is not None and before.is_due and before.holder is not None
        return after if is_at_work else replace(after, holder=self._holder)

    def taken_up(self, left: StoredTask) -> StoredTask:
        """Return a task whose work this process begins again."""
        again = replace(left, attempt=left.attempt + 1)
        return replace(again, holder=self._holder, beat=0) if self.is_shared else again

    def free(self, due: Sequence[StoredTask]) -> list[StoredTask]:
        """Return those of the tasks at work that nobody works on, this process included."""
        if not self.is_shared:
            return list(due)
        now = time.monotonic()
        seen = {task.task_id: _sign(task) for task in due}
        since = {task_id: at for task_id, (sign, at) in self._seen.items() if seen.get(task_id) == sign}
        self._seen = {task_id: (sign, since.get(task_id, now)) for task_id, sign in seen.items()}
        return [task for task in due if self._is_free(task, now)]

    def is_at_risk(self, beaten_at: float) -> bool:
        """Tell whether another may soon take over what this process last said of at a moment of `time.monotonic`."""
        return self._lease_s is not None and time.monotonic() - beaten_at > SAFE_PART * self._lease_s

    def _is_free(self, task: StoredTask, now: float) -> bool:
        if task.task_id in self._left_alone:
            return False
        if task.holder is None or self.is_mine(task):
            return True
        return now - self._seen[task.task_id][1] >= (self._lease_s or 0.0)


def _sign(task: StoredTask) -> Sign:
    return task.holder, task.beat, task.attempt, task.state
