"""The store in memory: the one that the simulation runs a hundred thousand seeds on.

Every method does its work between two awaits, so that it is atomic in one event loop without a lock; whatever can
fail is done before the first thing is changed. Values are never changed in place, so that a snapshot stays what it
was. Nothing is kept for speed that a few hundred releases do not need.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Final, TypeVar

from lockstep.coordinator.core.model import Ahead, Change, EventDraft, Release, Snapshot, Task
from lockstep.coordinator.core.records import (
    Event,
    EventFilter,
    NewRelease,
    Page,
    PageOf,
    ReleaseView,
    Study,
    StudyFacts,
    SyncResult,
    TaskFilter,
    TaskService,
    TaskView,
)
from lockstep.coordinator.core.versions import Version, candidate_version
from lockstep.coordinator.store.fresh import FreshIds, RandomBits, no_free_id
from lockstep.coordinator.store.promises import (
    changed_tasks,
    check_editable,
    check_same,
    missing,
    unknown_studies,
    without_repeats,
)
from lockstep.protocol.ids import Prefix
from lockstep.protocol.states import SETTLED_RELEASES, ReleaseState, TaskState

T = TypeVar("T")
Row = TypeVar("Row")

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class MemoryStore:
    """All that the coordinator remembers, until the process ends."""

    def __init__(self, random_bits: RandomBits = secrets.randbits) -> None:
        self._fresh = FreshIds(random_bits)
        self._releases: dict[str, Release] = {}
        self._numbers: dict[str, int] = {}
        self._tasks: dict[str, dict[str, Task]] = {}
        self._release_of: dict[str, str] = {}
        self._events: dict[str, Event] = {}
        self._events_of: dict[str, list[Event]] = {}
        self._services: dict[str, TaskService] = {}
        self._deleted_services: dict[str, TaskService] = {}
        self._studies: dict[str, Study] = {}
        self._newest: dict[str, str] = {}
        self._newest_published: dict[str, str] = {}
        self._versions: set[Version] = set()
        self._highest_given: Version | None = None
        self._highest_published: Version | None = None
        self._last_order = 0

    async def change(self, release_id: str, decide: Callable[[Snapshot], tuple[Change, T]]) -> T:
        """Decide about a release with all of its tasks, and store what was decided."""
        return self._change(self._snapshot(release_id, self._tasks.get(release_id, {}), {}), decide)

    async def change_by_task(self, task_id: str, decide: Callable[[Snapshot], tuple[Change, T]]) -> T:
        """Decide about the release of a task with the others counted, and store what was decided."""
        release_id = self._release_of.get(task_id)
        if release_id is None:
            raise missing("task", task_id)
        tasks = self._tasks[release_id]
        others = Counter(task.state for task in tasks.values())
        others[tasks[task_id].state] -= 1
        return self._change(self._snapshot(release_id, {task_id: tasks[task_id]}, +others), decide)

    async def due(self, now: datetime, limit: int) -> Sequence[str]:
        """Return the ids of releases whose `look_at` has come, the longest overdue first."""
        due = [(r.look_at, kf_id) for kf_id, r in self._releases.items() if r.look_at is not None and r.look_at <= now]
        due.sort(key=lambda entry: entry[0])
        return [kf_id for _, kf_id in due[:limit]]

    async def next_look(self) -> datetime | None:
        """Return the earliest `look_at` of all."""
        return min((r.look_at for r in self._releases.values() if r.look_at is not None), default=None)

    async def create_release(self, new: NewRelease, now: datetime) -> ReleaseView:
        """Create a release with a task for every enabled service."""
        studies = without_repeats(new.studies)
        if unknown := [study for study in studies if study not in self._studies]:
            raise unknown_studies(unknown)
        release = Release(
            kf_id=self._fresh.free_kf_id(Prefix.RELEASE, self._releases),
            uuid=self._fresh.uuid(),
            name=new.name,
            version=candidate_version(self._highest_given),
            studies=studies,
            created_at=now,
            step_since=now,
            description=new.description,
            author=new.author,
            tags=new.tags,
            is_major=new.is_major,
            look_at=now,
        )
        tasks = self._new_tasks(now)
        self._releases[release.kf_id] = release
        self._numbers[release.kf_id] = len(self._numbers)
        self._tasks[release.kf_id] = tasks
        self._release_of.update(dict.fromkeys(tasks, release.kf_id))
        self._events_of[release.kf_id] = []
        self._give(release.version)
        self._newest.update(dict.fromkeys(studies, release.kf_id))
        return self._view(release)

    async def release(self, release_id: str) -> ReleaseView:
        """Return a release with its tasks and notes."""
        return self._view(_found(self._releases, "release", release_id))

    async def releases(
        self, page: PageOf, *, states: Sequence[ReleaseState] = (), study_id: str | None = None
    ) -> Page[ReleaseView]:
        """Return a page of releases."""
        listed = [
            release
            for release in reversed(self._releases.values())
            if (not states or release.state in states) and (study_id is None or study_id in release.studies)
        ]
        part = _page(listed, page)
        return Page(tuple(map(self._view, part.rows)), part.count)

    async def task(self, task_id: str) -> TaskView:
        """Return a task."""
        release_id = _found(self._release_of, "task", task_id)
        return TaskView(self._tasks[release_id][task_id], release_id)

    async def tasks(self, page: PageOf, which: TaskFilter) -> Page[TaskView]:
        """Return a page of tasks."""
        release_ids = reversed(self._releases) if which.release_id is None else [which.release_id]
        return _page(
            [
                TaskView(task, release_id)
                for release_id in release_ids
                for task in reversed(self._tasks.get(release_id, {}).values())
                if which.task_service_id in {None, task.service_id} and which.state in {None, task.state}
            ],
            page,
        )

    async def event(self, event_id: str) -> Event:
        """Return an event."""
        return _found(self._events, "event", event_id)

    async def events(self, page: PageOf, which: EventFilter) -> Page[Event]:
        """Return a page of events."""
        return _page(
            [
                event
                for event in reversed(self._events.values())
                if which.release_id in {None, event.release_id}
                and which.task_service_id in {None, event.task_service_id}
                and which.task_id in {None, event.task_id}
                and which.event_type in {None, event.event_type}
            ],
            page,
        )

    async def events_after(self, release_id: str, position: int, limit: int) -> Sequence[Event]:
        """Return the events of a release after a position, oldest first."""
        events = self._events_of.get(release_id, [])
        return list(islice((event for event in events if event.position > position), limit))

    async def add_service(self, service: TaskService) -> TaskService:
        """Store a new service under an id of its own."""
        kf_id = self._fresh.free_kf_id(Prefix.TASK_SERVICE, self._services, self._deleted_services)
        self._services[kf_id] = stored = replace(service, kf_id=kf_id)
        return stored

    async def edit_service(self, service_id: str, fields: Mapping[str, object]) -> TaskService:
        """Change some fields of a service; its tasks follow its name and url."""
        check_editable(fields)
        before = _found(self._services, "task service", service_id)
        self._services[service_id] = after = replace(before, **fields)  # type: ignore[arg-type] # checked above
        if (before.name, before.url) != (after.name, after.url):
            self._rename(after)
        return after

    async def delete_service(self, service_id: str) -> None:
        """Take a service off the lists and out of new releases."""
        _found(self._services, "task service", service_id)
        self._deleted_services[service_id] = self._services.pop(service_id)

    async def service(self, service_id: str) -> TaskService:
        """Return a service."""
        return _found(self._services, "task service", service_id)

    async def services(self, page: PageOf, *, enabled: bool | None = None) -> Page[TaskService]:
        """Return a page of services."""
        listed = reversed(self._services.values())
        return _page([service for service in listed if enabled in {None, service.enabled}], page)

    async def study(self, study_id: str) -> Study:
        """Return a study."""
        return self._with_versions(_found(self._studies, "study", study_id))

    async def studies(self, page: PageOf) -> Page[Study]:
        """Return a page of studies."""
        newest_first = sorted(
            self._studies.values(), key=lambda study: (study.created_at or _LONG_AGO, study.kf_id), reverse=True
        )
        part = _page(newest_first, page)
        return Page(tuple(map(self._with_versions, part.rows)), part.count)

    async def sync_studies(self, facts: Sequence[StudyFacts]) -> SyncResult:
        """Make the mirrored studies the same as those given."""
        before = self._studies
        given = {
            fact.kf_id: Study(fact.kf_id, fact.name or fact.kf_id, fact.visible, False, fact.created_at)
            for fact in facts
        }
        gone = {kf_id: replace(study, deleted=True) for kf_id, study in before.items() if kf_id not in given}
        self._studies = {**before, **given, **gone}
        return SyncResult(
            new=tuple(kf_id for kf_id in given if kf_id not in before),
            deleted=tuple(sorted(kf_id for kf_id in gone if not before[kf_id].deleted)),
            restored=tuple(kf_id for kf_id in given if kf_id in before and before[kf_id].deleted),
        )

    async def known_studies(self, study_ids: Sequence[str]) -> set[str]:
        """Return those of some ids that are studies."""
        return {study_id for study_id in study_ids if study_id in self._studies}

    async def check(self) -> None:
        """Do nothing: memory answers."""

    def _snapshot(self, release_id: str, tasks: Mapping[str, Task], others: Mapping[TaskState, int]) -> Snapshot:
        release = _found(self._releases, "release", release_id)
        if release.state is not ReleaseState.STAGED:
            return Snapshot(release, tasks, others)
        return Snapshot(release, tasks, others, self._ahead(release), self._last_order, self._highest_published)

    def _ahead(self, release: Release) -> tuple[Ahead, ...]:
        studies = release.studies
        ahead = [
            Ahead(other.kf_id, other.publish_order, shared)
            for other in self._releases.values()
            if other.publish_order is not None
            and other.state not in SETTLED_RELEASES
            and other.kf_id != release.kf_id
            and (shared := tuple(study for study in studies if study in other.studies))
        ]
        return tuple(sorted(ahead, key=lambda entry: entry.order))

    def _change(self, snapshot: Snapshot, decide: Callable[[Snapshot], tuple[Change, T]]) -> T:
        change, outcome = decide(snapshot)
        events = self._new_events(change.release.kf_id, change.events, change.at)
        before, after = snapshot.release, change.release
        tasks = changed_tasks(snapshot, change)
        if after != before:
            check_same(before, after)
            self._store_release(before, after, change.at)
        if tasks:
            self._tasks[after.kf_id] = {**self._tasks[after.kf_id], **{task.kf_id: task for task in tasks}}
        self._events.update(events)
        self._events_of[after.kf_id].extend(events.values())
        return outcome

    def _store_release(self, before: Release, after: Release, at: datetime) -> None:
        if after.version != before.version and after.version in self._versions:
            raise no_free_id()
        self._releases[after.kf_id] = after
        if after.publish_order is not None:
            self._last_order = max(self._last_order, after.publish_order)
        if after.version != before.version:
            self._give(after.version)
            self._highest_published = max(self._highest_published or after.version, after.version)
        if after.state is before.state or after.state not in SETTLED_RELEASES:
            return
        for other in list(self._releases.values()):
            if other.waits_for == after.kf_id and other.state not in SETTLED_RELEASES:
                self._releases[other.kf_id] = replace(other, look_at=at)
        if after.state is ReleaseState.PUBLISHED:
            number = self._numbers[after.kf_id]
            for study in after.studies:
                newest = self._newest_published.get(study)
                if newest is None or self._numbers[newest] < number:
                    self._newest_published[study] = after.kf_id

    def _give(self, version: Version) -> None:
        self._versions.add(version)
        self._highest_given = max(self._highest_given or version, version)

    def _new_events(self, release_id: str, drafts: Iterable[EventDraft], at: datetime) -> dict[str, Event]:
        events: dict[str, Event] = {}
        for position, draft in enumerate(drafts, len(self._events) + 1):
            kf_id = self._fresh.free_kf_id(Prefix.EVENT, self._events, events)
            events[kf_id] = Event(
                position, kf_id, draft.event_type, draft.message, at, release_id, draft.service_id, draft.task_id
            )
        return events

    def _new_tasks(self, now: datetime) -> dict[str, Task]:
        tasks: dict[str, Task] = {}
        for service in self._services.values():
            if service.enabled:
                kf_id = self._fresh.free_kf_id(Prefix.TASK, self._release_of, tasks)
                tasks[kf_id] = Task(kf_id, service.kf_id, service.name, service.url, now, now, now)
        return tasks

    def _rename(self, service: TaskService) -> None:
        for release_id, tasks in self._tasks.items():
            self._tasks[release_id] = {
                kf_id: task._replace(service_name=service.name, service_url=service.url)
                if task.service_id == service.kf_id
                else task
                for kf_id, task in tasks.items()
            }

    def _view(self, release: Release) -> ReleaseView:
        return ReleaseView(release, tuple(self._tasks[release.kf_id].values()))

    def _with_versions(self, study: Study) -> Study:
        newest = self._releases.get(self._newest.get(study.kf_id, ""))
        published = self._releases.get(self._newest_published.get(study.kf_id, ""))
        return replace(
            study,
            version=newest.version if newest else None,
            last_pub_version=published.version if published else None,
            last_pub_date=published.created_at if published else None,
        )


def _found(rows: Mapping[str, Row], kind: str, kf_id: str) -> Row:
    if kf_id not in rows:
        raise missing(kind, kf_id)
    return rows[kf_id]


def _page(rows: Sequence[Row], page: PageOf) -> Page[Row]:
    return Page(tuple(rows[page.offset : page.offset + page.limit]), len(rows))
