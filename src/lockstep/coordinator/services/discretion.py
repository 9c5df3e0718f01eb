"""What the store holds, as those see it who do not see everything: without what is nobody's business outside.

`Sight` decides which rows somebody sees; this is about what is in them. Why a request to a service failed names the
service's address and quotes its answers; the newest version of a study can be that of a release that nobody knows of
yet. Faces read through `DiscreetStore`, so that none has to think of it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar, cast

from lockstep.coordinator.core.callers import ALL, Sight
from lockstep.coordinator.core.graph import Comparison, Condition, Entity, Node, Piece, Record, Wanted
from lockstep.coordinator.core.model import EventType, Release, Task
from lockstep.coordinator.core.records import (
    Event,
    EventFilter,
    Page,
    PageOf,
    ReleaseFilter,
    ReleaseView,
    Study,
    TaskFilter,
    TaskView,
)
from lockstep.coordinator.ports import Store

Seen = TypeVar("Seen", bound=Record)

_QUOTES: Final = re.compile(
    r"((?:request to|progress of|cancel of) [^:(]*?|task TA_[0-9A-Z]{8} failed)(?:: | \().*", re.DOTALL
)
"""Events that quote what a service said, or how it could not be reached, after a colon or in parentheses."""

_OPEN: Final = EventType.INFO
"""Events of this type quote nobody. To those from whom quotes are kept, the others are not searched for a text either:
that they are found would tell what they say."""

_RELEASE: Final = re.compile(r"\bRE_[0-9A-Z]{8}\b")


class DiscreetStore:
    """The store, of which every reading that knows who sees it shows no more than they should."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
        """Return what the store itself has: all but the readings below."""
        return getattr(self._store, name)

    async def release(self, release_id: str, sight: Sight = ALL) -> ReleaseView:
        """Return a release with its tasks and notes."""
        return seen_view(await self._store.release(release_id, sight), sight)

    async def releases(
        self, page: PageOf, which: ReleaseFilter = ReleaseFilter(), sight: Sight = ALL
    ) -> Page[ReleaseView]:
        """Return a page of releases."""
        found = await self._store.releases(page, which, sight)
        return Page(tuple(seen_view(view, sight) for view in found.rows), found.count)

    async def task(self, task_id: str, sight: Sight = ALL) -> TaskView:
        """Return a task."""
        return seen(await self._store.task(task_id, sight), sight)

    async def tasks(self, page: PageOf, which: TaskFilter = TaskFilter(), sight: Sight = ALL) -> Page[TaskView]:
        """Return a page of tasks."""
        found = await self._store.tasks(page, which, sight)
        return Page(tuple(seen(view, sight) for view in found.rows), found.count)

    async def event(self, event_id: str, sight: Sight = ALL) -> Event:
        """Return an event."""
        return seen(await self._store.event(event_id, sight), sight)

    async def events(self, page: PageOf, which: EventFilter = EventFilter(), sight: Sight = ALL) -> Page[Event]:
        """Return a page of events."""
        if not sight.everything and which.message_contains is not None:
            if which.event_type not in {None, _OPEN}:
                return Page((), 0)
            which = replace(which, event_type=_OPEN)
        found = await self._store.events(page, which, sight)
        return Page(tuple(seen(event, sight) for event in found.rows), found.count)

    async def look_up(self, entity: Entity, kf_ids: Sequence[str], sight: Sight) -> Mapping[str, Node]:
        """Return those of some rows that are there and may be seen, by their ids."""
        found = await self._store.look_up(entity, kf_ids, sight)
        return {kf_id: _seen_node(node, sight) for kf_id, node in found.items()}

    async def listed(self, wanted: Wanted, sight: Sight) -> Piece:
        """Return part of a whole list."""
        return _seen_piece(await self._store.listed(_openly(wanted, sight), sight), sight)

    async def listed_of(
        self, wanted: Wanted, parent_ids: Sequence[str], sight: Sight, limit: int
    ) -> Mapping[str, Piece]:
        """Return part of the list of each parent that has one."""
        found = await self._store.listed_of(_openly(wanted, sight), parent_ids, sight, limit)
        return {parent_id: _seen_piece(piece, sight) for parent_id, piece in found.items()}


def _openly(wanted: Wanted, sight: Sight) -> Wanted:
    """Return what is wanted, with messages searched only where they are shown as they stand."""
    searched = any(condition.field == "message" for condition in wanted.conditions)
    if sight.everything or wanted.entity is not Entity.EVENT or not searched:
        return wanted
    return replace(wanted, conditions=(*wanted.conditions, Condition("event_type", Comparison.IS, _OPEN)))


def seen_view(view: ReleaseView, sight: Sight) -> ReleaseView:
    """Return a release with its tasks as it is seen."""
    if sight.everything:
        return view
    tasks = tuple(_seen_task(task, sight) for task in view.tasks)
    return replace(view, release=seen(view.release, sight), tasks=tasks)


def seen(record: Seen, sight: Sight) -> Seen:
    """Return a record as it is seen, without what is nobody's business."""
    return record if sight.everything else cast("Seen", _outside(record, sight))


def _outside(record: Record, sight: Sight) -> Record:
    if isinstance(record, Event):
        return replace(record, message=_outward(record), actor="")
    if isinstance(record, TaskView):
        return replace(record, task=_seen_task(record.task, sight))
    if isinstance(record, Release):
        return replace(record, waits_for=None)
    if isinstance(record, Study) and record.kf_id not in sight.studies:
        return replace(record, version=record.last_pub_version)
    return record


def _seen_task(task: Task, sight: Sight) -> Task:
    """Return a task as it is seen: where to look at what was staged is told to those who belong to some study."""
    return task._replace(last_error="", service_url="", preview=task.preview if sight.studies else "")


def _outward(event: Event) -> str:
    """Return what an event says, without what it quotes, and without the names of other releases."""
    message = _QUOTES.sub(r"\1", event.message)
    return _RELEASE.sub(lambda name: name[0] if name[0] == event.release_id else "another release", message)


def _seen_piece(piece: Piece, sight: Sight) -> Piece:
    return piece if sight.everything else replace(piece, nodes=tuple(_seen_node(node, sight) for node in piece.nodes))


def _seen_node(node: Node, sight: Sight) -> Node:
    return node if sight.everything else replace(node, record=seen(node.record, sight))
