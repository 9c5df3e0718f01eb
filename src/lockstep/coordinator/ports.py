"""What the engine and the services need from the world, and what it promises them.

Each port is a promise that every implementation keeps, checked by one suite of tests (`tests/store`): the store on
SQLite and in memory, task services over HTTP and in simulation. Nothing behind a port decides anything about a
release; nothing before it knows a database or a socket.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol, TypeVar

from lockstep.coordinator.core.announcing import Batch, Delivery, DeliveryState, Outcome, Receiver
from lockstep.coordinator.core.callers import ALL, Caller, Sight
from lockstep.coordinator.core.graph import Entity, Node, Piece, Wanted
from lockstep.coordinator.core.history import History, Kind, Sorted
from lockstep.coordinator.core.history import Piece as PieceOfHistory
from lockstep.coordinator.core.model import Change, Snapshot
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
from lockstep.coordinator.core.users import EVERYBODY, Profile, Session, User, UserFilter
from lockstep.coordinator.core.versions import Numbers
from lockstep.protocol.messages import Reply, Request

T = TypeVar("T")


def always() -> bool:
    """Tell that a request may leave, however late it is."""
    return True


class Clock(Protocol):
    """The time, which is an argument everywhere else."""

    def now(self) -> datetime:
        """Return the time, with its zone, in UTC."""
        ...


class TaskServices(Protocol):
    """The task services, as the engine speaks to them."""

    async def send(
        self, service_url: str, request: Request, trace_id: str, may_leave: Callable[[], bool] = always
    ) -> Reply:
        """Send one request and return what came of it; whatever goes wrong on the way is a `Silence`.

        Args:
            service_url: the service's registered address; the request goes to its `/tasks`.
            request: what to say. Its task and action make the `Idempotency-Key`.
            trace_id: 32 hexadecimal digits, the release's trace, for `traceparent`.
            may_leave: asked as late as can be before anything of the request leaves; if it may not, nothing does.
        """
        ...


class Doorbell(Protocol):
    """Wakes the engine for a release. A ring carries nothing else; a lost, doubled or late one costs a delay only."""

    async def ring(self, release_id: str) -> None:
        """Ask that a release be looked at soon."""
        ...


class Peers(Protocol):
    """The other engines on the same database. What is said to them may be lost, which costs a delay only."""

    async def nudge(self, release_id: str) -> None:
        """Say to the engine that is at work on a release that the release was changed."""
        ...

    async def offer(self, release_id: str) -> None:
        """Say that nobody is at work on a release any more, and that something is to be done about it."""
        ...


class Announcer(Protocol):
    """Tells whoever watches that something was committed."""

    async def announce(self, subject_id: str) -> None:
        """Say that a release with its tasks, events and notes has changed, or a service, or a study, by its id."""
        ...


class Subscription(Protocol):
    """One watcher's place at the feed of announcements."""

    async def wait(self, timeout_s: float) -> bool:
        """Wait until something was announced since the last wait; return whether it was, or the time ran out."""
        ...


class Feed(Protocol):
    """Where watchers listen to what an `Announcer` says."""

    def subscribe(self, subject_id: str | None) -> AbstractContextManager[Subscription]:
        """Listen to one release or other thing, or to everything (None), for as long as the context is open."""
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
        """Return the ids of releases whose `look_at` has come, the longest overdue first.

        Those that still wait for a release that has ended come after them: their wake was lost.
        """
        ...

    async def next_look(self) -> datetime | None:
        """Return the earliest `look_at` of all, None when nothing is to be looked at."""
        ...


class Batches(Protocol):
    """Reading for those who follow links from thing to thing: each method is one question, whatever it is asked for."""

    async def look_up(self, entity: Entity, kf_ids: Sequence[str], sight: Sight) -> Mapping[str, Node]:
        """Return those of some rows that are there and may be seen, by their ids.

        Task services are found also when they were deleted, and by everybody; who may see what of them is not known
        here. Everybody sees the studies that the data service shows.
        """
        ...

    async def listed(self, wanted: Wanted, sight: Sight) -> Piece:
        """Return part of a whole list."""
        ...

    async def listed_of(
        self, wanted: Wanted, parent_ids: Sequence[str], sight: Sight, limit: int
    ) -> Mapping[str, Piece]:
        """Return part of the list of each parent that has one, and at most `limit` rows of all of them together.

        At the limit, which rows are left out is not said: a caller who gets so many knows that there may be more.
        """
        ...


