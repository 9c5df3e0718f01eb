"""One run of one function of the service, in a thread that is its own, with a way to stop it.

The desk decides what is to run and what its end means; here it only runs. A plain function is called; an async one
gets an event loop in the same thread, so that neither can delay an answer by blocking. To be stopped, an async
function is cancelled where it awaits; a plain one learns it at its next `task.progress()` or `task.check()`, and one
that calls neither runs to its end.

Such a run is a `Step`. A `Worker` is what is known in memory of a task that is at work in this process, from one step
to the next; the desk and its watch change it.
"""

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from threading import Lock, Thread
from typing import Final

from lockstep.protocol.states import TaskState
from lockstep.taskkit.coordinator import Coordinator
from lockstep.taskkit.log_lines import Level, Line, LineLimit
from lockstep.taskkit.store import AT_WORK, Metric, StoredTask
from lockstep.taskkit.task import Task, TaskFailed, TaskFunction
from lockstep.taskkit.threads import make_loop

_log = logging.getLogger("lockstep.taskkit")

_LEVELS: Final = {Level.INFO: logging.INFO, Level.WARNING: logging.WARNING, Level.ERROR: logging.ERROR}
_ERROR_LENGTH: Final = 1000
_SHOWN_ERRORS: Final = 3


class Work(StrEnum):
    """The three functions that a service has, by what they are for."""

    STAGE = "stage"
    PUBLISH = "publish"
    CANCEL = "cancel"


WORK: Final = {TaskState.RUNNING: Work.STAGE, TaskState.PUBLISHING: Work.PUBLISH}
"""The work that a state stands for; a task that is over may have `Work.CANCEL` to do besides."""

DONE: Final = {TaskState.RUNNING: TaskState.STAGED, TaskState.PUBLISHING: TaskState.PUBLISHED}
"""The state that the end of the work brings."""


class Step:
    """A function at work on a task as it was stored when the work began."""

    def __init__(
        self,
        stored: StoredTask,
        function: TaskFunction | None,
        coordinator: Coordinator | None,
        on_progress: Callable[[int], None],
        on_line: Callable[[Line], None],
    ) -> None:
        self.stored = stored
        self.is_stopped = False
        self.metrics: Mapping[str, Metric] | None = None
        self.preview: str | None = None
        self.was_heard = False
        self._is_over = False
        self._function = function
        self._coordinator = coordinator
        self._on_progress = on_progress
        self._on_line = on_line
        self._limit = LineLimit()
        self._lock = Lock()
        self._cancel_async: Callable[[], object] | None = None

    def run(self) -> BaseException | None:
        """Call the function and wait for its end; return what it raised. A service without it has nothing to do."""
        if self._function is None:
            return None
        task = Task(
            self.stored,
            coordinator=self._coordinator,
            on_progress=self._on_progress,
            is_stopped=self._hear,
            on_staged=self._note_staged,
            on_line=self._write,
        )
        try:
            returned = self._function(task)
            if inspect.isawaitable(returned):
                with asyncio.Runner(loop_factory=make_loop) as runner:
                    runner.run(self._stoppable(returned))
        except BaseException as error:  # noqa: BLE001 - whatever the function does, it ends here and not the service
            return error
        finally:
            self._is_over = True
        return None

    def stop(self) -> None:
        """Tell the function to stop. Returns at once; `run` ends when the function does."""
        with self._lock:
            self.is_stopped = True
            if self._cancel_async is not None:
                self._cancel_async()

    def _hear(self) -> bool:
        """Note that the function looked up from its work, and tell it whether to stop."""
        self.was_heard = True
        return self.is_stopped or self._is_over

    def _write(self, level: Level, text: str) -> None:
        _log.log(_LEVELS[level], "task %s: %s", self.stored.task_id, text)
        if (line := self._limit.pass_on(text)) is not None:
            self._on_line(Line(self.stored.task_id, self.stored.release_id, level, line))

    def _note_staged(self, metrics: Mapping[str, Metric], preview: str | None) -> None:
        if self.stored.state is not TaskState.RUNNING:
            raise RuntimeError("task.staged() belongs into the stage function")
        self.metrics, self.preview = metrics, preview

    async def _stoppable(self, work: Awaitable[None]) -> None:
        running = asyncio.ensure_future(work)
        with self._lock:
            self._cancel_async = partial(asyncio.get_running_loop().call_soon_threadsafe, running.cancel)
            if self.is_stopped:
                running.cancel()
        try:
            await running
        finally:
            with self._lock:
                self._cancel_async = None


@dataclass(slots=True)
class Worker:
    """A task at work: as it is stored, how far it is in percent, and the function that runs just now.

    `beaten_at` is when others were last told that it is at work, and `is_lost` says that it is not ours any more.
    """

    record: StoredTask
    progress: int = 0
    step: Step | None = None
    thread: Thread | None = None
    beaten_at: float = field(default_factory=time.monotonic)
    is_lost: bool = False

    def seen(self) -> StoredTask:
        """Return the task with the progress of the work on it."""
        record = self.record
        return replace(record, progress=self.progress) if record.state in AT_WORK else record

    def stop(self) -> None:
        """Tell the function that runs just now to stop, if one does; returns at once."""
        if self.step is not None:
            self.step.stop()


def finished(stored: StoredTask, step: Step) -> StoredTask:
    """Return a task as it is when its function came to its end, with what the function said about that."""
    if stored.state is TaskState.RUNNING:
        return replace(stored, state=TaskState.STAGED, progress=100, metrics=step.metrics, preview=step.preview)
    if stored.state in DONE:
        return replace(stored, state=DONE[stored.state], progress=100)
    return replace(stored, cleanup_due=False)


def failed(stored: StoredTask, progress: int, error: BaseException) -> StoredTask:
    """Return a task as it is when its staging or publishing raised; what there is of it is to be thrown away."""
    return replace(
        stored,
        state=TaskState.FAILED,
        progress=progress,
        attempt=1,
        cleanup_due=True,
        error=describe(error),
        retryable=error.retryable if isinstance(error, TaskFailed) else None,
    )


def describe(error: BaseException) -> str:
    """Return the sentence for what a function raised; of a group, the sentences of its first members.

    A `TaskFailed` and a plain `RuntimeError` have nothing to add to their text; the name of any other error is part of
    what it says.
    """
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(describe(member) for member in error.exceptions[:_SHOWN_ERRORS])[:_ERROR_LENGTH]
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in str(error)).split())
    name = type(error).__name__
    sentence = text if type(error) in {RuntimeError, TaskFailed} else f"{name}: {text}"
    return sentence[:_ERROR_LENGTH] if text else name
