"""Lists of what hangs on releases: tasks, events and notes. Whoever may not see the release does not see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, FromClause, ScalarSelect, Table, select

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
    searched,
    tallied,
    truly_created,
)
from lockstep.coordinator.store.reading import TASKS, to_task_view
from lockstep.coordinator.store.rows import EVENT_COLUMNS, NOTE_COLUMNS, to_event, to_note
from lockstep.coordinator.store.tables import (
    ended_early,
    event,
    events_of,
    out_of_the_ordinary,
    release_note,
    task,
    tasks_in,
)
from lockstep.protocol.states import ENDED_EARLY, TaskState

Conditions = Sequence[ColumnElement[bool]]

TASK_ORDERS: Final = {"created_at": (task.c.position,), "state": (task.c.state, task.c.position)}
EVENT_ORDERS: Final = {"created_at": (event.c.position,), "event_type": (event.c.event_type, event.c.position)}
NOTE_ORDERS: Final = {
    "created_at": (release_note.c.position,),
    "author": (release_note.c.author, release_note.c.position),
}


def tasks(connection: Connection, page: PageOf, which: TaskFilter, sight: Sight) -> Page[TaskView]:
    """Return a page of tasks."""
    exact = equal(
        (task.c.service_id, which.task_service_id), (task.c.release_id, which.release_id), (task.c.kf_id, which.kf_id)
    )
    of_service = which.task_service_id is not None and len(exact) == 1
    parts = _Parts(connection, task, order_of(page, TASK_ORDERS), page, sight)
    words = TaskState if which.state is None else (which.state,)
    known = which == TaskFilter(state=which.state)
    count = tallied(connection, *map(tasks_in, words)) if known and sight.everything else None
    divided = [in_state(task, word, exact, of_service=of_service) for word in words]
    positions, count = parts.found(exact, which, None, divided, count)
    listed = TASKS.where(task.c.position.in_(positions)).order_by(*parts.order.by(parts.order.columns))
    return Page(tuple(map(to_task_view, connection.execute(listed))), count)


def events(connection: Connection, page: PageOf, which: EventFilter, sight: Sight) -> Page[Event]:
    """Return a page of events."""
    exact = equal(
        (event.c.release_id, which.release_id),
        (event.c.task_service_id, which.task_service_id),
        (event.c.task_id, which.task_id),
    )
    of_service = which.task_service_id is not None and len(exact) == 1
    if which.task_id is not None:
        exact.append(event.c.release_id == _release_of(which.task_id))
    parts = _Parts(connection, event, order_of(page, EVENT_ORDERS), page, sight)
    words = EventType if which.event_type is None else (which.event_type,)
    known = which == EventFilter(event_type=which.event_type)
    count = tallied(connection, *map(events_of, words)) if known and sight.everything else None
    search = None if which.message_contains is None else Search(event.c.message, which.message_contains)
    divided = [of_type(event, word, exact, of_service=of_service) for word in words]
    positions, count = parts.found(exact, which, search, divided, count)
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
        exact: Conditions,
        which: TaskFilter | EventFilter | NoteFilter,
        search: Search | None,
        divided: Sequence[Conditions] = (),
        count: int | None = None,
    ) -> tuple[Listing | Sequence[int], int]:
        """Return the positions of the page, and how many rows the whole list has.

        Args:
            exact: what columns must be.
            which: between which times.
            search: which text they must have.
            divided: the conditions of the rows with each word that the list may be ordered by; along an index each.
            count: how many rows the whole list has, where that is known.
        """
        at, column = self.table.c.position, self.table.c.created_at
        since, until = which.created_after, which.created_before
        seen = hangs_on_seen(self.table.c.release_id, self.sight)
        rows = select(at).where(*created(at, self.table, since, until), *seen)
        asked = divided[0] if len(divided) == 1 else exact
        truly = truly_created(at, self.table, since, until) if asked else between(column, since, until)
        matching = Way(rows.where(*asked, *truly), self.order)
        if search is not None:
            return searched(self.connection, matching, search, self.page, self.sight)
        if count is None:
            count = counted(self.connection, matching.rows, self.page, self.sight)
        walked = rows.where(*map(aside, between(column, since, until)))
        if divided and len(self.order.columns) > 1:
            along = Order((at,), self.order.down)
            ways = [Way(walked.where(*part), self.order, along) for part in divided]
        else:
            straight = len(asked) == (len(self.order.columns) == 1 and len(asked) == 1) and not (truly or seen)
            found = asked if len(self.order.columns) == 1 else self.order.walked(asked)
            ways = [Way(walked.where(*found), self.order, straight=straight)]
        return ordered(matching, ways, self.page, count), count


def of_type(table: FromClause, word: str, others: Conditions, *, of_service: bool) -> Conditions:
    """Return the conditions that events are of a type, so that they are found along the shortest index.

    What a service has out of the ordinary has an index of its own; all the rest is soon met among all that it has. What
    hangs on one release is little.

    Args:
        table: the events.
        word: the type.
        others: what else they must be.
        of_service: that is of a service, and no more.
    """
    is_word = table.c.event_type == word
    if of_service and word != EventType.INFO:
        return [*others, is_word, out_of_the_ordinary(table)]
    return [*others, aside(is_word)] if others else [is_word]


def in_state(table: FromClause, word: str, others: Conditions, *, of_service: bool) -> Conditions:
    """Return the conditions that tasks are in a state, as `of_type` does; those in flight are few among all tasks."""
    is_word = table.c.state == word
    if of_service and word in ENDED_EARLY:
        return [*others, is_word, ended_early(table)]
    if of_service and word != TaskState.PUBLISHED:
        return [is_word, *map(aside, others)]
    return [*others, aside(is_word)] if others else [is_word]


def _release_of(task_id: str) -> ScalarSelect[str]:
    """Return the release of a task, by whose events, on an index, those of the task are found."""
    return select(task.c.release_id).where(task.c.kf_id == task_id).scalar_subquery()
