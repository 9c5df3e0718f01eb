"""What another coordinator remembers, on its way into ours: the values, and what each means for what is here already.

An import brings records with their ids and their times. Whether one is new here, differs from what is here, or is the
same, is told by its id and by its time of creation, and by the fields that may change over there after it was made.
Both stores sort by what is written here, so that running an import twice comes to the same on each of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeVar

from lockstep.coordinator.core.errors import CoordinatorError, Unavailable
from lockstep.coordinator.core.model import Release, Task
from lockstep.coordinator.core.records import Event, ReleaseNote, Study, TaskService, TaskView

Record = TypeVar("Record", Study, TaskService, Release, Task, ReleaseNote, Event)


class Kind(StrEnum):
    """What is brought, by the name under which it is counted, in the order in which it is."""

    STUDY = "studies"
    SERVICE = "task services"
    RELEASE = "releases"
    TASK = "tasks"
    NOTE = "release notes"
    EVENT = "events"


class NoSource(CoordinatorError):
    """What was to be read is no such coordinator, or does not let itself be read."""


class SourceAway(Unavailable):
    """The other coordinator gave no usable answer, however often it was asked."""


FOLLOWED: Final[Mapping[type, tuple[str, ...]]] = {
    Study: ("name", "visible"),
    TaskService: ("name", "description", "url", "author", "enabled"),
    Release: ("name", "description", "author", "tags", "studies", "is_major", "version", "partially_published"),
    Task: ("state", "progress", "metrics", "preview", "last_error"),
    ReleaseNote: ("description", "author", "study_id"),
    Event: ("event_type", "message"),
}
"""The fields of each kind that are made the same again when they have changed over there.

Whether a study is deleted is not among them: the data service knows, and coordinators in the field get it wrong.
"""


OF_ONE_LEFT_OUT: Final = "its release was left out"
"""The reason for what hangs on a release that is not brought."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that was left out, or is not just as it is over there; the reason is half a sentence."""

    kind: Kind
    kf_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class History:
    """Records to be stored together, those of each kind in the order of their creation.

    Attributes:
        gone: those of the services that are over there no more: they are kept for their tasks, and on no list.
        events: their positions mean nothing; each is given one here.
        moments: when releases and tasks came to the state that they are in, by their ids, as far as that is known.
        uuids: the hidden names of the records by their ids, as far as they are known.
    """

    studies: Sequence[Study] = ()
    services: Sequence[TaskService] = ()
    gone: frozenset[str] = frozenset()
    releases: Sequence[Release] = ()
    tasks: Sequence[TaskView] = ()
    notes: Sequence[ReleaseNote] = ()
    events: Sequence[Event] = ()
    moments: Mapping[str, datetime] = field(default_factory=dict)
    uuids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Piece:
    """A page of what is over there.

    Attributes:
        total: how many there are of its kind.
        history: what is in the page; releases in every state, in flight or not.
        left_out: what is in the page and cannot be brought.
        altered: what is brought, and not just as it is.
    """

    total: int
    history: History
    left_out: Sequence[Remark] = ()
    altered: Sequence[Remark] = ()


@dataclass(slots=True)
class Sorted:
    """What came of records: the ids of those that are new here, that were made the same again, and that clash.

    Attributes:
        taken: ids that something else has here, made at another time; nothing was stored under those.
        same_version: published releases by the ids of others that have the same version.
    """

    new: set[str] = field(default_factory=set)
    updated: set[str] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)
    same_version: dict[str, str] = field(default_factory=dict)

    def sort(
        self, given: Iterable[Record], here: Mapping[str, Record]
    ) -> tuple[list[Record], list[tuple[Record, Record]]]:
        """Return the records that are new here, and those that differ, each as it was and as it is to be."""
        new: list[Record] = []
        changed: list[tuple[Record, Record]] = []
        for record in given:
            before = here.get(record.kf_id)
            if before is None:
                self.new.add(record.kf_id)
                new.append(record)
            elif before.created_at != record.created_at and not isinstance(record, Study):
                self.taken.add(record.kf_id)
            elif (after := followed(before, record)) != before:
                self.updated.add(record.kf_id)
                changed.append((before, after))
        return new, changed


def followed(before: Record, given: Record) -> Record:
    """Return a record that is here, with what has changed of it over there; a link that was missing is added."""
    fields: dict[str, Any] = {name: getattr(given, name) for name in FOLLOWED[type(given)]}
    if isinstance(before, Event):
        links = ("release_id", "task_service_id", "task_id")
        fields |= {name: getattr(before, name) or getattr(given, name) for name in links}
    if isinstance(before, Task):
        return before._replace(**fields)
    return replace(before, **fields)
