"""Rows to values and back: the only place that knows which column is which field.

The columns of each kind stand in one tuple, and its values are taken by place, since a release may have a thousand
tasks and a page is read on every glance at a dashboard.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final, TypeVar

from sqlalchemy import Row

from lockstep.coordinator.core.model import Lease, Release, Task
from lockstep.coordinator.core.records import Event, ReleaseNote, Study, StudyFacts, TaskService
from lockstep.coordinator.core.versions import Version
from lockstep.coordinator.store.tables import event, release, release_note, task, task_service

Kept = TypeVar("Kept")

Values = dict[str, Any]
"""Values by the name of their column."""

AnyRow = Row[*tuple[Any, ...]]
"""A row of any columns; its values are taken by place."""

RELEASE_COLUMNS: Final = (
    release.c.position,
    release.c.kf_id,
    release.c.name,
    release.c.major,
    release.c.minor,
    release.c.patch,
    release.c.studies,
    release.c.created_at,
    release.c.step_since,
    release.c.description,
    release.c.author,
    release.c.tags,
    release.c.is_major,
    release.c.state,
    release.c.publish_order,
    release.c.waits_for,
    release.c.ending,
    release.c.published_at,
    release.c.partially_published,
    release.c.look_at,
    release.c.lease_owner,
    release.c.lease_until,
    release.c.lease_epoch,
    release.c.uuid,
)

TASK_COLUMNS: Final = (
    task.c.release_id,
    task.c.kf_id,
    task.c.service_id,
    task_service.c.name,
    task_service.c.url,
    task.c.created_at,
    task.c.state_since,
    task.c.life_at,
    task.c.state,
    task.c.progress,
    task.c.told,
    task.c.delivery,
    task.c.cancel,
    task.c.flight_epoch,
    task.c.attempts,
    task.c.due_at,
    task.c.last_error,
    task.c.metrics,
    task.c.preview,
)
"""To be read from `task` joined with `task_service`, deleted or not."""

TASK_FIELDS: Final = (
    "state_since",
    "life_at",
    "state",
    "progress",
    "told",
    "delivery",
    "cancel",
    "flight_epoch",
    "attempts",
    "due_at",
    "last_error",
    "metrics",
    "preview",
)
"""The fields of a task that its decisions may change, which are columns of the same names, in the table's order."""

task_values: Final = attrgetter(*TASK_FIELDS)
"""Gives the values of `TASK_FIELDS` of a task."""

SERVICE_COLUMNS: Final = (
    task_service.c.kf_id,
    task_service.c.name,
    task_service.c.description,
    task_service.c.url,
    task_service.c.author,
    task_service.c.created_at,
    task_service.c.enabled,
    task_service.c.last_ok_status,
    task_service.c.client_id,
)

EVENT_COLUMNS: Final = (
    event.c.position,
    event.c.kf_id,
    event.c.event_type,
    event.c.message,
    event.c.created_at,
    event.c.release_id,
    event.c.task_service_id,
    event.c.task_id,
    event.c.actor,
)

NOTE_COLUMNS: Final = (
    release_note.c.kf_id,
    release_note.c.description,
    release_note.c.author,
    release_note.c.created_at,
    release_note.c.release_id,
    release_note.c.study_id,
)


def to_release(row: AnyRow) -> Release:
    """Return the release that a row of `RELEASE_COLUMNS` holds."""
    (_, kf_id, name, major, minor, patch, studies, created_at, step_since, *more, uuid) = row
    (description, author, tags, is_major, state, publish_order, waits_for, ending, *more) = more
    (published_at, partially_published, look_at, owner, until, epoch) = more
    return Release(
        kf_id=kf_id,
        name=name,
        version=Version(major, minor, patch),
        studies=tuple(studies),
        created_at=created_at,
        step_since=step_since,
        description=description,
        author=author,
        tags=tuple(tags),
        is_major=is_major,
        state=state,
        publish_order=publish_order,
        waits_for=waits_for,
        ending=ending,
        published_at=published_at,
        partially_published=partially_published,
        look_at=look_at,
        lease=Lease(owner, until, epoch),
        uuid=uuid,
    )


def from_release(value: Release) -> Values:
    """Return the columns of a release, without its position."""
    return {
        "kf_id": value.kf_id,
        "uuid": value.uuid,
        "name": value.name,
        "description": value.description,
        "author": value.author,
        "tags": list(value.tags),
        "studies": list(value.studies),
        "is_major": value.is_major,
        "state": value.state,
        "major": value.version.major,
        "minor": value.version.minor,
        "patch": value.version.patch,
        "created_at": value.created_at,
        "step_since": value.step_since,
        "publish_order": value.publish_order,
        "waits_for": value.waits_for,
        "ending": value.ending,
        "published_at": value.published_at,
        "partially_published": value.partially_published,
        "look_at": value.look_at,
        "lease_owner": value.lease.owner,
        "lease_until": value.lease.until,
        "lease_epoch": value.lease.epoch,
    }


def to_task(row: AnyRow) -> Task:
    """Return the task that a row of `TASK_COLUMNS` holds."""
    return Task._make(row[1:])


def to_service(row: AnyRow) -> TaskService:
    """Return the service that a row of `SERVICE_COLUMNS` holds."""
    return TaskService(*row)


def to_event(row: AnyRow) -> Event:
    """Return the event that a row of `EVENT_COLUMNS` holds."""
    return Event(*row)


def to_note(row: AnyRow) -> ReleaseNote:
    """Return the note that a row of `NOTE_COLUMNS` holds."""
    return ReleaseNote(*row)


def to_study(row: AnyRow) -> Study:
    """Return the study of a row: five columns of its own, two versions, and when the second was made and published."""
    kf_id, name, visible, deleted, created_at, *versions, last_pub_date, last_published_at = row
    newest, published = (Version(*parts) if parts[0] is not None else None for parts in (versions[:3], versions[3:]))
    return Study(kf_id, name, visible, deleted, created_at, newest, published, last_pub_date, last_published_at)


def from_facts(facts: StudyFacts) -> Values:
    """Return the columns of a study that the data service decides."""
    return {
        "kf_id": facts.kf_id,
        "name": facts.title,
        "visible": facts.visible,
        "deleted": False,
        "created_at": facts.created_at,
    }


def differing(values: Callable[[Kept], Values], before: Kept, after: Kept) -> Values:
    """Return the columns, as `values` gives them, in which a record differs from what it was."""
    was = values(before)
    return {name: value for name, value in values(after).items() if value != was[name]}
