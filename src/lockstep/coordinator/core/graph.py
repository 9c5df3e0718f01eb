"""What is asked of the store by those who follow links from one thing to the next, many at a time.

A reader of a graph asks for the tasks of fifty releases at once and must not pay for fifty readings. So it says once
what it wants (`Wanted`: rows of which kind, under which conditions, in which order, from which place to which) and for
which parents, and gets a `Piece` of the list for each. Values only; the port `Batches` says who answers them, and
the store's two implementations read the same value, one as SQL and one over what it has in memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lockstep.coordinator.core.model import Release
from lockstep.coordinator.core.records import Event, ReleaseNote, Study, TaskService, TaskView

Record = Release | Study | TaskView | TaskService | Event | ReleaseNote


class Entity(StrEnum):
    """The kinds of things that link to each other."""

    RELEASE = "release"
    STUDY = "study"
    TASK = "task"
    SERVICE = "task_service"
    EVENT = "event"
    NOTE = "release_note"


LINKS: Final[Mapping[Entity, frozenset[Entity]]] = {
    Entity.RELEASE: frozenset({Entity.STUDY}),
    Entity.STUDY: frozenset({Entity.RELEASE}),
    Entity.TASK: frozenset({Entity.RELEASE, Entity.SERVICE}),
    Entity.SERVICE: frozenset(),
    Entity.EVENT: frozenset({Entity.RELEASE, Entity.SERVICE, Entity.TASK}),
    Entity.NOTE: frozenset({Entity.RELEASE, Entity.STUDY}),
}
"""Of which kinds of parents there are lists of each kind."""


class Comparison(StrEnum):
    """How a field is compared with a value."""

    IS = "is"
    CONTAINS = "contains"
    """As a text, capital letters or not."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on a field of a row: one of its own columns, or the id of what it belongs to (`release_id`, …)."""

    field: str
    test: Comparison
    value: object


@dataclass(frozen=True, slots=True)
class Span:
    """Which part of a list, by places counted from 0, in the terms of Relay's connections; None bounds nothing.

    Attributes:
        after: only what comes after this place.
        before: only what comes before this place.
        first: of those, so many from the start.
        last: of those, so many from the end.
    """

    after: int | None = None
    before: int | None = None
    first: int | None = None
    last: int | None = None

    @property
    def low(self) -> int:
        """Return the first place of the part, as far as it can be told without knowing how long the list is."""
        return 0 if self.after is None else self.after + 1

    def high(self, most: int) -> int:
        """Return the place after the last one that is read going forward, never more than `most` places on."""
        reach = self.low + min(most, most if self.first is None else self.first)
        return max(self.low, reach if self.before is None else min(self.before, reach))

    def places(self, total: int, most: int) -> range:
        """Return the places of a list of some length that are in the part, at most so many."""
        low, high = self.low, total if self.before is None else min(self.before, total)
        if self.first is not None:
            high = min(high, low + self.first)
        if self.last is not None:
            low = max(low, high - self.last)
        return range(low, max(low, min(high, low + most)))


@dataclass(frozen=True, slots=True)
class Wanted:
    """A list that is wanted, whole or of some parents.

    Attributes:
        entity: what its rows are.
        of: what the parents are; None for the whole list.
        conditions: all of them must hold.
        oldest_first: in the order of creation; otherwise newest first. The ids decide between studies of one age.
        span: which part of it.
        most: how many rows are given at most, for each parent.
    """

    entity: Entity
    of: Entity | None = None
    conditions: tuple[Condition, ...] = ()
    oldest_first: bool = False
    span: Span = Span()
    most: int = 1000


@dataclass(frozen=True, slots=True)
class Node:
    """A row, and the hidden uuid that it was given; studies have none."""

    record: Record
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a list.

    Attributes:
        nodes: its rows.
        start: the place of the first one in the whole list.
        more: there are rows after the last one, within `before` if that was given.
    """

    nodes: tuple[Node, ...] = ()
    start: int = 0
    more: bool = False
