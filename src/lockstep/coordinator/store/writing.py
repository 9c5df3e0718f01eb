"""Storing what people write beside releases: notes, and events of things that happened elsewhere."""

from collections import Counter
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from lockstep.coordinator.core.callers import ALL
from lockstep.coordinator.core.records import Event, NewEvent, NewNote, ReleaseNote
from lockstep.coordinator.store.catalogue import known_studies
from lockstep.coordinator.store.changing import add_to_tallies
from lockstep.coordinator.store.fresh import FreshIds
from lockstep.coordinator.store.promises import changed_since, check_links, check_note
from lockstep.coordinator.store.reading import one_event, one_note
from lockstep.coordinator.store.tables import event, events_of, release, release_note, task, task_service
from lockstep.coordinator.store.turns import Turn, take_turns
from lockstep.protocol.ids import Prefix

_STUDIES_OF: Final = select(release.c.studies).where(release.c.kf_id == bindparam("kf_id"))
_TASK: Final = select(task.c.release_id, task.c.service_id).where(task.c.kf_id == bindparam("kf_id"))
_SERVICE: Final = select(task_service.c.kf_id).where(task_service.c.kf_id == bindparam("kf_id"))


def add_note(connection: Connection, ids: FreshIds, new: NewNote, now: datetime) -> ReleaseNote:
    """Store a note under an id of its own.

    Raises:
        Invalid: the release is not there, or has no such study.
    """
    studies = connection.execute(_STUDIES_OF, {"kf_id": new.release_id}).scalar_one_or_none()
    known = new.study_id is None or bool(known_studies(connection, [new.study_id]))
    check_note(new.release_id, studies, new.study_id, known=known)
    note = ReleaseNote(ids.kf_id(Prefix.RELEASE_NOTE), new.description, new.author, now, new.release_id, new.study_id)
    row = {
        "kf_id": note.kf_id,
        "uuid": ids.uuid(),
        "description": note.description,
        "author": note.author,
        "created_at": note.created_at,
        "release_id": note.release_id,
        "study_id": note.study_id,
    }
    connection.execute(insert(release_note), row)
    return note


def edit_note(connection: Connection, note_id: str, description: str, seen: ReleaseNote | None) -> ReleaseNote:
    """Change what a note says."""
    _as_seen(connection, note_id, seen)
    connection.execute(update(release_note).where(release_note.c.kf_id == note_id).values(description=description))
    return one_note(connection, note_id, ALL)


def delete_note(connection: Connection, note_id: str, seen: ReleaseNote | None) -> ReleaseNote:
    """Take a note away; return what it was."""
    note = _as_seen(connection, note_id, seen)
    connection.execute(delete(release_note).where(release_note.c.kf_id == note_id))
    return note


def add_event(connection: Connection, ids: FreshIds, new: NewEvent, now: datetime) -> Event:
    """Store an event of something that happened elsewhere; one about a task is about its release and service too.

    Raises:
        Invalid: what it is about is not there, or does not belong together.
    """
    of_task = None
    if new.task_id is not None:
        row = connection.execute(_TASK, {"kf_id": new.task_id}).one_or_none()
        of_task = None if row is None else (row.release_id, row.service_id)
    linked = check_links(
        new,
        of_task,
        release_known=connection.execute(_STUDIES_OF, {"kf_id": new.release_id}).one_or_none() is not None,
        service_known=connection.execute(_SERVICE, {"kf_id": new.task_service_id}).one_or_none() is not None,
    )
    take_turns(connection, Turn.EVENTS)
    kf_id = ids.kf_id(Prefix.EVENT)
    row_values = {
        "kf_id": kf_id,
        "uuid": ids.uuid(),
        "event_type": linked.event_type,
        "message": linked.message,
        "created_at": now,
        "release_id": linked.release_id,
        "task_service_id": linked.task_service_id,
        "task_id": linked.task_id,
        "actor": linked.actor,
    }
    connection.execute(insert(event), row_values)
    add_to_tallies(connection, Counter([events_of(linked.event_type)]))
    return one_event(connection, kf_id, ALL)


def _as_seen(connection: Connection, note_id: str, seen: ReleaseNote | None) -> ReleaseNote:
    note = one_note(connection, note_id, ALL)
    if seen is not None and note != seen:
        raise changed_since("release note", note_id)
    return note
