"""The life of a report: what the task service does on start, publish and cancel.

The task kit calls these, one thread per task, and may call each of them twice: after the process was killed, the work
begins again. Every write names the mark that was seen, so whatever came between (a cancel, most likely) wins, and what
is too late changes nothing. A store blocks while it writes, and may: the thread and its event loop are the task's own,
and a cancel that found a write half done could not tell what to undo.

    start    → running    from nothing; from running or failed, if it is ours; from what another task gave up
    counted  → staged     from running, with all counts
             → failed     from running, when counts could not be had and the service is set to mind
    publish  → published  from staged, with the final version on every row
             → failed     from staged, when the coordinator does not tell the final version
    cancel   → canceled   from running and staged; from published too, since the kit asks for it only if the task
                          itself did not get to be published
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lockstep.dataservice.answers import shown
from lockstep.reports.counting import StudyCounts, failures
from lockstep.reports.report import Heading, Mark, Publication, Report, ReportState
from lockstep.reports.sources import OpenSource, Release, count_all
from lockstep.reports.store import ReportStore
from lockstep.taskkit import CoordinatorError, Task

_SHOWN_FAILURES: Final = 5
_OVER: Final = frozenset({ReportState.CANCELED, ReportState.FAILED})


class ReportError(Exception):
    """The report cannot be made or published; the text says why."""


class CountsMissing(ReportError):
    """Counts that should be there could not be had, and the service is set to fail then."""


@dataclass(frozen=True, slots=True)
class ReportLife:
    """What the service does with its tasks.

    Attributes:
        store: where reports are kept.
        open_source: opens the source of counts for a release.
        connections: counts that are asked for at the same time.
        fail_on_unknown: whether a count that could not be had fails the task; if not, the report says so and goes on.
        now: the time, with its zone.
    """

    store: ReportStore
    open_source: OpenSource
    connections: int
    fail_on_unknown: bool
    now: Callable[[], datetime]

    async def stage(self, task: Task) -> None:
        """Count everything and write the report.

        Raises:
            ReportError: the report belongs to another task, was canceled meanwhile, or lacks counts.
            StoreUnavailable: the report cannot be written.
        """
        studies = tuple(dict.fromkeys(task.studies))
        seen = self._seen(task)
        if seen is not None and seen.task_id == task.id and seen.state in {ReportState.STAGED, ReportState.PUBLISHED}:
            return
        release = await _release(task)
        heading = Heading(task.release_id, task.id, _version(release), ReportState.RUNNING, self.now())
        running = Mark(task.id, ReportState.RUNNING)
        self._write(Report.of(heading, {study_id: {} for study_id in studies}), seen)
        try:
            async with self.open_source(release) as source:
                counts = await count_all(source, studies, connections=self.connections, on_count=task.progress)
        except Exception:
            self.store.move(task.release_id, running, ReportState.FAILED)
            raise
        self._conclude(heading, counts, running)

    async def publish(self, task: Task) -> None:
        """Set the final version and the state on every row.

        Raises:
            ReportError: there is no staged report of this task, or the coordinator names no version.
            CoordinatorError: the coordinator does not show the release.
            StoreUnavailable: the rows cannot be written.
        """
        seen = self.store.mark(task.release_id)
        if seen is None or seen.task_id != task.id or seen.state in {ReportState.RUNNING, ReportState.CANCELED}:
            raise ReportError(f"there is no staged report of release {task.release_id} that could be published")
        if seen.state is ReportState.PUBLISHED:
            return
        try:
            version = await _final_version(task)
        except (CoordinatorError, ReportError):
            self.store.move(task.release_id, seen, ReportState.FAILED)
            raise
        if not self.store.move(task.release_id, seen, ReportState.PUBLISHED, Publication(version, self.now())):
            raise ReportError(f"the report of release {task.release_id} was changed while it was being published")

    def cancel(self, task: Task) -> None:
        """Mark the rows as canceled; those that say why they failed go on saying so.

        Raises:
            StoreUnavailable: the rows cannot be written; the kit comes back to it at its next start.
        """
        while (seen := self.store.mark(task.release_id)) is not None:
            if seen.task_id != task.id or seen.state in _OVER:
                return
            if self.store.move(task.release_id, seen, ReportState.CANCELED):
                return

    def _seen(self, task: Task) -> Mark | None:
        seen = self.store.mark(task.release_id)
        if seen is None or seen.task_id == task.id or seen.state in _OVER:
            return seen
        raise ReportError(
            f"release {task.release_id} is being reported on by task {seen.task_id} already; "
            "is this service registered twice?"
        )

    def _conclude(self, heading: Heading, counts: Mapping[str, StudyCounts], running: Mark) -> None:
        missing = failures(counts) if self.fail_on_unknown else []
        state = ReportState.FAILED if missing else ReportState.STAGED
        ended = Heading(heading.release_id, heading.task_id, heading.version, state, heading.created_at)
        self._write(Report.of(ended, counts), running)
        if missing:
            more = f", and {len(missing) - _SHOWN_FAILURES} more" if len(missing) > _SHOWN_FAILURES else ""
            raise CountsMissing(f"{len(missing)} counts could not be had: {'; '.join(missing[:_SHOWN_FAILURES])}{more}")

    def _write(self, report: Report, seen: Mark | None) -> None:
        if not self.store.write(report, seen):
            release_id = report.summary.heading.release_id
            raise ReportError(f"the report of release {release_id} was changed by another while it was being made")


async def _release(task: Task) -> Release:
    """Return the release as the coordinator shows it; empty, and no harm while counting, when nobody can tell."""
    try:
        return await task.release()
    except CoordinatorError:
        return {}


async def _final_version(task: Task) -> str:
    version = _version(await task.release())
    if not version:
        raise ReportError(f"the coordinator names no version for release {task.release_id}")
    return version


def _version(release: Release) -> str | None:
    version = release.get("version")
    return shown(version) if isinstance(version, str) else None
