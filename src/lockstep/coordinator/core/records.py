"""The records that are kept and shown beside releases and tasks, and the lists that they come in.

Plain values, as their rows are; the store makes them, and the faces turn them into their own shapes.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, TypeVar

from lockstep.coordinator.core.model import EventType, Release, Task
from lockstep.coordinator.core.versions import Version
from lockstep.protocol.states import ReleaseState, TaskState

Row = TypeVar("Row")

TOLERATED_FAILURES: Final = 3
"""Failed health checks in a row after which a service still counts as well."""


@dataclass(frozen=True, slots=True)
class TaskService:
    """A registered task service, as its row.

    Attributes:
        last_ok_status: failed health checks since the last good one; above 3 the service counts as down.
        client_id: the client whose tokens are the service's own; empty for a service that has none.
    """

    kf_id: str
    name: str
    description: str
    url: str
    author: str
    created_at: datetime
    enabled: bool = True
    last_ok_status: int = 0
    client_id: str = ""

    @property
    def health_status(self) -> str:
        """Return `ok` or `down`, the words that clients know."""
        return "ok" if self.last_ok_status <= TOLERATED_FAILURES else "down"


@dataclass(frozen=True, slots=True)
class Study:
    """A study of the data service, as mirrored here.

    Attributes:
        version: the version of the newest-created release that holds the study, in any state.
        last_pub_version: the version of the newest-created published release that holds it.
        last_pub_date: when that release was created, which is what clients in the field expect.
        last_published_at: when it was published.
    """

    kf_id: str
    name: str
    visible: bool
    deleted: bool
    created_at: datetime | None
    version: Version | None = None
    last_pub_version: Version | None = None
    last_pub_date: datetime | None = None
    last_published_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """What the data service says of one study; the name is of any length, or missing."""

    kf_id: str
    name: str | None
    visible: bool
    created_at: datetime | None

    @property
    def title(self) -> str:
        """Return what the study is called: its name, or its id; without NUL characters, which not every store keeps."""
        return (self.name or "").replace("\0", "") or self.kf_id


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What a sync of the studies came to: the ids of those that are new, gone, and back again."""

    new: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReleaseNote:
    """A note on a release, or on one study in it."""

    kf_id: str
    description: str
    author: str
    created_at: datetime
    release_id: str
    study_id: str | None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, as its row.

    Attributes:
        position: rises with every event and is never used again.
        actor: whose doing it was: a user name, a client or a task, or the coordinator; empty when nobody knows.
    """

    position: int
    kf_id: str
    event_type: EventType
    message: str
    created_at: datetime
    release_id: str | None = None
    task_service_id: str | None = None
    task_id: str | None = None
    actor: str = ""


@dataclass(frozen=True, slots=True)
class ReleaseView:
    """A release with what is shown with it."""

    release: Release
    tasks: tuple[Task, ...] = ()
    notes: tuple[ReleaseNote, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task with the release that it belongs to."""

    task: Task
    release_id: str


