"""Where a task service keeps its tasks: the port that every store implements, and the one in memory.

A store is a table of tasks and two promises. What it said yes to is there after the process was killed (`MemoryStore`
makes no such promise and is for tests). And `replace` is a comparison and a change in one: of two callers who saw
the same task, one changes it and the other learns that it came too late. Nothing else here knows any rule: which
change is right is decided by whoever calls.

Some stores belong to one process at a time. In others (`lease_s`) many processes of one service may work side by side;
how they keep off each other's tasks is told in `lease`.

Every method may be called from any thread, may block for a moment, and raises `StoreUnavailable` when the store
cannot be used just now. `tests/taskkit/test_task_stores.py` is the contract, one suite for all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final, Protocol

from lockstep.protocol.states import TaskState

AT_WORK: Final = frozenset({TaskState.RUNNING, TaskState.PUBLISHING})
"""The states in which a function of the service is at work."""


Metric = int | float | str | bool
"""What a service can say about what it staged: a count, a share, a word."""


class StoreUnavailable(Exception):
    """The tasks can be neither read nor written just now; the text says why."""


@dataclass(frozen=True, slots=True)
class StoredTask:
    """One task as it is kept.

    `progress` is in percent and changes with the state only: between two states it is known to the work alone.
    `attempt` counts how many times the work of the present state was begun, from 1. `cleanup_due` says that the
    task is over and the cancel function has not finished yet. `error` is the sentence of the failure, and `retryable`
    whether another release may fare better, where the function said so. `epoch` is the highest that a request for the
    task came with, if any came with one. `metrics` and `preview` are what the stage function said about what it staged.
    `callback_token` is what the coordinator gave to report on the task with, if it gave anything. Where processes share
    a store, `holder` is the one that works on the task, and `beat` a number that rises for as long as it does; the
    progress is kept with each beat.
    """

    task_id: str
    release_id: str
    state: TaskState = TaskState.PENDING
    progress: int = 0
    studies: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    attempt: int = 0
    cleanup_due: bool = False
    error: str | None = None
    epoch: int | None = None
    retryable: bool | None = None
    metrics: Mapping[str, Metric] | None = None
    preview: str | None = None
    callback_token: str | None = field(default=None, repr=False)
    holder: str | None = None
    beat: int = 0

    @property
    def is_due(self) -> bool:
        """Whether a function has to run for this task."""
        return self.state in AT_WORK or self.cleanup_due

    def findings(self) -> dict[str, Any]:
        """Return what there is to say about the task besides its state and progress, as answers and reports say it."""
        said = {
            "error": self.error,
            "retryable": self.retryable,
            "metrics": self.metrics or None,
            "preview": self.preview,
        }
        return {name: value for name, value in said.items() if value is not None}


class TaskStore(Protocol):
    """The port.

    Attributes:
        lease_s: how long a process may stay silent before others take over its tasks, in seconds; None where a store
            belongs to one process at a time.
    """

    lease_s: float | None

    def open(self) -> None:
        """Make ready, and claim a store that is not shared; again on an open store: nothing happens.

        Raises:
            StoreUnavailable: it cannot be opened, or belongs to another process that is alive.
        """

    def close(self) -> None:
        """Give the store back; again on a closed store: nothing happens."""

    def get(self, task_id: str) -> StoredTask | None:
        """Return a task, or None when it is not known."""

    def add(self, task: StoredTask) -> bool:
        """Keep a new task; False, and no change, when its id is taken."""

    def replace(self, seen: StoredTask, new: StoredTask) -> bool:
        """Put `new` in the place of `seen`; False, and no change, when its state, attempt or epoch is another now."""

    def due(self) -> Sequence[StoredTask]:
        """Return the tasks for which a function has to run (`StoredTask.is_due`); the latest changes may be missing."""

    def staged(self) -> Sequence[StoredTask]:
        """Return the tasks that wait for a decision; the latest changes may be missing."""


class MemoryStore:
    """Tasks in a dictionary, gone with the process: for tests, and for services whose work leaves nothing behind."""

    lease_s: float | None = None

    def __init__(self) -> None:
        self._lock = Lock()
        self._tasks: dict[str, StoredTask] = {}

    def open(self) -> None:
        """Nothing to open."""

    def close(self) -> None:
        """Nothing to close; the tasks stay, so that a test can restart its service."""

    def get(self, task_id: str) -> StoredTask | None:
        """Return a task, or None when it is not known."""
        return self._tasks.get(task_id)

    def add(self, task: StoredTask) -> bool:
        """Keep a new task; False when its id is taken."""
        with self._lock:
            if task.task_id in self._tasks:
                return False
            self._tasks[task.task_id] = task
            return True

    def replace(self, seen: StoredTask, new: StoredTask) -> bool:
        """Put `new` in the place of `seen` unless its state, attempt or epoch changed."""
        with self._lock:
            kept = self._tasks.get(seen.task_id)
            if kept is None or (kept.state, kept.attempt, kept.epoch) != (seen.state, seen.attempt, seen.epoch):
                return False
            self._tasks[seen.task_id] = new
            return True

    def due(self) -> Sequence[StoredTask]:
        """Return the tasks for which a function has to run."""
        with self._lock:
            return [task for task in self._tasks.values() if task.is_due]

    def staged(self) -> Sequence[StoredTask]:
        """Return the tasks that wait for a decision."""
        with self._lock:
            return [task for task in self._tasks.values() if task.state is TaskState.STAGED]
