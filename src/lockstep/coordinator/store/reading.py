"""Reading single rows, and what belongs to releases, in a fixed number of statements however long the history is.

The functions are run by a `Database` in a transaction of their own. What a caller may not see is missing, as if it
were not there.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, func, select

from lockstep.coordinator.core.callers import ALL, Sight
from lockstep.coordinator.core.errors import NotFound
from lockstep.coordinator.core.model import Release, Task
from lockstep.coordinator.core.records import (
    Event,
    ReleaseNote,
    ReleaseView,
    TaskView,
)
from lockstep.coordinator.store.lists import LARGEST
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
    release,
    release_note,
    task,
    task_service,
)
from lockstep.protocol.states import SETTLED_RELEASES

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
_EVENT: Final = select(*EVENT_COLUMNS).where(event.c.kf_id == bindparam("kf_id"))
_NOTE: Final = select(*NOTE_COLUMNS).where(release_note.c.kf_id == bindparam("kf_id"))
_STANDING: Final = select(release.c.state, release.c.studies).where(release.c.kf_id == bindparam("kf_id"))
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
_AHEAD: Final = release.alias("ahead")
_NOT_WOKEN: Final = (
    select(release.c.kf_id)
    .join(_AHEAD, _AHEAD.c.kf_id == release.c.waits_for)
    .where(
        release.c.waits_for.is_not(None),
        release.c.state.not_in(sorted(SETTLED_RELEASES)),
        _AHEAD.c.state.in_(sorted(SETTLED_RELEASES)),
    )
    .limit(bindparam("limit"))
)
"""Releases that wait for one that has ended: each was being changed when that one ended, so that it was not woken, and
the change that should have seen the end was not stored."""

_NEXT_LOOK: Final = select(func.min(release.c.look_at)).where(release.c.look_at.is_not(None))


def due(connection: Connection, now: datetime, limit: int) -> list[str]:
    """Return the ids of releases whose `look_at` has come, the longest overdue first, and of those forgotten."""
    overdue = connection.execute(_DUE, {"now": now, "limit": limit}).scalars()
    not_woken = connection.execute(_NOT_WOKEN, {"limit": limit}).scalars()
    return list(dict.fromkeys([*overdue, *not_woken]))[:limit]


def next_look(connection: Connection) -> datetime | None:
    """Return the earliest `look_at` of all."""
    earliest: datetime | None = connection.execute(_NEXT_LOOK).scalar_one()
    return earliest


def release_view(connection: Connection, release_id: str, sight: Sight = ALL) -> ReleaseView:
    """Return a release with its tasks and notes, if it may be seen."""
    row = found(connection.execute(RELEASE, {"kf_id": release_id}).one_or_none(), "release", release_id)
    one = to_release(row)
    if not sight.sees(one.state, one.studies):
        raise missing("release", release_id)
    return release_views(connection, [one])[0]


def task_view(connection: Connection, task_id: str, sight: Sight) -> TaskView:
    """Return a task, if its release may be seen."""
    view = to_task_view(found(connection.execute(TASK, {"kf_id": task_id}).one_or_none(), "task", task_id))
    check_seen(connection, view.release_id, sight, missing("task", task_id))
    return view


def one_event(connection: Connection, event_id: str, sight: Sight) -> Event:
    """Return an event, if its release may be seen."""
    one = to_event(found(connection.execute(_EVENT, {"kf_id": event_id}).one_or_none(), "event", event_id))
    check_seen(connection, one.release_id, sight, missing("event", event_id))
    return one


def one_note(connection: Connection, note_id: str, sight: Sight) -> ReleaseNote:
    """Return a note, if its release may be seen."""
    one = to_note(found(connection.execute(_NOTE, {"kf_id": note_id}).one_or_none(), "release note", note_id))
    check_seen(connection, one.release_id, sight, missing("release note", note_id))
    return one


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


def release_views(connection: Connection, rows: Sequence[Release]) -> list[ReleaseView]:
    """Return releases with their tasks and notes."""
    if not rows:
        return []
    kf_ids = [row.kf_id for row in rows]
    tasks_of: defaultdict[str, list[Task]] = defaultdict(list)
    for row in connection.execute(_TASKS_OF, {"kf_ids": kf_ids}).all():
        tasks_of[row[0]].append(to_task(row))
    notes = notes_of(connection, kf_ids)
    return [ReleaseView(row, tuple(tasks_of[row.kf_id]), tuple(notes[row.kf_id])) for row in rows]


def notes_of(connection: Connection, release_ids: Sequence[str]) -> Mapping[str, list[ReleaseNote]]:
    """Return the notes of releases, newest first."""
    notes: defaultdict[str, list[ReleaseNote]] = defaultdict(list)
    for note in map(to_note, connection.execute(_NOTES_OF, {"kf_ids": release_ids})):
        notes[note.release_id].append(note)
    return notes


def check_seen(connection: Connection, release_id: str | None, sight: Sight, error: NotFound) -> None:
    """Let what hangs on a release pass if the release may be seen.

    Raises:
        NotFound: it may not, which looks as if it were not there.
    """
    if sight.everything:
        return
    row = connection.execute(_STANDING, {"kf_id": release_id}).one_or_none()
    if row is None or not sight.sees(row.state, row.studies):
        raise error


def to_task_view(row: AnyRow) -> TaskView:
    """Return the task that a row of `TASKS` holds."""
    return TaskView(to_task(row), row[0])
