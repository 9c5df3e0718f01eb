"""What is stored of a release, as values that cannot be changed.

`Release` and `Task` mirror their rows. Beside what users see, each carries what the engine needs to go on after a
crash: how far the last action to a service has come, when to look again, and who is at work on the release. A
`Snapshot` is all that a decision may depend on, and a `Change` all that it may have done.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from lockstep.coordinator.core.versions import Version
from lockstep.protocol.messages import Action
from lockstep.protocol.states import ReleaseState, TaskState

COORDINATOR: Final = "lockstep"
"""The actor of what nobody asked for: the coordinator itself, by its rules."""


class EventType(StrEnum):
    """How much attention an event asks for."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Delivery(StrEnum):
    """How far an action to a service has come.

    `SENT` is stored before anything is sent, so that after a crash it means "may have arrived". `DOUBTFUL` is a
    request that got no answer: the service is asked for its status before anything is sent again. `ABSENT` is what it
    becomes when the service has been asked and did not know of it: it may be sent again at once.
    """

    NONE = "none"
    SENT = "sent"
    DOUBTFUL = "doubtful"
    ABSENT = "absent"
    ANSWERED = "answered"
    GIVEN_UP = "given_up"


class Task(NamedTuple):
    """One service's part in one release; a named tuple, since a decision changes a thousand of them field by field.

    Attributes:
        progress: percent of the current step, 0 to 100.
        state_since: when the state last changed.
        life_at: the last sign of life: a change of state or progress.
        told: the furthest of initialize, start and publish that was marked as sent.
        delivery: how far `told` has come.
        cancel: how far the cancel has come.
        flight_epoch: the lease epoch under which a request is on its way; of an older epoch, one that nobody awaits.
        attempts: requests in a row that got no answer.
        due_at: when to ask again (a repetition, or the next poll).
        last_error: the last thing that went wrong, in words; empty when nothing did.
        metrics: what the service has counted, by names of its own.
        preview: the address at which what it staged can be looked at; empty when it gave none.
    """

    kf_id: str
    service_id: str
    service_name: str
    service_url: str
    created_at: datetime
    state_since: datetime
    life_at: datetime
    state: TaskState = TaskState.WAITING
    progress: int = 0
    told: Action | None = None
    delivery: Delivery = Delivery.NONE
    cancel: Delivery = Delivery.NONE
    flight_epoch: int | None = None
    attempts: int = 0
    due_at: datetime | None = None
    last_error: str = ""
    metrics: Mapping[str, object] | None = None
    preview: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who is at work on a release. The epoch rises whenever it is taken and fences every write of the holder."""

    owner: str | None = None
    until: datetime | None = None
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Release:
    """A set of studies on its way to every service.

    Attributes:
        step_since: when the current state began.
        publish_order: the place in the order in which publishing was asked for; None until a person asks.
        waits_for: the release that this one waits for before it is published, because they share a study.
        ending: how a release in `canceling` will end: failed or canceled.
        published_at: when the last service had published.
        partially_published: it ended failed or canceled while some services had already published.
        look_at: when the engine must look at it at the latest; None when only a person or a service can move it.
    """

    kf_id: str
    name: str
    version: Version
    studies: tuple[str, ...]
    created_at: datetime
    step_since: datetime
    description: str = ""
    author: str = "admin"
    tags: tuple[str, ...] = ()
    is_major: bool = False
    state: ReleaseState = ReleaseState.WAITING
    publish_order: int | None = None
    waits_for: str | None = None
    ending: ReleaseState | None = None
    published_at: datetime | None = None
    partially_published: bool = False
    look_at: datetime | None = None
    lease: Lease = Lease()
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class Ahead:
    """An unsettled release that shares a study and was asked to publish; `order` as in `Release.publish_order`."""

    kf_id: str
    order: int
    shared: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a decision about one release may depend on, read in one transaction.

    Attributes:
        tasks: the tasks that were loaded, by id: all of them, or the one that a callback is about.
        others: how many tasks that were not loaded are in which state.
        ahead: the releases that share a study and were asked to publish, in that order, when this one is staged.
        last_order: the last place in the order of publishing that was given.
        highest_published: the highest version that any publishing took.
    """

    release: Release
    tasks: Mapping[str, Task]
    others: Mapping[TaskState, int] = field(default_factory=dict)
    ahead: tuple[Ahead, ...] = ()
    last_order: int = 0
    highest_published: Version | None = None


@dataclass(frozen=True, slots=True)
class EventDraft:
    """An event of a release before it has an id and a place in the log."""

    event_type: EventType
    message: str
    task_id: str | None = None
    service_id: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What a decision wants stored: the release, the tasks that differ, and the events in their order, as of a time.

    `actor` is whose doing the events are.
    """

    release: Release
    at: datetime
    tasks: tuple[Task, ...] = ()
    events: tuple[EventDraft, ...] = ()
    actor: str = COORDINATOR
