"""Reading: single rows and pages of them, each a fixed number of statements however long the history has grown.

Lists are newest created first. A count of everything is read off a tally; a filtered one is counted on an index. The
functions are run by a `Database` in a transaction of their own, so that the rows and the count of a page agree.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, ScalarSelect, Select, bindparam, func, select, union_all

from lockstep.coordinator.core.model import EventType, Release, Task
from lockstep.coordinator.core.records import (
    Event,
    EventFilter,
    Page,
    PageOf,
    ReleaseNote,
    ReleaseView,
    TaskFilter,
    TaskView,
)
from lockstep.coordinator.store.promises import missing
from lockstep.coordinator.store.rows import (
    EVENT_COLUMNS,
    NOTE_COLUMNS,
    RELEASE_COLUMNS,
    TASK_COLUMNS,
    AnyRow,
    to_event,
    to_note,
    to_release,
    to_task,
)
from lockstep.coordinator.store.tables import (
    event,
    events_of,
    release,
    release_note,
    release_study,
    releases_in,
    tally,
    task,
    task_service,
    tasks_in,
)
from lockstep.protocol.states import ReleaseState, TaskState

Listing = Select[*tuple[Any, ...]]
"""A statement that lists rows of some columns."""

LARGEST: Final = 2**63 - 1
"""The largest number that a database knows; no list and no log reaches it."""

RELEASE: Final = select(*RELEASE_COLUMNS).where(release.c.kf_id == bindparam("kf_id"))
TASKS: Final = select(*TASK_COLUMNS).join_from(task, task_service, task.c.service_id == task_service.c.kf_id)
TASK: Final = TASKS.where(task.c.kf_id == bindparam("kf_id"))
TASKS_OF_RELEASE: Final = TASKS.where(task.c.release_id == bindparam("kf_id")).order_by(task.c.position)

_TASKS_OF: Final = TASKS.where(task.c.release_id.in_(bindparam("kf_ids", expanding=True))).order_by(task.c.position)
_NOTES_OF: Final = (
    select(*NOTE_COLUMNS)
    .where(release_note.c.release_id.in_(bindparam("kf_ids", expanding=True)))
    .order_by(release_note.c.position.desc())
)
_TALLY: Final = select(func.coalesce(func.sum(tally.c.n), 0)).where(
    tally.c.name.in_(bindparam("names", expanding=True))
)
_EVENT: Final = select(*EVENT_COLUMNS).where(event.c.kf_id == bindparam("kf_id"))
_EVENTS_AFTER: Final = (
    select(*EVENT_COLUMNS)
    .where(event.c.release_id == bindparam("kf_id"), event.c.position > bindparam("after"))
    .order_by(event.c.position)
    .limit(bindparam("limit"))
)
_DUE: Final = (
    select(release.c.kf_id)
    .where(release.c.look_at.is_not(None), release.c.look_at <= bindparam("now"))
    .order_by(release.c.look_at, release.c.position)
    .limit(bindparam("limit"))
)
_NEXT_LOOK: Final = select(func.min(release.c.look_at)).where(release.c.look_at.is_not(None))


def due(connection: Connection, now: datetime, limit: int) -> list[str]:
    """Return the ids of releases whose `look_at` has come, the longest overdue first."""
    return list(connection.execute(_DUE, {"now": now, "limit": limit}).scalars())


def next_look(connection: Connection) -> datetime | None:
    """Return the earliest `look_at` of all."""
    earliest: datetime | None = connection.execute(_NEXT_LOOK).scalar_one()
    return earliest


def release_view(connection: Connection, release_id: str) -> ReleaseView:
    """Return a release with its tasks and notes."""
    row = found(connection.execute(RELEASE, {"kf_id": release_id}).one_or_none(), "release", release_id)
    return _views(connection, [to_release(row)])[0]


def releases(
    connection: Connection, page: PageOf, states: Sequence[ReleaseState], study_id: str | None
) -> Page[ReleaseView]:
    """Return a page of releases with their tasks and notes."""
    if study_id is None:
        positions = _of_states(page, states)
        count = tallied(connection, *map(releases_in, states or ReleaseState))
    else:
        held = select(release_study.c.release_position).where(release_study.c.study_id == study_id)
        if states:
            held = held.join(release, release.c.position == release_study.c.release_position)
            held = held.where(release.c.state.in_(states))
        positions = page_of(held.order_by(release_study.c.release_position.desc()), page)
        count = counted(connection, held)
    newest_first = select(*RELEASE_COLUMNS).where(release.c.position.in_(positions)).order_by(release.c.position.desc())
    return Page(tuple(_views(connection, list(map(to_release, connection.execute(newest_first))))), count)


def task_view(connection: Connection, task_id: str) -> TaskView:
    """Return a task."""
    return _task_view(found(connection.execute(TASK, {"kf_id": task_id}).one_or_none(), "task", task_id))


def tasks(connection: Connection, page: PageOf, which: TaskFilter) -> Page[TaskView]:
    """Return a page of tasks."""
    wanted = _equal(
        (task.c.release_id, which.release_id),
        (task.c.service_id, which.task_service_id),
        (task.c.state, which.state),
    )
    listed = page_of(TASKS.where(*wanted).order_by(task.c.position.desc()), page)
    in_state = which == TaskFilter(state=which.state)
    states = TaskState if which.state is None else (which.state,)
    matching = select(task.c.position).where(*wanted)
    count = tallied(connection, *map(tasks_in, states)) if in_state else counted(connection, matching)
    return Page(tuple(map(_task_view, connection.execute(listed))), count)


def one_event(connection: Connection, event_id: str) -> Event:
    """Return an event."""
    return to_event(found(connection.execute(_EVENT, {"kf_id": event_id}).one_or_none(), "event", event_id))


def events(connection: Connection, page: PageOf, which: EventFilter) -> Page[Event]:
    """Return a page of events."""
    of_type = which == EventFilter(event_type=which.event_type)
    wanted = _equal(
        (event.c.release_id, which.release_id),
        (event.c.task_service_id, which.task_service_id),
        (event.c.task_id, which.task_id),
        (event.c.event_type, which.event_type),
    )
    if which.task_id is not None:
        wanted.append(event.c.release_id == _release_of(which.task_id))
    listed = page_of(select(*EVENT_COLUMNS).where(*wanted).order_by(event.c.position.desc()), page)
    types = EventType if which.event_type is None else (which.event_type,)
    matching = select(event.c.position).where(*wanted)
    count = tallied(connection, *map(events_of, types)) if of_type else counted(connection, matching)
    return Page(tuple(map(to_event, connection.execute(listed))), count)


def events_after(connection: Connection, release_id: str, position: int, limit: int) -> list[Event]:
    """Return the events of a release after a position, oldest first."""
    which = {"kf_id": release_id, "after": min(position, LARGEST), "limit": limit}
    return list(map(to_event, connection.execute(_EVENTS_AFTER, which)))


def found(row: AnyRow | None, kind: str, kf_id: str) -> AnyRow:
    """Return the row, if there is one.

    Raises:
        NotFound: there is none.
    """
    if row is None:
        raise missing(kind, kf_id)
    return row


def page_of(statement: Listing, page: PageOf) -> Listing:
    """Return the statement for part of an ordered list."""
    return statement.limit(min(page.limit, LARGEST)).offset(min(page.offset, LARGEST))


def counted(connection: Connection, rows: Listing) -> int:
    """Return how many rows a statement has."""
    number = rows.with_only_columns(func.count(), maintain_column_froms=True)
    count: int = connection.execute(number).scalar_one()
    return count


def tallied(connection: Connection, *names: str) -> int:
    """Return the sum of some tallies."""
    total: int = connection.execute(_TALLY, {"names": names}).scalar_one()
    return int(total)


def _of_states(page: PageOf, states: Sequence[ReleaseState]) -> Listing:
    """Return the positions of a page of releases; with several states, from the newest few of each."""
    newest_first = select(release.c.position).order_by(release.c.position.desc())
    if not states:
        return page_of(newest_first, page)
    parts = [newest_first.where(release.c.state == state) for state in states]
    if len(parts) == 1:
        return page_of(parts[0], page)
    reach = PageOf(page.limit + page.offset)
    newest = union_all(*(select(page_of(part, reach).subquery()) for part in parts)).subquery()
    return page_of(select(newest.c.position).order_by(newest.c.position.desc()), page)


def _equal(*pairs: tuple[ColumnElement[Any], object]) -> list[ColumnElement[bool]]:
    return [column == value for column, value in pairs if value is not None]


def _release_of(task_id: str) -> ScalarSelect[str]:
    """Return the release of a task, by whose events, on an index, those of the task are found."""
    return select(task.c.release_id).where(task.c.kf_id == task_id).scalar_subquery()


def _views(connection: Connection, rows: Sequence[Release]) -> list[ReleaseView]:
    kf_ids = {"kf_ids": [row.kf_id for row in rows]}
    tasks_of: defaultdict[str, list[Task]] = defaultdict(list)
    for row in connection.execute(_TASKS_OF, kf_ids).all():
        tasks_of[row[0]].append(to_task(row))
    notes_of: defaultdict[str, list[ReleaseNote]] = defaultdict(list)
    for note in map(to_note, connection.execute(_NOTES_OF, kf_ids)):
        notes_of[note.release_id].append(note)
    return [ReleaseView(row, tuple(tasks_of[row.kf_id]), tuple(notes_of[row.kf_id])) for row in rows]


def _task_view(row: AnyRow) -> TaskView:
    return TaskView(to_task(row), row[0])
