"""Importing the history of another coordinator: what is brought, in which order, and what is said of the rest.

Kinds come one after the other, each page by page, so that however long a history is, one page of it is held here, and
beside it the ids of its releases and tasks, by which later records are known to hang on something. Nothing is dropped
without a word: what is not brought is counted and named in the report, with the reason.

Nobody is told that something happened, since nothing did. Releases in flight stay where they are: a service that is
told by two coordinators what to do with one release would do it twice, so they are brought when they have ended.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from lockstep.coordinator.core.history import OF_ONE_LEFT_OUT, History, Kind, Piece, Remark, Sorted
from lockstep.coordinator.core.model import Delivery, Release
from lockstep.coordinator.core.records import Event, ReleaseNote, Study, TaskService, TaskView
from lockstep.coordinator.core.versions import Version
from lockstep.coordinator.ports import Clock, OtherCoordinator, Store
from lockstep.coordinator.services.import_report import Count, Report
from lockstep.protocol.states import SETTLED_RELEASES, ReleaseState

_MOVED: Final = re.compile(r"\bchanged from \w+ to (\w+)$")


class Import:
    """One import; `report` tells at any time how far it is.

    Args:
        source: where the history is.
        store: where it is brought.
        clock: the time.
        rehearse: change nothing, and only say what would be done.
        tell: called with each kind that has come further.
    """

    def __init__(
        self,
        source: OtherCoordinator,
        store: Store,
        clock: Clock,
        *,
        rehearse: bool = False,
        tell: Callable[[Kind, Count], None] = lambda kind, count: None,  # noqa: ARG005
    ) -> None:
        self.report = Report()
        self._source = source
        self._store = store
        self._clock = clock
        self._rehearse = rehearse
        self._tell = tell
        self._studies: set[str] = set()
        self._services: set[str] = set()
        self._releases: dict[str, ReleaseState] = {}
        self._tasks: dict[str, tuple[str, str]] = {}
        self._timed: set[str] = set()
        self._dated: set[str] = set()
        self._published_as: dict[Version, str] = {}

    async def run(self) -> Report:
        """Bring everything, and return what came of it. What was brought stays when this is broken off.

        Raises:
            NoSource: there is nothing to be read at the source.
            SourceAway: the source went away.
            Unavailable: our database did.
        """
        for kind in (Kind.STUDY, Kind.SERVICE, Kind.RELEASE, Kind.EVENT):
            async for piece in self._source.read(kind):
                self._remark(piece.left_out, piece.altered)
                await self._bring(kind, piece)
            self._tell(kind, self.report.counts[kind])
        self._remark((), self._undated())
        self.report.complete = True
        return self.report

    async def _bring(self, kind: Kind, piece: Piece) -> None:
        counted = self.report.counts[kind]
        history = piece.history
        self._studies.update(each.kf_id for each in history.studies)
        self._services.update(each.kf_id for each in history.services)
        if kind is Kind.RELEASE:
            history = self._ended(history)
        elif kind is Kind.EVENT:
            history = self._linked(history)
        came = await self._store.bring(history, self._clock.now(), rehearse=self._rehearse)
        self._take_note(history, came)
        counted.total = max(counted.read, piece.total)
        for told in (kind, Kind.TASK, Kind.NOTE) if kind is Kind.RELEASE else (kind,):
            self._tell(told, self.report.counts[told])

    def _ended(self, given: History) -> History:
        """Return what can be brought of a page of releases: those that have ended, with all that they need."""
        for each in given.releases:
            if each.state not in SETTLED_RELEASES:
                reason = f"is in flight there ({each.state}); it can be brought when it has ended"
                self._remark([Remark(Kind.RELEASE, each.kf_id, reason)])
        releases = [each for each in given.releases if each.state in SETTLED_RELEASES]
        ended = {each.kf_id: each.state for each in releases}
        tasks = [_laid_down(view, ended[view.release_id]) for view in given.tasks if view.release_id in ended]
        notes = [note for note in given.notes if note.release_id in ended]
        self._remark(
            Remark(Kind.TASK, view.task.kf_id, OF_ONE_LEFT_OUT) for view in given.tasks if view.release_id not in ended
        )
        self._remark(Remark(Kind.NOTE, n.kf_id, OF_ONE_LEFT_OUT) for n in given.notes if n.release_id not in ended)
        studies = self._missing_studies(releases)
        services = self._missing_services(tasks)
        self._releases |= ended
        self._tasks |= {view.task.kf_id: (view.release_id, view.task.service_id) for view in tasks}
        self._timed |= given.moments.keys()
        return replace(
            given,
            studies=studies,
            services=services,
            gone=frozenset(service.kf_id for service in services),
            releases=releases,
            tasks=tasks,
            notes=[self._of_study(note) for note in notes],
        )

    def _missing_studies(self, releases: Iterable[Release]) -> list[Study]:
        """Return what stands for studies that releases hold and that are on the list of studies no more."""
        made = self._first_seen(
            (study_id, each.created_at)
            for each in releases
            for study_id in each.studies
            if study_id not in self._studies
        )
        self._studies |= made.keys()
        reason = "is not on the list of studies there; kept under its id, as deleted"
        self._remark((), (Remark(Kind.STUDY, study_id, reason) for study_id in made))
        return [Study(study_id, study_id, visible=False, deleted=True, created_at=None) for study_id in made]

    def _missing_services(self, views: Iterable[TaskView]) -> list[TaskService]:
        """Return what stands for the services of tasks that are there no more."""
        tasks = [view.task for view in views if view.task.service_id not in self._services]
        made = self._first_seen((task.service_id, task.created_at) for task in tasks)
        names = {task.service_id: task.service_name for task in tasks}
        self._services |= made.keys()
        reason = "is there no more; kept for its tasks, as deleted"
        self._remark((), (Remark(Kind.SERVICE, service_id, reason) for service_id in made))
        return [
            TaskService(kf_id, names[kf_id] or kf_id, "", "", "", created_at, enabled=False)
            for kf_id, created_at in made.items()
        ]

    @staticmethod
    def _first_seen(ids: Iterable[tuple[str, datetime]]) -> dict[str, datetime]:
        first: dict[str, datetime] = {}
        for kf_id, at in ids:
            first.setdefault(kf_id, at)
        return first

    def _of_study(self, note: ReleaseNote) -> ReleaseNote:
        if note.study_id is None or note.study_id in self._studies:
            return note
        self._remark((), [Remark(Kind.NOTE, note.kf_id, "is about a study that is not there; kept for the release")])
        return replace(note, study_id=None)

    def _linked(self, given: History) -> History:
        """Return the events of a page that can be brought, and the moments that they tell of."""
        events = [event for event in given.events if event.release_id is None or event.release_id in self._releases]
        kept = {event.kf_id for event in events}
        self._remark(Remark(Kind.EVENT, e.kf_id, OF_ONE_LEFT_OUT) for e in given.events if e.kf_id not in kept)
        linked = [self._with_links(event) for event in events]
        moments: dict[str, datetime] = {}
        for event in linked:
            moments |= self._moment(event)
        return replace(given, events=linked, moments=moments)

    def _with_links(self, event: Event) -> Event:
        if event.task_id is not None and event.task_id in self._tasks:
            release_id, service_id = self._tasks[event.task_id]
            of = (event.release_id or release_id, event.task_service_id or service_id)
            return replace(event, release_id=of[0], task_service_id=of[1])
        missing = [
            name
            for name, kf_id, known in (
                ("task", event.task_id, self._tasks),
                ("task service", event.task_service_id, self._services),
            )
            if kf_id is not None and kf_id not in known
        ]
        if not missing:
            return event
        reason = f"is about a {' and a '.join(missing)} that was not brought; kept without that link"
        self._remark((), [Remark(Kind.EVENT, event.kf_id, reason)])
        known_service = event.task_service_id if event.task_service_id in self._services else None
        return replace(event, task_id=None, task_service_id=known_service)

    def _moment(self, event: Event) -> Mapping[str, datetime]:
        """Return when an event says that its task or its release came to where it is now."""
        moved = _MOVED.search(event.message)
        about = event.task_id or event.release_id
        if moved is None or about is None or about in self._timed:
            return {}
        if event.task_id is None and self._releases.get(about) != moved[1]:
            return {}
        return {about: event.created_at}

    def _undated(self) -> Iterable[Remark]:
        reason = "was published at a time that no event tells; shown as published when it was created"
        for kf_id, state in self._releases.items():
            if state is ReleaseState.PUBLISHED and kf_id not in self._timed and kf_id not in self._dated:
                yield Remark(Kind.RELEASE, kf_id, reason)

    def _take_note(self, history: History, came: Sorted) -> None:
        """Count what came of a page, and say what clashed with what is here."""
        hanging = [(Kind.TASK, view.task.kf_id) for view in history.tasks if view.release_id in came.taken]
        hanging += [(Kind.NOTE, note.kf_id) for note in history.notes if note.release_id in came.taken]
        self._remark(Remark(kind, kf_id, OF_ONE_LEFT_OUT) for kind, kf_id in hanging)
        gone = {kf_id for _, kf_id in hanging}
        for kind, kf_ids in _ids(history).items():
            counted, taken = self.report.counts[kind], kf_ids & came.taken
            counted.new += len(kf_ids & came.new)
            counted.updated += len(kf_ids & came.updated)
            counted.unchanged += len(kf_ids - came.new - came.updated - taken - gone)
            self._remark(Remark(kind, kf_id, "has an id that something else has here") for kf_id in sorted(taken))
            counted.total = max(counted.total, counted.read)
        for kf_id in came.taken & self._releases.keys():
            del self._releases[kf_id]
        self._dated |= history.moments.keys()
        self._remark((), self._same_versions(history, came))
        reason = "has a uuid of its own here, since the other coordinator does not tell its"
        nameless = came.new - history.uuids.keys() - {each.kf_id for each in history.studies} - history.gone
        self._remark((), (Remark(kind, each, reason) for kind, of in _ids(history).items() for each in of & nameless))

    def _same_versions(self, history: History, came: Sorted) -> Iterable[Remark]:
        """Say which new releases were published under a number that another one has, stored or only rehearsed."""
        for each in history.releases:
            if each.state is ReleaseState.PUBLISHED and each.kf_id not in came.taken:
                first = self._published_as.setdefault(each.version, each.kf_id)
                other = came.same_version.get(each.kf_id, first)
                if each.kf_id in came.new and other != each.kf_id:
                    yield Remark(Kind.RELEASE, each.kf_id, f"has the same version as {other}; both keep it")

    def _remark(self, left_out: Iterable[Remark], altered: Iterable[Remark] = ()) -> None:
        gone = list(left_out)
        self.report.left_out.add(gone)
        for remark in gone:
            self.report.counts[remark.kind].left_out += 1
        self.report.altered.add(altered)


def _laid_down(view: TaskView, state: ReleaseState) -> TaskView:
    """Return a task of a release that has ended as one whose service needs not to be told so any more."""
    return view if state is ReleaseState.PUBLISHED else replace(view, task=view.task._replace(cancel=Delivery.ANSWERED))


def _ids(history: History) -> dict[Kind, set[str]]:
    return {
        Kind.STUDY: {each.kf_id for each in history.studies},
        Kind.SERVICE: {each.kf_id for each in history.services},
        Kind.RELEASE: {each.kf_id for each in history.releases},
        Kind.TASK: {view.task.kf_id for view in history.tasks},
        Kind.NOTE: {each.kf_id for each in history.notes},
        Kind.EVENT: {each.kf_id for each in history.events},
    }
