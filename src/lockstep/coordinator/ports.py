"""What the engine and the services need from the world, and what it promises them.

Each port is a promise that every implementation keeps, checked by one suite of tests (`tests/store`): the store on
SQLite and in memory, task services over HTTP and in simulation. Nothing behind a port decides anything about a
release; nothing before it knows a database or a socket.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol, TypeVar

from lockstep.coordinator.core.model import Change, Snapshot
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
from lockstep.protocol.messages import Reply, Request
from lockstep.protocol.states import ReleaseState

T = TypeVar("T")


class Clock(Protocol):
    """The time, which is an argument everywhere else."""

    def now(self) -> datetime:
        """Return the time, with its zone, in UTC."""
        ...


class TaskServices(Protocol):
    """The task services, as the engine speaks to them."""

    async def send(self, service_url: str, request: Request, trace_id: str) -> Reply:
        """Send one request and return what came of it; whatever goes wrong on the way is a `Silence`.

        Args:
            service_url: the service's registered address; the request goes to its `/tasks`.
            request: what to say. Its task and action make the `Idempotency-Key`.
            trace_id: 32 hexadecimal digits, the release's trace, for `traceparent`.
        """
        ...


class Doorbell(Protocol):
    """Wakes the engine for a release. A ring carries nothing else; a lost, doubled or late one costs a delay only."""

    async def ring(self, release_id: str) -> None:
        """Ask that a release be looked at soon."""
        ...


class Announcer(Protocol):
    """Tells whoever watches that something was committed."""

    async def announce(self, release_id: str) -> None:
        """Say that a release, its tasks or its events have changed."""
        ...


class Subscription(Protocol):
    """One watcher's place at the feed of announcements."""

    async def wait(self, timeout_s: float) -> bool:
        """Wait until something was announced since the last wait; return whether it was, or the time ran out."""
        ...


class Feed(Protocol):
    """Where watchers listen to what an `Announcer` says."""

    def subscribe(self, release_id: str) -> AbstractContextManager[Subscription]:
        """Listen to one release for as long as the context is open."""
        ...


class ReleaseStore(Protocol):
    """The part of the store that the engine lives on. Every method is one transaction, atomic and durable."""

    async def change(self, release_id: str, decide: Callable[[Snapshot], tuple[Change, T]]) -> T:
        """Read a release with all of its tasks, decide, and store what was decided, as one serialised change.

        `decide` must be pure: it may be called again when the transaction has to be repeated. When it raises, nothing
        is stored and the error is passed on. An ended release wakes those that wait for it: their `look_at` is due.

        Raises:
            NotFound: there is no such release.
        """
        ...

    async def change_by_task(self, task_id: str, decide: Callable[[Snapshot], tuple[Change, T]]) -> T:
        """Do what `change` does for the release of a task, with only this task loaded and the others counted.

        Raises:
            NotFound: there is no such task.
        """
        ...

    async def due(self, now: datetime, limit: int) -> Sequence[str]:
        """Return the ids of releases whose `look_at` has come, the longest overdue first."""
        ...

    async def next_look(self) -> datetime | None:
        """Return the earliest `look_at` of all, None when nothing is to be looked at."""
        ...


class Store(ReleaseStore, Protocol):
    """All that the coordinator remembers."""

    async def create_release(self, new: NewRelease, now: datetime) -> ReleaseView:
        """Create a release, `waiting` and due to be looked at, with one task for every enabled service.

        Raises:
            Invalid: a study is not known.
        """
        ...

    async def release(self, release_id: str) -> ReleaseView:
        """Return a release with its tasks and notes.

        Raises:
            NotFound: there is no such release.
        """
        ...

    async def releases(
        self, page: PageOf, *, states: Sequence[ReleaseState] = (), study_id: str | None = None
    ) -> Page[ReleaseView]:
        """Return a page of releases, in one of some states if any are given."""
        ...

    async def task(self, task_id: str) -> TaskView:
        """Return a task.

        Raises:
            NotFound: there is no such task.
        """
        ...

    async def tasks(self, page: PageOf, which: TaskFilter) -> Page[TaskView]:
        """Return a page of tasks."""
        ...

    async def event(self, event_id: str) -> Event:
        """Return an event.

        Raises:
            NotFound: there is no such event.
        """
        ...

    async def events(self, page: PageOf, which: EventFilter) -> Page[Event]:
        """Return a page of events."""
        ...

    async def events_after(self, release_id: str, position: int, limit: int) -> Sequence[Event]:
        """Return the events of a release after a position, oldest first."""
        ...

    async def add_service(self, service: TaskService) -> TaskService:
        """Store a new service under an id of its own (the one given is not used); return it as stored."""
        ...

    async def edit_service(self, service_id: str, fields: Mapping[str, object]) -> TaskService:
        """Change some of name, description, url, author, enabled, last_ok_status.

        Raises:
            NotFound: there is no such service.
        """
        ...

    async def delete_service(self, service_id: str) -> None:
        """Take a service off the lists and out of new releases. Its tasks, old and open, keep it.

        Raises:
            NotFound: there is no such service.
        """
        ...

    async def service(self, service_id: str) -> TaskService:
        """Return a service.

        Raises:
            NotFound: there is no such service.
        """
        ...

    async def services(self, page: PageOf, *, enabled: bool | None = None) -> Page[TaskService]:
        """Return a page of services, deleted ones left out."""
        ...

    async def study(self, study_id: str) -> Study:
        """Return a study.

        Raises:
            NotFound: there is no such study.
        """
        ...

    async def studies(self, page: PageOf) -> Page[Study]:
        """Return a page of studies."""
        ...

    async def sync_studies(self, facts: Sequence[StudyFacts]) -> SyncResult:
        """Make the mirrored studies the same as those given: add, update, mark deleted, un-delete."""
        ...

    async def known_studies(self, study_ids: Sequence[str]) -> set[str]:
        """Return those of some ids that are studies."""
        ...

    async def check(self) -> None:
        """Do the least that shows the database answers.

        Raises:
            Unavailable: it does not.
        """
        ...


class DataService(Protocol):
    """The data service, as far as the coordinator needs it."""

    async def studies(self) -> Sequence[StudyFacts]:
        """Return every study, of all pages.

        Raises:
            Unavailable: the data service did not give them.
        """
        ...

    def study_url(self, study_id: str) -> str:
        """Return the retrieval address of a study."""
        ...


class Prober(Protocol):
    """Looks at a service's `/status`."""

    async def probe(self, url: str) -> None:
        """Check that `GET {url}/status` answers 200 with a name.

        Raises:
            Unavailable: it does not; the sentence says what was seen.
        """
        ...
