"""The store on a SQL database: every method is one piece of work in one transaction.

This class holds no statement and no rule. It names the work and hands it to the `Database`, which runs it, a caller's
decision included, away from the event loop: a decision is pure, so that it does not matter where.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

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
from lockstep.coordinator.store import catalogue, changing, creating, reading
from lockstep.coordinator.store.changing import Decide
from lockstep.coordinator.store.database import Database
from lockstep.coordinator.store.fresh import FreshIds, RandomBits
from lockstep.coordinator.store.tables import releases_in
from lockstep.protocol.states import ReleaseState

T = TypeVar("T")


class SqlStore:
    """All that the coordinator remembers, in a database whose schema is the current one."""

    def __init__(self, database: Database, random_bits: RandomBits = secrets.randbits) -> None:
        self._database = database
        self._ids = FreshIds(random_bits)

    async def close(self) -> None:
        """Finish what is running and let go of the database."""
        await self._database.close()

    async def change(self, release_id: str, decide: Decide[T]) -> T:
        """Decide about a release with all of its tasks, and store what was decided."""

        def work(connection: Connection) -> T:
            return changing.change(connection, self._ids, release_id, decide)

        return await self._database.write(work)

    async def change_by_task(self, task_id: str, decide: Decide[T]) -> T:
        """Decide about the release of a task with the others counted, and store what was decided."""

        def work(connection: Connection) -> T:
            return changing.change_by_task(connection, self._ids, task_id, decide)

        return await self._database.write(work)

    async def due(self, now: datetime, limit: int) -> Sequence[str]:
        """Return the ids of releases whose `look_at` has come, the longest overdue first."""
        return await self._database.read(partial(reading.due, now=now, limit=limit))

    async def next_look(self) -> datetime | None:
        """Return the earliest `look_at` of all."""
        return await self._database.read(reading.next_look)

    async def create_release(self, new: NewRelease, now: datetime) -> ReleaseView:
        """Create a release with a task for every enabled service."""
        return await self._database.write(partial(creating.create_release, ids=self._ids, new=new, now=now))

    async def release(self, release_id: str) -> ReleaseView:
        """Return a release with its tasks and notes."""
        return await self._database.read(partial(reading.release_view, release_id=release_id))

    async def releases(
        self, page: PageOf, *, states: Sequence[ReleaseState] = (), study_id: str | None = None
    ) -> Page[ReleaseView]:
        """Return a page of releases."""
        return await self._database.read(partial(reading.releases, page=page, states=states, study_id=study_id))

    async def task(self, task_id: str) -> TaskView:
        """Return a task."""
        return await self._database.read(partial(reading.task_view, task_id=task_id))

    async def tasks(self, page: PageOf, which: TaskFilter) -> Page[TaskView]:
        """Return a page of tasks."""
        return await self._database.read(partial(reading.tasks, page=page, which=which))

    async def event(self, event_id: str) -> Event:
        """Return an event."""
        return await self._database.read(partial(reading.one_event, event_id=event_id))

    async def events(self, page: PageOf, which: EventFilter) -> Page[Event]:
        """Return a page of events."""
        return await self._database.read(partial(reading.events, page=page, which=which))

    async def events_after(self, release_id: str, position: int, limit: int) -> Sequence[Event]:
        """Return the events of a release after a position, oldest first."""
        work = partial(reading.events_after, release_id=release_id, position=position, limit=limit)
        return await self._database.read(work)

    async def add_service(self, service: TaskService) -> TaskService:
        """Store a new service under an id of its own."""
        return await self._database.write(partial(catalogue.add_service, ids=self._ids, service=service))

    async def edit_service(self, service_id: str, fields: Mapping[str, object]) -> TaskService:
        """Change some fields of a service; its tasks follow its name and url."""
        return await self._database.write(partial(catalogue.edit_service, service_id=service_id, fields=fields))

    async def delete_service(self, service_id: str) -> None:
        """Take a service off the lists and out of new releases."""
        await self._database.write(partial(catalogue.delete_service, service_id=service_id))

    async def service(self, service_id: str) -> TaskService:
        """Return a service."""
        return await self._database.read(partial(catalogue.one_service, service_id=service_id))

    async def services(self, page: PageOf, *, enabled: bool | None = None) -> Page[TaskService]:
        """Return a page of services."""
        return await self._database.read(partial(catalogue.services, page=page, enabled=enabled))

    async def study(self, study_id: str) -> Study:
        """Return a study."""
        return await self._database.read(partial(catalogue.one_study, study_id=study_id))

    async def studies(self, page: PageOf) -> Page[Study]:
        """Return a page of studies."""
        return await self._database.read(partial(catalogue.studies, page=page))

    async def sync_studies(self, facts: Sequence[StudyFacts]) -> SyncResult:
        """Make the mirrored studies the same as those given."""
        return await self._database.write(partial(catalogue.sync_studies, facts=facts))

    async def known_studies(self, study_ids: Sequence[str]) -> set[str]:
        """Return those of some ids that are studies."""
        return await self._database.read(partial(catalogue.known_studies, study_ids=study_ids))

    async def check(self) -> None:
        """Read one row, which shows that the database answers."""

        def work(connection: Connection) -> int:
            return reading.tallied(connection, releases_in(ReleaseState.WAITING))

        await self._database.read(work)
