"""Another coordinator's history, brought into a store in memory: the same steps as in `history`, on its tables."""

from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from lockstep.coordinator.core.history import History, Sorted
from lockstep.coordinator.core.model import Release, Task
from lockstep.coordinator.core.records import Event, TaskService
from lockstep.coordinator.store.fresh import FreshIds
from lockstep.coordinator.store.memory_tables import Tables, published_at
from lockstep.protocol.states import ReleaseState

Row = TypeVar("Row")


class Bringing:
    """What is given, beside what is here of it.

    Attributes:
        sorted: what comes of it, or would.
        end_before: the position of the last event before any was brought.
    """

    def __init__(self, tables: Tables, given: History) -> None:
        self._tables = tables
        self._given = given
        self.sorted = Sorted()
        self.end_before = len(tables.events)
        sort = self.sorted.sort
        self._studies = sort(given.studies, tables.studies)
        self._services = sort(*self._services_to_bring())
        self._releases = sort(given.releases, tables.releases)
        self._release_of = {v.task.kf_id: v.release_id for v in given.tasks if v.release_id not in self.sorted.taken}
        here = {kf_id: tables.tasks[of][kf_id] for kf_id, of in tables.release_of.items() if kf_id in self._release_of}
        self._tasks = sort((view.task for view in given.tasks if view.task.kf_id in self._release_of), here)
        self._notes = sort((note for note in given.notes if note.release_id not in self.sorted.taken), tables.notes)
        self._events = sort(given.events, tables.events)
        self._find_same_versions()

    @property
    def has_new_events(self) -> bool:
        """Whether some of the events are new here."""
        return bool(self._events[0])

    def store(self, ids: FreshIds) -> None:
        """Store what is new and what has changed."""
        tables = self._tables
        tables.studies |= {each.kf_id: each for each in _all(self._studies)}
        for service in _all(self._services):
            self._store_service(service)
        for release in _all(self._releases):
            self._store_release(release, ids)
        for task in _all(self._tasks):
            self._store_task(task)
        tables.notes |= {each.kf_id: each for each in _all(self._notes)}
        for event in _all(self._events):
            self._store_event(event)
        self._set_times()
        self._point_studies()

    def _services_to_bring(self) -> tuple[list[TaskService], dict[str, TaskService]]:
        """Return the services but those that were deleted here, and not only missing over there; and those here."""
        tables, gone = self._tables, self._given.gone
        stubs = {kf_id: each for kf_id, each in tables.deleted_services.items() if not each.url}
        left = (tables.deleted_services.keys() - stubs) | (gone & (tables.services.keys() | stubs))
        return [each for each in self._given.services if each.kf_id not in left], {**tables.services, **stubs}

    def _find_same_versions(self) -> None:
        here = self._tables.releases
        first = {r.version: kf_id for kf_id, r in here.items() if r.state is ReleaseState.PUBLISHED}
        for release in self._releases[0]:
            if release.state is ReleaseState.PUBLISHED:
                other = first.setdefault(release.version, release.kf_id)
                if other != release.kf_id:
                    self.sorted.same_version[release.kf_id] = other

    def _store_service(self, service: TaskService) -> None:
        tables = self._tables
        tables.deleted_services.pop(service.kf_id, None)
        services = tables.deleted_services if service.kf_id in self._given.gone else tables.services
        services[service.kf_id] = service
        tables.rename(service)

    def _store_release(self, release: Release, ids: FreshIds) -> None:
        tables, kf_id = self._tables, release.kf_id
        if kf_id not in tables.releases:
            release = replace(release, uuid=self._given.uuids.get(kf_id) or ids.uuid())
            if release.state is ReleaseState.PUBLISHED:
                tables.last_order += 1
                at = release.published_at or release.created_at
                release = replace(release, publish_order=tables.last_order, published_at=at)
            tables.numbers[kf_id] = len(tables.numbers)
            tables.tasks[kf_id], tables.events_of[kf_id] = {}, []
        tables.releases[kf_id] = release
        tables.give(release.version)
        if release.state is ReleaseState.PUBLISHED:
            tables.highest_published = max(tables.highest_published or release.version, release.version)

    def _store_task(self, task: Task) -> None:
        tables = self._tables
        service = {**tables.deleted_services, **tables.services}[task.service_id]
        tables.release_of[task.kf_id] = of = self._release_of[task.kf_id]
        tables.tasks[of][task.kf_id] = task._replace(service_name=service.name, service_url=service.url)

    def _store_event(self, event: Event) -> None:
        tables = self._tables
        before = tables.events.get(event.kf_id)
        event = replace(event, position=before.position if before else len(tables.events) + 1)
        tables.events[event.kf_id] = event
        if event.release_id is not None:
            others = [other for other in tables.events_of[event.release_id] if other.kf_id != event.kf_id]
            tables.events_of[event.release_id] = sorted([*others, event], key=lambda other: other.position)

    def _set_times(self) -> None:
        """Set when releases and tasks came to the state that they are in; a task of its own time, or its release's."""
        tables, moments = self._tables, self._given.moments
        for kf_id, at in moments.items():
            if of := tables.release_of.get(kf_id):
                tables.tasks[of][kf_id] = _since(tables.tasks[of][kf_id], at)
        for kf_id, at in moments.items():
            if release := tables.releases.get(kf_id):
                published_at = at if release.state is ReleaseState.PUBLISHED else None
                tables.releases[kf_id] = replace(release, step_since=at, published_at=published_at)
                for task in list(tables.tasks[kf_id].values()):
                    if task.state_since == task.created_at:
                        tables.tasks[kf_id][task.kf_id] = _since(task, at)

    def _point_studies(self) -> None:
        """Point every study at its releases anew."""
        tables = self._tables
        made = sorted(tables.releases.values(), key=lambda r: (r.created_at, tables.numbers[r.kf_id]))
        public = [r for r in made if r.state is ReleaseState.PUBLISHED]
        tables.newest = {study: r.kf_id for r in made for study in r.studies}
        tables.newest_published = {study: r.kf_id for r in public for study in r.studies}
        public.sort(key=lambda r: (published_at(r), tables.numbers[r.kf_id]))
        tables.current = {study: r.kf_id for r in public for study in r.studies}


def _since(task: Task, at: datetime) -> Task:
    return task._replace(state_since=at, life_at=at)


def _all(sorted_out: tuple[list[Row], list[tuple[Row, Row]]]) -> list[Row]:
    """Return what is to be stored: the new ones, and the changed ones as they are to be."""
    new, changed = sorted_out
    return [*new, *(after for _, after in changed)]
