"""Lists of what hangs on releases: tasks, events and notes. Whoever may not see the release does not see them."""

from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, ScalarSelect, select

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
    Order,
    Search,
    between,
    counted,
    equal,
    hangs_on_seen,
    order_of,
    ordered,
    page_of,
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
    order = order_of(page, TASK_ORDERS)
    wanted = [
        *equal(
            (task.c.release_id, which.release_id),
            (task.c.service_id, which.task_service_id),
            (task.c.state, which.state),
            (task.c.kf_id, which.kf_id),
        ),
        *between(task.c.created_at, which.created_after, which.created_before),
        *hangs_on_seen(task.c.release_id, sight),
    ]
    walked = _by_time(order, task.c.created_at, which)
    found = ordered(select(task.c.position).where(*wanted), walked)
    listed = TASKS.where(task.c.position.in_(page_of(found, page))).order_by(*order.by(order.columns))
    if sight.everything and which == TaskFilter(state=which.state):
        count = tallied(connection, *map(tasks_in, TaskState if which.state is None else (which.state,)))
    else:
        count = counted(connection, found, page, sight)
    return Page(tuple(map(to_task_view, connection.execute(listed))), count)


def events(connection: Connection, page: PageOf, which: EventFilter, sight: Sight) -> Page[Event]:
    """Return a page of events."""
    order = order_of(page, EVENT_ORDERS)
    wanted = [
        *equal(
            (event.c.release_id, which.release_id),
            (event.c.task_service_id, which.task_service_id),
            (event.c.task_id, which.task_id),
            (event.c.event_type, which.event_type),
        ),
        *between(event.c.created_at, which.created_after, which.created_before),
        *hangs_on_seen(event.c.release_id, sight),
    ]
    if which.task_id is not None:
        wanted.append(event.c.release_id == _release_of(which.task_id))
    search = None if which.message_contains is None else Search(event.c.message, which.message_contains)
    walked = _by_time(order, event.c.created_at, which)
    found = ordered(select(event.c.position).where(*wanted), walked, search)
    listed = select(*EVENT_COLUMNS).where(event.c.position.in_(page_of(found, page)))
    if sight.everything and which == EventFilter(event_type=which.event_type):
        types = EventType if which.event_type is None else (which.event_type,)
        count = tallied(connection, *map(events_of, types))
    else:
        count = counted(connection, found, page, sight)
    rows = connection.execute(listed.order_by(*order.by(order.columns)))
    return Page(tuple(map(to_event, rows)), count)


def notes(connection: Connection, page: PageOf, which: NoteFilter, sight: Sight) -> Page[ReleaseNote]:
    """Return a page of release notes."""
    order = order_of(page, NOTE_ORDERS)
    wanted = [
        *equal(
            (release_note.c.release_id, which.release_id),
            (release_note.c.study_id, which.study_id),
            (release_note.c.author, which.author),
            (release_note.c.kf_id, which.kf_id),
        ),
        *between(release_note.c.created_at, which.created_after, which.created_before),
        *hangs_on_seen(release_note.c.release_id, sight),
    ]
    part = which.description_contains
    search = None if part is None else Search(release_note.c.description, part)
    walked = _by_time(order, release_note.c.created_at, which)
    found = ordered(select(release_note.c.position).where(*wanted), walked, search)
    listed = select(*NOTE_COLUMNS).where(release_note.c.position.in_(page_of(found, page)))
    rows = connection.execute(listed.order_by(*order.by(order.columns)))
    return Page(tuple(map(to_note, rows)), counted(connection, found, page, sight))


def _by_time(order: Order, created_at: ColumnElement[Any], which: TaskFilter | EventFilter | NoteFilter) -> Order:
    """Return the order in which rows are looked for: between two times along the times, where the range is."""
    if len(order.columns) == 1 and (which.created_after or which.created_before):
        return Order((created_at, *order.columns), order.down)
    return order


def _release_of(task_id: str) -> ScalarSelect[str]:
    """Return the release of a task, by whose events, on an index, those of the task are found."""
    return select(task.c.release_id).where(task.c.kf_id == task_id).scalar_subquery()
