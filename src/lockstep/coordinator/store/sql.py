"""The store on a SQL database: every method is one piece of work in one transaction.

This class holds no statement and no rule. It names the work and hands it to the `Database`, which runs it, a caller's
decision included, on a thread of its own or on the event loop: a decision is pure, so that it does not matter where.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection, select

from lockstep.coordinator.core.callers import ALL, Sight
from lockstep.coordinator.core.graph import Entity, Node, Piece, Wanted
from lockstep.coordinator.core.history import History, Sorted
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
from lockstep.coordinator.core.versions import Numbers
from lockstep.coordinator.ports import Outbox, People
from lockstep.coordinator.store import (
    catalogue,
    changing,
    chores,
    creating,
    graph,
    history,
    part_lists,
    reading,
    release_lists,
    writing,
)
from lockstep.coordinator.store.changing import Decide
from lockstep.coordinator.store.database import Database
from lockstep.coordinator.store.fresh import FreshIds, RandomBits
from lockstep.coordinator.store.lists import tallied
from lockstep.coordinator.store.numbering import numbers
from lockstep.coordinator.store.outbox import SqlOutbox
from lockstep.coordinator.store.people import SqlPeople
from lockstep.coordinator.store.tables import releases_in, tally
from lockstep.protocol.states import ReleaseState

T = TypeVar("T")


class SqlStore:
    """All that the coordinator remembers, in a database whose schema is the current one."""

    def __init__(self, database: Database, random_bits: RandomBits = secrets.randbits) -> None:
        self._database = database
        self._ids = FreshIds(random_bits)
        self.outbox: Outbox = SqlOutbox(database, self._ids)
        self.people: People = SqlPeople(database)

    async def close(self) -> None:
        """Finish what is running and let go of the database."""
        await self._database.close()

    async def change(self, release_id: str, decide: Decide[T]) -> T:
        """Decide about a release with all of its tasks, and store what was decided."""

        def work(connection: Connection) -> T:
            return changing.change(connection, self._ids, release_id, decide)

        return await self._database.write(work)

    async def change_by_task(self, task_id: str, decide: Decide[T]) -> T:
        """Decide about the release of a task with the others counted, and store what was decided.

        A task that is said to be where it is already changes nothing, so that this may be done twice.
        """

        def work(connection: Connection) -> T:
            return changing.change_by_task(connection, self._ids, task_id, decide)

        return await self._database.write(work, repeatable=True)

    async def due(self, now: datetime, limit: int) -> Sequence[str]:
        """Return the ids of releases whose `look_at` has come, the longest overdue first."""
        return await self._database.read(partial(reading.due, now=now, limit=limit))

    async def claim(self, chore: str, now: datetime, until: datetime) -> bool:
        """Claim a piece of periodic work if it is due."""
        return await self._database.write(partial(chores.claim, name=chore, now=now, until=until))

    async def next_look(self) -> datetime | None:
        """Return the earliest `look_at` of all."""
        return await self._database.read(reading.next_look)

    async def create_release(self, new: NewRelease, now: datetime, key: RequestKey | None = None) -> ReleaseView:
        """Create a release with a task for every enabled service."""
        work = partial(creating.create_release, ids=self._ids, new=new, now=now, key=key)
        return await self._database.write(work, repeatable=key is not None)

    async def release(self, release_id: str, sight: Sight = ALL) -> ReleaseView:
        """Return a release with its tasks and notes."""
        return await self._database.read(partial(reading.release_view, release_id=release_id, sight=sight))

    async def releases(
        self, page: PageOf, which: ReleaseFilter = ReleaseFilter(), sight: Sight = ALL
    ) -> Page[ReleaseView]:
        """Return a page of releases."""
        return await self._database.read(partial(release_lists.releases, page=page, which=which, sight=sight))

    async def published(self, limit: int, until: datetime | None = None) -> Sequence[ReleaseView]:
        """Return the releases that were published last, up to a time."""
        return await self._database.read(partial(release_lists.published, limit=limit, until=until))

    async def numbers(self) -> Numbers:
        """Return which versions have been given so far."""
        return await self._database.read(numbers)

    async def current_of(self, study_id: str) -> ReleaseView:
        """Return the release with which a study became public last."""
        return await self._database.read(partial(release_lists.current_of, study_id=study_id))

    async def task(self, task_id: str, sight: Sight = ALL) -> TaskView:
        """Return a task."""
        return await self._database.read(partial(reading.task_view, task_id=task_id, sight=sight))

    async def tasks(self, page: PageOf, which: TaskFilter = TaskFilter(), sight: Sight = ALL) -> Page[TaskView]:
        """Return a page of tasks."""
        return await self._database.read(partial(part_lists.tasks, page=page, which=which, sight=sight))

    async def event(self, event_id: str, sight: Sight = ALL) -> Event:
        """Return an event."""
        return await self._database.read(partial(reading.one_event, event_id=event_id, sight=sight))

    async def events(self, page: PageOf, which: EventFilter = EventFilter(), sight: Sight = ALL) -> Page[Event]:
        """Return a page of events."""
        return await self._database.read(partial(part_lists.events, page=page, which=which, sight=sight))

    async def add_event(self, new: NewEvent, now: datetime) -> Event:
        """Store an event of something that happened elsewhere."""
        return await self._database.write(partial(writing.add_event, ids=self._ids, new=new, now=now))

    async def note(self, note_id: str, sight: Sight = ALL) -> ReleaseNote:
        """Return a note."""
        return await self._database.read(partial(reading.one_note, note_id=note_id, sight=sight))

    async def notes(self, page: PageOf, which: NoteFilter = NoteFilter(), sight: Sight = ALL) -> Page[ReleaseNote]:
        """Return a page of notes."""
        return await self._database.read(partial(part_lists.notes, page=page, which=which, sight=sight))

    async def notes_of(self, release_id: str) -> Sequence[ReleaseNote]:
        """Return all notes of a release, the newest first."""
        return await self._database.read(lambda connection: reading.notes_of(connection, [release_id])[release_id])

    async def add_note(self, new: NewNote, now: datetime) -> ReleaseNote:
        """Store a note under an id of its own."""
        return await self._database.write(partial(writing.add_note, ids=self._ids, new=new, now=now))

    async def edit_note(self, note_id: str, description: str, seen: ReleaseNote | None = None) -> ReleaseNote:
        """Change what a note says."""
        work = partial(writing.edit_note, note_id=note_id, description=description, seen=seen)
        return await self._database.write(work)

    async def delete_note(self, note_id: str, seen: ReleaseNote | None = None) -> ReleaseNote:
        """Take a note away."""
        return await self._database.write(partial(writing.delete_note, note_id=note_id, seen=seen))

    async def events_after(self, release_id: str, position: int, limit: int) -> Sequence[Event]:
        """Return the events of a release after a position, oldest first."""
        work = partial(reading.events_after, release_id=release_id, position=position, limit=limit)
        return await self._database.read(work)

    async def look_up(self, entity: Entity, kf_ids: Sequence[str], sight: Sight) -> Mapping[str, Node]:
        """Return those of some rows that are there and may be seen, by their ids."""
        return await self._database.read(partial(graph.look_up, entity=entity, kf_ids=kf_ids, sight=sight))

    async def listed(self, wanted: Wanted, sight: Sight) -> Piece:
        """Return part of a whole list."""
        return await self._database.read(partial(graph.listed, wanted=wanted, sight=sight))

    async def listed_of(
        self, wanted: Wanted, parent_ids: Sequence[str], sight: Sight, limit: int
    ) -> Mapping[str, Piece]:
        """Return part of the list of each parent."""
        work = partial(graph.listed_of, wanted=wanted, parent_ids=parent_ids, sight=sight, limit=limit)
        return await self._database.read(work)

    async def add_service(self, service: TaskService) -> TaskService:
        """Store a new service under an id of its own."""
        return await self._database.write(partial(catalogue.add_service, ids=self._ids, service=service))

    async def edit_service(
        self, service_id: str, fields: Mapping[str, object], seen: TaskService | None = None
    ) -> TaskService:
        """Change some fields of a service; its tasks follow its name and url."""
        work = partial(catalogue.edit_service, service_id=service_id, fields=fields, seen=seen)
        return await self._database.write(work)

    async def delete_service(self, service_id: str, seen: TaskService | None = None) -> None:
        """Take a service off the lists and out of new releases."""
        await self._database.write(partial(catalogue.delete_service, service_id=service_id, seen=seen))

    async def service(self, service_id: str) -> TaskService:
        """Return a service."""
        return await self._database.read(partial(catalogue.one_service, service_id=service_id))

    async def services(self, page: PageOf, which: ServiceFilter = ServiceFilter()) -> Page[TaskService]:
        """Return a page of services."""
        return await self._database.read(partial(catalogue.services, page=page, which=which))

    async def study(self, study_id: str) -> Study:
        """Return a study."""
        return await self._database.read(partial(catalogue.one_study, study_id=study_id))

    async def studies(self, page: PageOf, which: StudyFilter = StudyFilter()) -> Page[Study]:
        """Return a page of studies."""
        return await self._database.read(partial(catalogue.studies, page=page, which=which))

    async def sync_studies(self, facts: Sequence[StudyFacts]) -> SyncResult:
        """Make the mirrored studies the same as those given."""
        return await self._database.write(partial(catalogue.sync_studies, facts=facts))

    async def known_studies(self, study_ids: Sequence[str]) -> set[str]:
        """Return those of some ids that are studies."""
        return await self._database.read(partial(catalogue.known_studies, study_ids=study_ids))

    async def bring(self, given: History, now: datetime, *, rehearse: bool = False) -> Sorted:
        """Store part of another coordinator's history, or say what would be stored."""
        if rehearse:
            return await self._database.read(partial(history.sorted_out, given=given))
        return await self._database.write(partial(history.bring, ids=self._ids, given=given, now=now), repeatable=True)

    async def tallies(self) -> Mapping[str, int]:
        """Return how many releases and tasks are in each state, and events of each type."""
        rows = select(tally.c.name, tally.c.n)
        return await self._database.read(lambda connection: {row.name: row.n for row in connection.execute(rows)})

    async def check(self) -> None:
        """Read one row, which shows that the database answers."""

        def work(connection: Connection) -> int:
            return tallied(connection, releases_in(ReleaseState.WAITING))

        await self._database.read(work)