class Outbox(Protocol):
    """Whom every event is announced to, and how far each of them is; every method is one transaction.

    Events leave the log in its order, and none is ever passed over: what a batch begins with is in the log for good.
    """

    async def owed(self, now: datetime, *, alone: bool) -> Sequence[str]:
        """Return the ids of the receivers for whom there is something to do now and whom nobody is at work on.

        `alone` means that no other process can be: whatever lease there is was left by one that has ended.
        """
        ...

    async def claim(self, receiver_id: str, owner: str, now: datetime, *, until: datetime, alone: bool) -> Batch | None:
        """Begin to work on a receiver and return what to try; None when it is switched off, or somebody is at it."""
        ...

    async def record(self, receiver: Receiver, deliveries: Sequence[Delivery]) -> None:
        """Store what came of a batch, and give the lease back.

        Raises:
            LeaseLost: somebody else has begun to work on it, or it was edited or deleted; nothing was stored.
        """
        ...

    async def set_topic(self, arn: str | None, now: datetime) -> None:
        """Make one topic, or none, the one that events are announced to; a new one begins with the next event."""
        ...

    async def add_webhook(self, webhook: Receiver) -> Receiver:
        """Store a new webhook under an id of its own (the one given is not used); it begins with the next event."""
        ...

    async def edit_webhook(self, webhook_id: str, fields: Mapping[str, object]) -> Receiver:
        """Change some of target, description, enabled and the secrets. Switched on, it begins with the next event.

        Raises:
            NotFound: there is no such webhook.
        """
        ...

    async def delete_webhook(self, webhook_id: str) -> None:
        """Remove a webhook and its deliveries.

        Raises:
            NotFound: there is no such webhook.
        """
        ...

    async def webhook(self, webhook_id: str) -> Receiver:
        """Return a webhook.

        Raises:
            NotFound: there is no such webhook.
        """
        ...

    async def webhooks(self, page: PageOf) -> Page[Receiver]:
        """Return a page of webhooks, newest created first."""
        ...

    async def deliveries(self, webhook_id: str, page: PageOf, state: DeliveryState | None = None) -> Page[Delivery]:
        """Return a page of what a webhook was sent, newest event first, in one state if one is given.

        Raises:
            NotFound: there is no such webhook.
        """
        ...

    async def redeliver(self, webhook_id: str, event_id: str, now: datetime) -> Delivery:
        """Have an event tried again at once, with a new day ahead of it; one that is in line anyhow keeps its turn.

        Raises:
            NotFound: there is no such webhook, or no such event.
        """
        ...

    async def backlog(self) -> Mapping[str, int]:
        """Return how many events are not done with yet, by kind of receiver that is switched on."""
        ...


class People(Protocol):
    """Who has been here, who is signed in, and what only the deployment knows; every method is one transaction."""

    async def remember(self, profile: Profile, now: datetime, *, signed_in: bool = False) -> User:
        """Store what an issuer says of a person; what it says nothing about stays as it was."""
        ...

    async def user(self, sub: str) -> User:
        """Return a user.

        Raises:
            NotFound: nobody of that name has been here.
        """
        ...

    async def users(self, page: PageOf, which: UserFilter = EVERYBODY) -> Page[User]:
        """Return a page of users, in the order in which they came (`date_joined`), or the other way round."""
        ...

    async def open_session(self, opened: Session, now: datetime) -> None:
        """Store a session of a user who is remembered; those that are over are removed."""
        ...

    async def session(self, digest: str, now: datetime) -> Session:
        """Return a session that is not over.

        Raises:
            NotFound: there is none.
        """
        ...

    async def close_session(self, digest: str) -> None:
        """Remove a session, if it is there."""
        ...

    async def client_of_task(self, task_id: str) -> str:
        """Return the client id of the service of a task, deleted or not; empty if it has none.

        Raises:
            NotFound: there is no such task.
        """
        ...

    async def secret(self, proposed: str) -> str:
        """Return the deployment's secret, which is the one proposed if it has none yet."""
        ...


