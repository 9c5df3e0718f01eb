"""The records that are kept and shown beside releases and tasks, and the lists that they come in.

Plain values, as their rows are; the store makes them, and the faces turn them into their own shapes.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from lockstep.coordinator.core.model import EventType, Release, Task
from lockstep.coordinator.core.versions import Version
from lockstep.protocol.states import TaskState

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class TaskService:
    """A registered task service, as its row.

    Attributes:
        last_ok_status: failed health checks since the last good one; above 3 the service counts as down.
    """

    kf_id: str
    name: str
    description: str
    url: str
    author: str
    created_at: datetime
    enabled: bool = True
    last_ok_status: int = 0

    @property
    def health_status(self) -> str:
        """Return `ok` or `down`, the words that clients know."""
        tolerated = 3
        return "ok" if self.last_ok_status <= tolerated else "down"


@dataclass(frozen=True, slots=True)
class Study:
    """A study of the data service, as mirrored here.

    Attributes:
        version: the version of the newest-created release that holds the study, in any state.
        last_pub_version: the version of the newest-created published release that holds it.
        last_pub_date: when that release was created, which is what clients in the field expect.
    """

    kf_id: str
    name: str
    visible: bool
    deleted: bool
    created_at: datetime | None
    version: Version | None = None
    last_pub_version: Version | None = None
    last_pub_date: datetime | None = None


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """What the data service says of one study. A study without a name is called by its id."""

    kf_id: str
    name: str | None
    visible: bool
    created_at: datetime | None


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
    """Something that happened, as its row; `position` rises with every event and is never used again."""

    position: int
    kf_id: str
    event_type: EventType
    message: str
    created_at: datetime
    release_id: str | None = None
    task_service_id: str | None = None
    task_id: str | None = None


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


@dataclass(frozen=True, slots=True)
class PageOf:
    """Which part of a list: `limit` rows from the `offset`-th, newest created first."""

    limit: int = 10
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Part of a list, and how many rows the whole of it has."""

    rows: tuple[Row, ...]
    count: int


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks; None filters nothing."""

    release_id: str | None = None
    task_service_id: str | None = None
    state: TaskState | None = None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events; None filters nothing."""

    release_id: str | None = None
    task_service_id: str | None = None
    task_id: str | None = None
    event_type: EventType | None = None
