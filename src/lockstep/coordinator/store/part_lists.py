"""Lists of what hangs on releases: tasks, events and notes. Whoever may not see the release does not see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, ScalarSelect, Table, select

from lockstep.coordinator.core.callers import Sight
from lockstep.coordinator.core.model import EventType
from lockstep.coordinator.core.records import (
    Event,
    EventFilter,
    NoteFilter,
    Page,
    PageOf,
    ReleaseNote,
    TaskFilter,
    TaskView,
)
from lockstep.coordinator.store.lists import (
    Listing,
    Order,
    Search,
    Way,
    aside,
    between,
    counted,
    created,
    equal,
    hangs_on_seen,
    order_of,
    ordered,
    page_of,
    searched,
    tallied,
)
from lockstep.coordinator.store.reading import TASKS, to_task_view
from lockstep.coordinator.store.rows import EVENT_COLUMNS, NOTE_COLUMNS, to_event, to_note
from lockstep.coordinator.store.tables import event, events_of, release_note, task, tasks_in
from lockstep.protocol.states import TaskState

TASK_ORDERS: Final = {"created_at": (task.c.position,), "state": (task.c.state, task.c.position)}
EVENT_ORDERS: Final = {"created_at": (event.c.position,), "event_type": (event.c.event_type, event.c.position)}
NOTE_ORDERS: Final = {
    "created_at": (release_note.c.position,),
    "author": (release_note.c.author, release_note.c.position),
}


def tasks(connection: Connection, page: PageOf, which: TaskFilter, sight: Sight) -> Page[TaskView]:
    """Return a page of tasks."""
    exact = equal(
        (task.c.release_id, which.release_id),
        (task.c.service_id, which.task_service_id),
        (task.c.state, which.state),
        (task.c.kf_id, which.kf_id),
    )
    parts = _Parts(connection, task, order_of(page, TASK_ORDERS), page, sight)
    words = TaskState if which.state is None else (which.state,)
    known = which == TaskFilter(state=which.state)
    count = tallied(connection, *map(tasks_in, words)) if known and sight.everything else None
    positions, count = parts.found(exact, which, None, [task.c.state == word for word in words], count)
    listed = TASKS.where(task.c.position.in_(positions)).order_by(*parts.order.by(parts.order.columns))
    return Page(tuple(map(to_task_view, connection.execute(listed))), count)


def events(connection: Connection, page: PageOf, which: EventFilter, sight: Sight) -> Page[Event]:
    """Return a page of events."""
    exact = equal(
        (event.c.release_id, which.release_id),
        (event.c.task_service_id, which.task_service_id),
        (event.c.task_id, which.task_id),
        (event.c.event_type, which.event_type),
    )
    if which.task_id is not None:
        exact.append(event.c.release_id == _release_of(which.task_id))
    parts = _Parts(connection, event, order_of(page, EVENT_ORDERS), page, sight)
    words = EventType if which.event_type is None else (which.event_type,)
    known = which == EventFilter(event_type=which.event_type)
    count = tallied(connection, *map(events_of, words)) if known and sight.everything else None
    search = None if which.message_contains is None else Search(event.c.message, which.message_contains)
    positions, count = parts.found(exact, which, search, [event.c.event_type == word for word in words], count)
    listed = select(*EVENT_COLUMNS).where(event.c.position.in_(positions))
    rows = connection.execute(listed.order_by(*parts.order.by(parts.order.columns)))
    return Page(tuple(map(to_event, rows)), count)


def notes(connection: Connection, page: PageOf, which: NoteFilter, sight: Sight) -> Page[ReleaseNote]:
    """Return a page of release notes."""
    exact = equal(
        (release_note.c.release_id, which.release_id),
        (release_note.c.study_id, which.study_id),
        (release_note.c.author, which.author),
        (release_note.c.kf_id, which.kf_id),
    )
    part = which.description_contains
    search = None if part is None else Search(release_note.c.description, part)
    parts = _Parts(connection, release_note, order_of(page, NOTE_ORDERS), page, sight)
    positions, count = parts.found(exact, which, search)
    listed = select(*NOTE_COLUMNS).where(release_note.c.position.in_(positions))
    rows = connection.execute(listed.order_by(*parts.order.by(parts.order.columns)))
    return Page(tuple(map(to_note, rows)), count)


@dataclass(frozen=True, slots=True)
class _Parts:
    """A list of what hangs on releases."""

    connection: Connection
    table: Table
    order: Order
    page: PageOf
    sight: Sight

    def found(
        self,
        exact: Sequence[ColumnElement[bool]],
        which: TaskFilter | EventFilter | NoteFilter,
        search: Search | None,
        words: Sequence[ColumnElement[bool]] = (),
        count: int | None = None,
    ) -> tuple[Listing, int]:
        """Return the positions of the page, and how many rows the whole list has.

        Args:
            exact: what columns must be.
            which: between which times.
            search: which text they must have.
            words: conditions that divide the list where it is ordered by a word, each with an index of its own.
            count: how many rows the whole list has, where that is known.
        """
        at, column = self.table.c.position, self.table.c.created_at
        times = between(column, which.created_after, which.created_before)
        places = created(at, self.table, which.created_after, which.created_before)
        seen = hangs_on_seen(self.table.c.release_id, self.sight)
        rows = select(at)
        if search is not None:
            found = searched(Way(rows.where(*exact, *map(aside, times), *places, *seen), self.order), search, at)
            return page_of(found, self.page), counted(self.connection, found, self.page, self.sight)
        matching = rows.where(*exact, *(map(aside, times) if exact else times), *places, *seen)
        if count is None:
            count = counted(self.connection, matching, self.page, self.sight)
        walked = rows.where(*self.order.walked([*exact, *times, *seen]), *places)
        by_word = words if len(self.order.columns) > 1 else ()
        straight = len(exact) + len(times) + len(seen) == (len(self.order.columns) == 1 and len(exact) == 1)
        ways = [Way(walked.where(word), self.order) for word in by_word] or [Way(walked, self.order, straight=straight)]
        return ordered(Way(matching, self.order), ways, self.page, count), count


def _release_of(task_id: str) -> ScalarSelect[str]:
    """Return the release of a task, by whose events, on an index, those of the task are found."""
    return select(task.c.release_id).where(task.c.kf_id == task_id).scalar_subquery()