class Store(ReleaseStore, Batches, Protocol):
    """All that the coordinator remembers."""

    @property
    def people(self) -> People:
        """Return who uses it."""
        ...

    @property
    def outbox(self) -> Outbox:
        """Return whom its events are announced to."""
        ...

    async def claim(self, chore: str, now: datetime, until: datetime) -> bool:
        """Claim a piece of periodic work if it is due, and put it off until some time for whoever else would do it.

        Return whether it was due. What was never claimed is due.
        """
        ...

    async def create_release(self, new: NewRelease, now: datetime, key: RequestKey | None = None) -> ReleaseView:
        """Create a release, `waiting` and due to be looked at, with one task for every enabled service.

        A key that created one before, for the same request, gives that one as it is now, and creates nothing.

        Raises:
            Invalid: a study is not known.
            KeyReused: the key was sent with another request before.
        """
        ...

    async def release(self, release_id: str, sight: Sight = ALL) -> ReleaseView:
        """Return a release with its tasks and notes.

        Raises:
            NotFound: there is no such release, or it may not be seen.
        """
        ...

    async def releases(
        self, page: PageOf, which: ReleaseFilter = ReleaseFilter(), sight: Sight = ALL
    ) -> Page[ReleaseView]:
        """Return a page of releases.

        Raises:
            Invalid: the list has no such order. So it is with every list.
        """
        ...

    async def published(self, limit: int, until: datetime | None = None) -> Sequence[ReleaseView]:
        """Return the releases that were published last, up to and with a time, without their tasks."""
        ...

    async def numbers(self) -> Numbers:
        """Return which versions have been given so far."""
        ...

    async def current_of(self, study_id: str) -> ReleaseView:
        """Return the release with which a study became public last, without its tasks.

        Raises:
            NotFound: there is none.
        """
        ...

    async def task(self, task_id: str, sight: Sight = ALL) -> TaskView:
        """Return a task.

        Raises:
            NotFound: there is no such task, or its release may not be seen.
        """
        ...

    async def tasks(self, page: PageOf, which: TaskFilter = TaskFilter(), sight: Sight = ALL) -> Page[TaskView]:
        """Return a page of tasks."""
        ...

    async def event(self, event_id: str, sight: Sight = ALL) -> Event:
        """Return an event.

        Raises:
            NotFound: there is no such event, or its release may not be seen.
        """
        ...

    async def events(self, page: PageOf, which: EventFilter = EventFilter(), sight: Sight = ALL) -> Page[Event]:
        """Return a page of events. One that is about no release is seen only by those who see everything."""
        ...

    async def add_event(self, new: NewEvent, now: datetime) -> Event:
        """Store an event of something that happened elsewhere; one about a task gets its release and service.

        Raises:
            Invalid: what it is about is not there, or does not belong together.
        """
        ...

    async def note(self, note_id: str, sight: Sight = ALL) -> ReleaseNote:
        """Return a note.

        Raises:
            NotFound: there is no such note, or its release may not be seen.
        """
        ...

    async def notes(self, page: PageOf, which: NoteFilter = NoteFilter(), sight: Sight = ALL) -> Page[ReleaseNote]:
        """Return a page of notes."""
        ...

    async def notes_of(self, release_id: str) -> Sequence[ReleaseNote]:
        """Return all notes of a release, the newest first."""
        ...

    async def add_note(self, new: NewNote, now: datetime) -> ReleaseNote:
        """Store a note under an id of its own.

        Raises:
            Invalid: there is no such release or study, or the release does not hold the study.
        """
        ...

    async def edit_note(self, note_id: str, description: str, seen: ReleaseNote | None = None) -> ReleaseNote:
        """Change what a note says.

        Raises:
            NotFound: there is no such note.
            Changed: it is not as the caller saw it. So it is with everything that takes `seen`.
        """
        ...

    async def delete_note(self, note_id: str, seen: ReleaseNote | None = None) -> ReleaseNote:
        """Take a note away; return what it was.

        Raises:
            NotFound: there is no such note.
        """
        ...

    async def events_after(self, release_id: str, position: int, limit: int) -> Sequence[Event]:
        """Return the events of a release after a position, oldest first."""
        ...

    async def add_service(self, service: TaskService) -> TaskService:
        """Store a new service under an id of its own (the one given is not used); return it as stored."""
        ...

    async def edit_service(
        self, service_id: str, fields: Mapping[str, object], seen: TaskService | None = None
    ) -> TaskService:
        """Change some of name, description, url, author, enabled, last_ok_status.

        Raises:
            NotFound: there is no such service.
        """
        ...

    async def delete_service(self, service_id: str, seen: TaskService | None = None) -> None:
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

    async def services(self, page: PageOf, which: ServiceFilter = ServiceFilter()) -> Page[TaskService]:
        """Return a page of services, deleted ones left out."""
        ...

    async def study(self, study_id: str) -> Study:
        """Return a study.

        Raises:
            NotFound: there is no such study.
        """
        ...

    async def studies(self, page: PageOf, which: StudyFilter = StudyFilter()) -> Page[Study]:
        """Return a page of studies."""
        ...

    async def sync_studies(self, facts: Sequence[StudyFacts]) -> SyncResult:
        """Make the mirrored studies the same as those given: add, update, mark deleted, un-delete."""
        ...

    async def known_studies(self, study_ids: Sequence[str]) -> set[str]:
        """Return those of some ids that are studies."""
        ...

    async def bring(self, given: History, now: datetime, *, rehearse: bool = False) -> Sorted:
        """Store part of another coordinator's history as it is given; or, to rehearse, only say what would be stored.

        What is here already is left, or made the same again where it has changed over there. Its releases have ended,
        so that no engine will look at them; every number that they have is given, and its events are announced to
        nobody. What it links to is here already, or comes with it.
        """
        ...

    async def tallies(self) -> Mapping[str, int]:
        """Return how many releases and tasks are in each state, and events of each type, as `releases:staged`."""
        ...

    async def check(self) -> None:
        """Do the least that shows the database answers.

        Raises:
            Unavailable: it does not.
        """
        ...


