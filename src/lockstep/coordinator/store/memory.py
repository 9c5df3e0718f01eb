"""The store in memory: the one that the simulation runs a hundred thousand seeds on.

Every method does its work between two awaits, so that it is atomic in one event loop without a lock; whatever can
fail is done before the first thing is changed. Values are never changed in place, so that a snapshot stays what it
was. Nothing is kept for speed that a few hundred releases do not need.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Final, TypeVar

from lockstep.coordinator.core.callers import ALL, Sight
from lockstep.coordinator.core.errors import NotFound
from lockstep.coordinator.core.graph import Entity, Node, Piece, Wanted
from lockstep.coordinator.core.history import History, Sorted
from lockstep.coordinator.core.model import Ahead, Change, EventType, Release, Snapshot, Task
from lockstep.coordinator.core.records import (
    Event,
    EventFilter,
    NewEvent,
    NewNote,
    NewRelease,
    NoteFilter,
    Page,
    PageOf,
    ReleaseFilter,
    ReleaseNote,
    ReleaseView,
    RequestKey,
    ServiceFilter,
    Study,
    StudyFacts,
    StudyFilter,
    SyncResult,
    TaskFilter,
    TaskService,
    TaskView,
)
from lockstep.coordinator.core.versions import Numbers, Version, candidate_version
from lockstep.coordinator.ports import Outbox, People
from lockstep.coordinator.store import memory_lists as lists
from lockstep.coordinator.store.fresh import FreshIds, RandomBits, no_free_id
from lockstep.coordinator.store.memory_graph import Rows
from lockstep.coordinator.store.memory_outbox import MemoryOutbox
from lockstep.coordinator.store.memory_people import MemoryPeople
from lockstep.coordinator.store.promises import (
    changed_since,
    changed_tasks,
    check_editable,
    check_links,
    check_note,
    check_same,
    key_reused,
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
        self._outbox = MemoryOutbox(self._events, self._fresh)
        self.outbox: Outbox = self._outbox
        self.people: People = MemoryPeople(self._client_of_task)
        self._events_of: dict[str, list[Event]] = {}
        self._services: dict[str, TaskService] = {}
        self._deleted_services: dict[str, TaskService] = {}
        self._studies: dict[str, Study] = {}
        self._notes: dict[str, ReleaseNote] = {}
        self._chores: dict[str, datetime] = {}
        self._made_by: dict[tuple[str, str], tuple[str, str]] = {}
        self._current: dict[str, str] = {}
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
        not_woken = [kf_id for kf_id, r in self._releases.items() if self._waits_in_vain(r)]
        return list(dict.fromkeys([*(kf_id for _, kf_id in due), *not_woken]))[:limit]

    def _waits_in_vain(self, waiting: Release) -> bool:
        ahead = self._releases[waiting.waits_for] if waiting.waits_for else None
        return waiting.state not in SETTLED_RELEASES and ahead is not None and ahead.state in SETTLED_RELEASES

    async def claim(self, chore: str, now: datetime, until: datetime) -> bool:
        """Claim a piece of periodic work if it is due."""
        if (due_at := self._chores.get(chore)) is not None and due_at > now:
            return False
        self._chores[chore] = until
        return True

    async def next_look(self) -> datetime | None:
        """Return the earliest `look_at` of all."""
        return min((r.look_at for r in self._releases.values() if r.look_at is not None), default=None)

    async def create_release(self, new: NewRelease, now: datetime, key: RequestKey | None = None) -> ReleaseView:
        """Create a release with a task for every enabled service, or give what the key has made."""
        if key is not None and (made := self._made_by.get((key.caller, key.key))):
            release_id, fingerprint = made
            if fingerprint != key.fingerprint:
                raise key_reused(key.key)
            return self._view(self._releases[release_id])
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
        if key is not None:
            self._made_by[key.caller, key.key] = (release.kf_id, key.fingerprint)
        return self._view(release)

    async def release(self, release_id: str, sight: Sight = ALL) -> ReleaseView:
        """Return a release with its tasks and notes."""
        release = _found(self._releases, "release", release_id)
        self._check_seen(release_id, sight, missing("release", release_id))
        return self._view(release)

    async def releases(
        self, page: PageOf, which: ReleaseFilter = ReleaseFilter(), sight: Sight = ALL
    ) -> Page[ReleaseView]:
        """Return a page of releases."""

        def wanted(release: Release) -> bool:
            return self._seen(release.kf_id, sight) and lists.release_matches(which, release)

        part = lists.listed(self._releases.values(), page, lists.RELEASE_ORDERS, wanted)
        return Page(tuple(map(self._view, part.rows)), part.count)

    async def published(self, limit: int, until: datetime | None = None) -> Sequence[ReleaseView]:
        """Return the releases that were published last, up to a time."""
        which = ReleaseFilter({ReleaseState.PUBLISHED})
        everything = await self.releases(PageOf(len(self._releases), 0, "-published_at"), which)
        early = (view for view in everything.rows if until is None or _published_at(view.release) <= until)
        return [replace(view, tasks=()) for view in islice(early, limit)]

    async def numbers(self) -> Numbers:
        """Return which versions have been given so far."""
        return Numbers(self._highest_given, self._highest_published)

    async def current_of(self, study_id: str) -> ReleaseView:
        """Return the release with which a study became public last."""
        release_id = _found(self._current, "published release of study", study_id)
        return replace(self._view(self._releases[release_id]), tasks=())

    async def task(self, task_id: str, sight: Sight = ALL) -> TaskView:
        """Return a task."""
        release_id = _found(self._release_of, "task", task_id)
        self._check_seen(release_id, sight, missing("task", task_id))
        return TaskView(self._tasks[release_id][task_id], release_id)

    async def tasks(self, page: PageOf, which: TaskFilter = TaskFilter(), sight: Sight = ALL) -> Page[TaskView]:
        """Return a page of tasks."""
        release_ids = self._releases if which.release_id is None else [which.release_id]
        seen = (release_id for release_id in release_ids if self._seen(release_id, sight))
        views = (TaskView(task, kf_id) for kf_id in seen for task in self._tasks.get(kf_id, {}).values())
        return lists.listed(views, page, lists.TASK_ORDERS, partial(lists.task_matches, which))

    async def event(self, event_id: str, sight: Sight = ALL) -> Event:
        """Return an event."""
        event = _found(self._events, "event", event_id)
        self._check_seen(event.release_id, sight, missing("event", event_id))
        return event

    async def events(self, page: PageOf, which: EventFilter = EventFilter(), sight: Sight = ALL) -> Page[Event]:
        """Return a page of events."""

        def wanted(event: Event) -> bool:
            return self._seen(event.release_id, sight) and lists.event_matches(which, event)

        return lists.listed(self._events.values(), page, lists.EVENT_ORDERS, wanted)

    async def add_event(self, new: NewEvent, now: datetime) -> Event:
        """Store an event of something that happened elsewhere."""
        of_task = None
        if new.task_id in self._release_of:
            release_id = self._release_of[new.task_id]
            of_task = (release_id, self._tasks[release_id][new.task_id].service_id)
        services = self._services.keys() | self._deleted_services.keys()
        new = check_links(
            new, of_task, release_known=new.release_id in self._releases, service_known=new.task_service_id in services
        )
        kf_id = self._fresh.free_kf_id(Prefix.EVENT, self._events)
        event = Event(
            len(self._events) + 1,
            kf_id,
            new.event_type,
            new.message,
            now,
            new.release_id,
            new.task_service_id,
            new.task_id,
            new.actor,
        )
        self._events[kf_id] = event
        if new.release_id is not None:
            self._events_of[new.release_id].append(event)
        return event

    async def note(self, note_id: str, sight: Sight = ALL) -> ReleaseNote:
        """Return a note."""
        note = _found(self._notes, "release note", note_id)
        self._check_seen(note.release_id, sight, missing("release note", note_id))
        return note

    async def notes(self, page: PageOf, which: NoteFilter = NoteFilter(), sight: Sight = ALL) -> Page[ReleaseNote]:
        """Return a page of notes."""

        def wanted(note: ReleaseNote) -> bool:
            return self._seen(note.release_id, sight) and lists.note_matches(which, note)

        return lists.listed(self._notes.values(), page, lists.NOTE_ORDERS, wanted)

    async def notes_of(self, release_id: str) -> Sequence[ReleaseNote]:
        """Return all notes of a release, the newest first."""
        return self._notes_of(release_id)

    async def add_note(self, new: NewNote, now: datetime) -> ReleaseNote:
        """Store a note under an id of its own."""
        release = self._releases.get(new.release_id)
        known = new.study_id is None or new.study_id in self._studies
        check_note(new.release_id, release.studies if release else None, new.study_id, known=known)
        kf_id = self._fresh.free_kf_id(Prefix.RELEASE_NOTE, self._notes)
        note = ReleaseNote(kf_id, new.description, new.author, now, new.release_id, new.study_id)
        self._notes[kf_id] = note
        return note

    async def edit_note(self, note_id: str, description: str, seen: ReleaseNote | None = None) -> ReleaseNote:
        """Change what a note says."""
        note = self._note_as_seen(note_id, seen)
        self._notes[note_id] = edited = replace(note, description=description)
        return edited

    async def delete_note(self, note_id: str, seen: ReleaseNote | None = None) -> ReleaseNote:
        """Take a note away."""
        note = self._note_as_seen(note_id, seen)
        del self._notes[note_id]
        return note

    async def events_after(self, release_id: str, position: int, limit: int) -> Sequence[Event]:
        """Return the events of a release after a position, oldest first."""
        events = self._events_of.get(release_id, [])
        return list(islice((event for event in events if event.position > position), limit))

    async def look_up(self, entity: Entity, kf_ids: Sequence[str], sight: Sight) -> Mapping[str, Node]:
        """Return those of some rows that are there and may be seen, by their ids."""
        return self._rows().look_up(entity, kf_ids, sight)

    async def listed(self, wanted: Wanted, sight: Sight) -> Piece:
        """Return part of a whole list."""
        return self._rows().listed(wanted, sight)

    async def listed_of(
        self, wanted: Wanted, parent_ids: Sequence[str], sight: Sight, limit: int
    ) -> Mapping[str, Piece]:
        """Return part of the list of each parent."""
        return self._rows().listed_of(wanted, parent_ids, sight, limit)

    async def add_service(self, service: TaskService) -> TaskService:
        """Store a new service under an id of its own."""
        kf_id = self._fresh.free_kf_id(Prefix.TASK_SERVICE, self._services, self._deleted_services)
        self._services[kf_id] = stored = replace(service, kf_id=kf_id)
        return stored

    async def edit_service(
        self, service_id: str, fields: Mapping[str, object], seen: TaskService | None = None
    ) -> TaskService:
        """Change some fields of a service; its tasks follow its name and url."""
        check_editable(fields)
        before = self._service_as_seen(service_id, seen)
        self._services[service_id] = after = replace(before, **fields)  # type: ignore[arg-type] # checked above
        if (before.name, before.url) != (after.name, after.url):
            self._rename(after)
        return after

    async def delete_service(self, service_id: str, seen: TaskService | None = None) -> None:
        """Take a service off the lists and out of new releases."""
        self._service_as_seen(service_id, seen)
        self._deleted_services[service_id] = self._services.pop(service_id)

    async def service(self, service_id: str) -> TaskService:
        """Return a service."""
        return _found(self._services, "task service", service_id)

    async def services(self, page: PageOf, which: ServiceFilter = ServiceFilter()) -> Page[TaskService]:
        """Return a page of services."""
        matches = partial(lists.service_matches, which)
        return lists.listed(self._services.values(), page, lists.SERVICE_ORDERS, matches)

    async def study(self, study_id: str) -> Study:
        """Return a study."""
        return self._with_versions(_found(self._studies, "study", study_id))

    async def studies(self, page: PageOf, which: StudyFilter = StudyFilter()) -> Page[Study]:
        """Return a page of studies."""
        by_id = sorted(self._studies.values(), key=lambda study: study.kf_id)
        part = lists.listed(by_id, page, lists.STUDY_ORDERS, partial(lists.study_matches, which))
        return Page(tuple(map(self._with_versions, part.rows)), part.count)

    async def sync_studies(self, facts: Sequence[StudyFacts]) -> SyncResult:
        """Make the mirrored studies the same as those given."""
        before = self._studies
        given = {fact.kf_id: Study(fact.kf_id, fact.title, fact.visible, False, fact.created_at) for fact in facts}
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

    async def bring(self, given: History, now: datetime, *, rehearse: bool = False) -> Sorted:
        """Store part of another coordinator's history, or say what would be stored."""
        sorts = Sorted()
        studies = sorts.sort(given.studies, self._studies)
        stubs = {kf_id: each for kf_id, each in self._deleted_services.items() if not each.url}
        left = (self._deleted_services.keys() - stubs) | (given.gone & (self._services.keys() | stubs))
        wanted = [each for each in given.services if each.kf_id not in left]
        services = sorts.sort(wanted, {**self._services, **stubs})
        releases = sorts.sort(given.releases, self._releases)
        views = {view.task.kf_id: view for view in given.tasks if view.release_id not in sorts.taken}
        here = {kf_id: self._tasks[of][kf_id] for kf_id, of in self._release_of.items() if kf_id in views}
        tasks = sorts.sort([view.task for view in views.values()], here)
        notes = sorts.sort([note for note in given.notes if note.release_id not in sorts.taken], self._notes)
        events = sorts.sort(given.events, self._events)
        self._find_same_versions(releases[0], sorts)
        if rehearse:
            return sorts
        self._studies |= {each.kf_id: each for each in _all(studies)}
        for service in _all(services):
            self._deleted_services.pop(service.kf_id, None)
            (self._deleted_services if service.kf_id in given.gone else self._services)[service.kf_id] = service
            self._rename(service)
        for release in _all(releases):
            self._bring_release(release, given.uuids)
        for task in _all(tasks):
            self._release_of[task.kf_id] = of = views[task.kf_id].release_id
            service = {**self._deleted_services, **self._services}[task.service_id]
            self._tasks[of][task.kf_id] = task._replace(service_name=service.name, service_url=service.url)
        self._notes |= {each.kf_id: each for each in _all(notes)}
        end = len(self._events)
        for event in _all(events):
            self._bring_event(event)
        if events[0]:
            self._outbox.pass_over(end, now)
        self._set_times(given.moments)
        return sorts

    async def tallies(self) -> Mapping[str, int]:
        """Return how many releases and tasks are in each state, and events of each type."""
        releases = Counter(release.state for release in self._releases.values())
        tasks = Counter(task.state for of in self._tasks.values() for task in of.values())
        events = Counter(event.event_type for event in self._events.values())
        return {
            **{f"releases:{state}": releases[state] for state in ReleaseState},
            **{f"tasks:{state}": tasks[state] for state in TaskState},
            **{f"events:{event_type}": events[event_type] for event_type in EventType},
        }

    async def check(self) -> None:
        """Do nothing: memory answers."""

    def _find_same_versions(self, new: Sequence[Release], sorts: Sorted) -> None:
        first = {r.version: kf_id for kf_id, r in self._releases.items() if r.state is ReleaseState.PUBLISHED}
        for release in new:
            if release.state is ReleaseState.PUBLISHED:
                other = first.setdefault(release.version, release.kf_id)
                if other != release.kf_id:
                    sorts.same_version[release.kf_id] = other

    def _bring_release(self, release: Release, uuids: Mapping[str, str]) -> None:
        kf_id = release.kf_id
        if kf_id not in self._releases:
            uuid = uuids.get(kf_id) or self._fresh.uuid()
            if release.state is ReleaseState.PUBLISHED:
                self._last_order += 1
                published_at = release.published_at or release.created_at
                release = replace(release, publish_order=self._last_order, published_at=published_at)
            release = replace(release, uuid=uuid)
            self._numbers[kf_id] = len(self._numbers)
            self._tasks[kf_id], self._events_of[kf_id] = {}, []
        self._releases[kf_id] = release
        self._give(release.version)
        if release.state is ReleaseState.PUBLISHED:
            self._highest_published = max(self._highest_published or release.version, release.version)
        self._point_studies()

    def _point_studies(self) -> None:
        """Point every study at its releases anew."""
        made = sorted(self._releases.values(), key=lambda r: (r.created_at, self._numbers[r.kf_id]))
        public = [r for r in made if r.state is ReleaseState.PUBLISHED]
        self._newest = {study: r.kf_id for r in made for study in r.studies}
        self._newest_published = {study: r.kf_id for r in public for study in r.studies}
        public.sort(key=lambda r: (_published_at(r), self._numbers[r.kf_id]))
        self._current = {study: r.kf_id for r in public for study in r.studies}

    def _bring_event(self, event: Event) -> None:
        before = self._events.get(event.kf_id)
        event = replace(event, position=before.position if before else len(self._events) + 1)
        self._events[event.kf_id] = event
        if event.release_id is not None:
            others = [other for other in self._events_of[event.release_id] if other.kf_id != event.kf_id]
            self._events_of[event.release_id] = sorted([*others, event], key=lambda other: other.position)

    def _set_times(self, moments: Mapping[str, datetime]) -> None:
        for kf_id, at in moments.items():
            if of := self._release_of.get(kf_id):
                self._tasks[of][kf_id] = self._tasks[of][kf_id]._replace(state_since=at, life_at=at)
        for kf_id, at in moments.items():
            if release := self._releases.get(kf_id):
                published_at = at if release.state is ReleaseState.PUBLISHED else None
                self._releases[kf_id] = replace(release, step_since=at, published_at=published_at)
                self._tasks[kf_id] = {
                    task.kf_id: task._replace(state_since=at, life_at=at)
                    if task.state_since == task.created_at
                    else task
                    for task in self._tasks[kf_id].values()
                }
        self._point_studies()

    def _rows(self) -> Rows:
        tasks = {
            kf_id: TaskView(task, release_id) for release_id, of in self._tasks.items() for kf_id, task in of.items()
        }
        return Rows(
            self._releases, self._studies, tasks, self._services, self._deleted_services, self._events, self._notes
        )

    def _client_of_task(self, task_id: str) -> str:
        service_id = self._tasks[_found(self._release_of, "task", task_id)][task_id].service_id
        return {**self._services, **self._deleted_services}[service_id].client_id

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
        events = self._new_events(change.release.kf_id, change)
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
            self._current.update(dict.fromkeys(after.studies, after.kf_id))
            for study in after.studies:
                newest = self._newest_published.get(study)
                if newest is None or self._numbers[newest] < number:
                    self._newest_published[study] = after.kf_id

    def _give(self, version: Version) -> None:
        self._versions.add(version)
        self._highest_given = max(self._highest_given or version, version)

    def _new_events(self, release_id: str, change: Change) -> dict[str, Event]:
        events: dict[str, Event] = {}
        for position, draft in enumerate(change.events, len(self._events) + 1):
            kf_id = self._fresh.free_kf_id(Prefix.EVENT, self._events, events)
            what, about = (draft.event_type, draft.message), (release_id, draft.service_id, draft.task_id)
            events[kf_id] = Event(position, kf_id, *what, change.at, *about, change.actor)
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

    def _seen(self, release_id: str | None, sight: Sight) -> bool:
        if sight.everything:
            return True
        release = self._releases.get(release_id or "")
        return release is not None and sight.sees(release.state, release.studies)

    def _check_seen(self, release_id: str | None, sight: Sight, error: NotFound) -> None:
        if not self._seen(release_id, sight):
            raise error

    def _service_as_seen(self, service_id: str, seen: TaskService | None) -> TaskService:
        service = _found(self._services, "task service", service_id)
        if seen is not None and service != seen:
            raise changed_since("task service", service_id)
        return service

    def _note_as_seen(self, note_id: str, seen: ReleaseNote | None) -> ReleaseNote:
        note = _found(self._notes, "release note", note_id)
        if seen is not None and note != seen:
            raise changed_since("release note", note_id)
        return note

    def _view(self, release: Release) -> ReleaseView:
        return ReleaseView(release, tuple(self._tasks[release.kf_id].values()), tuple(self._notes_of(release.kf_id)))

    def _notes_of(self, release_id: str) -> list[ReleaseNote]:
        return [note for note in reversed(self._notes.values()) if note.release_id == release_id]

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


def _all(sorted_out: tuple[list[Row], list[tuple[Row, Row]]]) -> list[Row]:
    """Return what is to be stored: the new ones, and the changed ones as they are to be."""
    new, changed = sorted_out
    return [*new, *(after for _, after in changed)]


def _published_at(release: Release) -> datetime:
    return release.published_at or _LONG_AGO