@dataclass(frozen=True, slots=True)
class NewRelease:
    """A release to be created. Its id, its version and its tasks come into being in the store's one transaction."""

    name: str
    studies: tuple[str, ...]
    description: str = ""
    author: str = "admin"
    tags: tuple[str, ...] = ()
    is_major: bool = False

    def created(self, kf_id: str, uuid: str, version: Version, studies: tuple[str, ...], now: datetime) -> Release:
        """Return the release as it begins: `waiting`, and due to be looked at.

        Args:
            kf_id: its id.
            uuid: its hidden name.
            version: the number that it is given.
            studies: its studies, each once.
            now: the time.
        """
        return Release(
            kf_id=kf_id,
            uuid=uuid,
            name=self.name,
            version=version,
            studies=studies,
            created_at=now,
            step_since=now,
            description=self.description,
            author=self.author,
            tags=self.tags,
            is_major=self.is_major,
            look_at=now,
        )


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What makes a request that is sent again known as the same one.

    Attributes:
        caller: who sent it; the keys of one caller mean nothing for another.
        key: the word that the caller chose for it.
        fingerprint: stands for what it asked for, so that a key that is used for something else is noticed.
    """

    caller: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class NewNote:
    """A note to be written on a release, or on one study in it."""

    description: str
    release_id: str
    study_id: str | None = None
    author: str = "admin"


@dataclass(frozen=True, slots=True)
class NewEvent:
    """Something that happened elsewhere and is to stand among our events."""

    event_type: EventType
    message: str
    release_id: str | None = None
    task_service_id: str | None = None
    task_id: str | None = None
    actor: str = ""


NEWEST_FIRST: Final = "-created_at"
"""The order of every list that nobody asked to have in another."""


@dataclass(frozen=True, slots=True)
class PageOf:
    """Which part of a list: `limit` rows from the `offset`-th on.

    Attributes:
        order: one of the list's orders below, with a minus before it for the other way round. Rows that are equal in
            it stand in the order of their creation, the same way round, so that no row is on two pages.
    """

    limit: int = 10
    offset: int = 0
    order: str = NEWEST_FIRST


RELEASE_ORDERS: Final = ("created_at", "name", "author", "version", "state", "published_at")
TASK_ORDERS: Final = ("created_at", "state")
SERVICE_ORDERS: Final = ("created_at", "name", "author")
STUDY_ORDERS: Final = ("created_at", "name", "kf_id")
EVENT_ORDERS: Final = ("created_at", "event_type")
NOTE_ORDERS: Final = ("created_at", "author")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Part of a list, and how many rows the whole of it has.

    The count of all there is, and of those in a state or of a type, is exact. Other filtered lists count no further
    than `COUNTED` rows beyond the page, and those that must look at every row's release no further than
    `COUNTED_ONE_BY_ONE`.
    """

    rows: tuple[Row, ...]
    count: int


COUNTED: Final = 10_000
"""Rows beyond a page that are counted at the most, where the number of all is not known without counting."""

COUNTED_ONE_BY_ONE: Final = 1_000
"""The same where each row is counted only if its release may be seen."""

SEARCHED: Final = 20_000
"""Rows that are searched for a text at the most: the newest that the other filters leave.

No text is indexed. The indexes that a database has for parts of texts cost more with every event than storing it,
SQLite 60 µs in a step that stores thousands, and Postgres has them only where an extension may be installed.
"""


@dataclass(frozen=True, slots=True)
class ReleaseFilter:
    """Which releases. None, and what is empty, filters nothing.

    Attributes:
        states: in one of them.
        study_id: it holds the study.
        tags: it has every one of them.
        name_contains: in any case of letters.
        created_before, created_after, published_before, published_after: strictly.
    """

    states: Collection[ReleaseState] = ()
    study_id: str | None = None
    author: str | None = None
    name: str | None = None
    name_contains: str | None = None
    version: Version | None = None
    is_major: bool | None = None
    tags: tuple[str, ...] = ()
    created_before: datetime | None = None
    created_after: datetime | None = None
    published_before: datetime | None = None
    published_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks; None filters nothing."""

    release_id: str | None = None
    task_service_id: str | None = None
    state: TaskState | None = None
    kf_id: str | None = None
    created_before: datetime | None = None
    created_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events; None filters nothing."""

    release_id: str | None = None
    task_service_id: str | None = None
    task_id: str | None = None
    event_type: EventType | None = None
    message_contains: str | None = None
    created_before: datetime | None = None
    created_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class NoteFilter:
    """Which release notes; None filters nothing."""

    release_id: str | None = None
    study_id: str | None = None
    author: str | None = None
    kf_id: str | None = None
    description_contains: str | None = None
    created_before: datetime | None = None
    created_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class ServiceFilter:
    """Which task services, deleted ones never; None filters nothing."""

    enabled: bool | None = None
    author: str | None = None
    name: str | None = None
    name_contains: str | None = None
    description: str | None = None
    url: str | None = None
    healthy: bool | None = None
    created_before: datetime | None = None
    created_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class StudyFilter:
    """Which studies; None filters nothing."""

    kf_id: str | None = None
    name_contains: str | None = None
    visible: bool | None = None
    deleted: bool | None = None
    created_before: datetime | None = None
    created_after: datetime | None = None