class Carrier(Protocol):
    """The way to one kind of receiver."""

    async def carry(self, receiver: Receiver, event: Event) -> Outcome:
        """Try once to bring an event; whatever goes wrong on the way is an outcome."""
        ...


class Identity(Protocol):
    """Tells who a bearer token is about."""

    async def of_token(self, token: str) -> tuple[Caller, Profile]:
        """Return who a token is about, and what it tells of them.

        Raises:
            Unauthorized: the token does not hold; the sentence says why.
            Unavailable: whoever issued it could not be asked.
        """
        ...

    async def profile(self, token: str) -> Profile | None:
        """Ask the issuer about the person that a token is for; return None when it does not tell."""
        ...


class SignIn(Protocol):
    """Where people sign in with a browser."""

    async def begin(self, callback_url: str, after: str) -> tuple[str, str]:
        """Return where to send the browser, and what it is to keep until it comes back to the callback's address.

        Args:
            callback_url: our address that the browser comes back to.
            after: the page that it is on the way to.

        Raises:
            Unavailable: the issuer could not be asked where that is.
        """
        ...

    async def finish(self, kept: str, given: Mapping[str, str]) -> tuple[Caller, Profile, str]:
        """Return who has signed in, their profile, and where they were going.

        Args:
            kept: what the browser kept.
            given: what it brought back from the issuer.

        Raises:
            Unauthorized: nobody has signed in; the sentence says why.
            Unavailable: the issuer could not be asked who it was.
        """
        ...

    async def farewell(self, back_url: str) -> str:
        """Return where to send the browser to be signed out there too, and then back; empty if there is no such."""
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


class OtherCoordinator(Protocol):
    """Another coordinator, whose history is read."""

    def read(self, kind: Kind) -> AsyncIterator[PieceOfHistory]:
        """Yield all records of a kind, the oldest first and none twice; tasks and notes come with their releases.

        Raises:
            NoSource: it is no such coordinator, or does not let itself be read.
            SourceAway: it gave no usable answer; what was read before is then not all of it.
        """
        ...


class Prober(Protocol):
    """Looks at a service's `/status`."""

    async def probe(self, url: str) -> None:
        """Check that `GET {url}/status` answers 200 with a name.

        Raises:
            Unavailable: it does not; the sentence says what was seen.
        """
        ...
