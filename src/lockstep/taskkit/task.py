"""What a function of the service is given: the task it works for.

`Task` is the whole of what a stage, publish or cancel function needs to know of the protocol: what to work on, a way
to say how far it is, and a way to learn that it should stop. It holds no rule; the desk decides what a progress or a
stop means.
"""

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from lockstep.taskkit.coordinator import Coordinator, CoordinatorError
from lockstep.taskkit.log_lines import Level
from lockstep.taskkit.store import Metric, StoredTask

MOST_METRICS: Final = 100
LONGEST_TEXT: Final = 1000


class TaskCanceled(BaseException):
    """The work is to stop: its task was canceled, or the service is going down.

    Like the end of an asyncio task it is no `Exception`, so that a function's own `except Exception` lets it pass.
    A function need not catch it. What is to be thrown away is the cancel function's business: after a mere stop of
    the service the work is run again and may want what is there.
    """


class TaskFailed(Exception):
    """Raised by a function whose work cannot be done; the text is the sentence that people read.

    `retryable` says whether the same may succeed in another release without anybody doing anything about it (the disk
    was full, a service did not answer), or whether somebody has to.
    """

    def __init__(self, sentence: str, *, retryable: bool | None = None) -> None:
        super().__init__(sentence)
        self.retryable = retryable


class Task:
    """One release's task in this service, as its functions see it.

    Attributes:
        id: the task's id, such as `TA_8BAN4D31`.
        release_id: the id of the release that it belongs to.
        studies: the ids of the studies to be released.
        urls: one address in the data service per study, in the same order; empty if the coordinator sent none.
        attempt: 1, and one more for each time that the process ended in the middle of this work and it was run again.
    """

    def __init__(
        self,
        stored: StoredTask,
        *,
        coordinator: Coordinator | None,
        on_progress: Callable[[int], None],
        is_stopped: Callable[[], bool],
        on_staged: Callable[[Mapping[str, Metric], str | None], None],
        on_line: Callable[[Level, str], None],
    ) -> None:
        self.id = stored.task_id
        self.release_id = stored.release_id
        self.studies = stored.studies
        self.urls = stored.urls
        self.attempt = stored.attempt
        self._coordinator = coordinator
        self._on_progress = on_progress
        self._is_stopped = is_stopped
        self._on_staged = on_staged
        self._on_line = on_line

    def progress(self, done: float, of: float = 100) -> None:
        """Say how far the work is: `done` parts `of` so many, percent if not told otherwise.

        Returns at once, from any thread and from async functions as well; the coordinator is told in the background.

        Raises:
            TaskCanceled: the work is to stop.
        """
        self.check()
        self._on_progress(int(min(100, max(0, 100 * done / of))) if of > 0 else 100)

    def check(self) -> None:
        """Go on, or stop here.

        Raises:
            TaskCanceled: the work is to stop.
        """
        if self._is_stopped():
            raise TaskCanceled(f"task {self.id} is to stop")

    def log(self, text: str, level: str = "info") -> None:
        """Write a line about the work: into the service's log, and among the events of the release.

        Returns at once, from any thread. Of many lines some do not become events; the next one says how many.

        Args:
            text: what people are to know; line breaks become spaces.
            level: `info`, `warning` or `error`.

        Raises:
            ValueError: there is no such level.
        """
        self._on_line(Level(level), text)

    def staged(self, *, metrics: Mapping[str, Metric] | None = None, preview: str | None = None) -> None:
        """Say what was staged, for the person who reviews the release; for the stage function, best at its end.

        Args:
            metrics: up to 100 figures or words by their names, such as `{"documents": 1204, "warnings": 0}`.
            preview: an address at which what was staged can be looked at.

        Raises:
            ValueError: there are too many metrics, one is neither a number nor a text, or the preview is no address.
        """
        self._on_staged(_checked_metrics(metrics or {}), _checked_preview(preview))

    async def release(self) -> dict[str, Any]:
        """Ask the coordinator for the release, as its `GET /releases/{id}` shows it.

        While publishing, its `version` is the one that will be public. A function that is not async calls it by
        `asyncio.run(task.release())`.

        Raises:
            CoordinatorError: there is no coordinator to ask, it did not answer, or it refused.
        """
        if self._coordinator is None:
            raise CoordinatorError(
                "this task service knows no coordinator to ask for the release; "
                "set LOCKSTEP_COORDINATOR_URL, or coordinator_url of the TaskService"
            )
        return await self._coordinator.release(self.release_id, self.id)


TaskFunction = Callable[[Task], Awaitable[None]] | Callable[[Task], None]
"""A stage, publish or cancel function, async or not."""


def _checked_metrics(metrics: Mapping[str, Metric]) -> dict[str, Metric]:
    """Return metrics that every reader of JSON can take."""
    if len(metrics) > MOST_METRICS:
        raise ValueError(f"a task has at most {MOST_METRICS} metrics, not {len(metrics)}")
    for name, value in metrics.items():
        if not _is_metric(name, value):
            raise ValueError(
                f"a metric is a number or a short text under a short name, not {name!r:.60}: {value!r:.60}"
            )
    return dict(metrics)


def _is_metric(name: object, value: object) -> bool:
    if not _is_short_text(name) or not name:
        return False
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) or _is_short_text(value)


def _is_short_text(value: object) -> bool:
    """Tell whether a value is a text that is short, and whole: a file's name can hold half of a surrogate pair."""
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _checked_preview(preview: str | None) -> str | None:
    if preview is None:
        return None
    parts = urlsplit(preview)
    if parts.scheme not in {"http", "https"} or not parts.hostname or len(preview) > LONGEST_TEXT:
        raise ValueError(f"a preview is an address such as https://preview.example.org, not {preview!r:.60}")
    return preview
