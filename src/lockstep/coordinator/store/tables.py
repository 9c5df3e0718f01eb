"""The tables, for SQLite and Postgres alike.

A row's `position` is its place in the order of creation and stays inside; the world knows it by its `kf_id`, and
GraphQL by its `uuid` too. Lists are "newest created first", so every filter has an index that ends in the position:
a page is read off its end, and nothing is sorted.

Constraints repeat the invariants that a row can show by itself, so that not even a mistaken statement can break them.
The migrations build what stands here; a test compares the two.
"""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKey,
    FromClause,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    literal_column,
    text,
)

from lockstep.coordinator.core.announcing import DeliveryState, ReceiverKind
from lockstep.coordinator.core.model import Delivery, EventType
from lockstep.coordinator.store.column_types import POSITION, UNLIMITED, UtcDateTime, Word
from lockstep.protocol.messages import Action
from lockstep.protocol.states import ENDED_EARLY, ReleaseState, TaskState

SCHEMA: Final = "0007"
"""The last migration: the schema that this code reads and writes."""

CANDIDATE: Final = "candidate"
PUBLISHING: Final = "publishing"
"""The two occasions at which a release is given a version."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def releases_in(state: ReleaseState) -> str:
    """Return the name of the tally of releases in a state."""
    return f"releases:{state}"


def tasks_in(state: TaskState) -> str:
    """Return the name of the tally of tasks in a state."""
    return f"tasks:{state}"


def events_of(event_type: EventType) -> str:
    """Return the name of the tally of events of a type."""
    return f"events:{event_type}"


def _position() -> Column[int]:
    return Column("position", POSITION, primary_key=True)


def _names() -> tuple[Column[str], Column[str]]:
    return (Column("kf_id", String(11), nullable=False, unique=True), Column("uuid", String(32), nullable=False))


def _one_of(column: str, words: Iterable[str]) -> CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


release = Table(
    "release",
    metadata,
    _position(),
    *_names(),
    Column("name", String(256), nullable=False),
    Column("description", Text, nullable=False),
    Column("author", String(100), nullable=False),
    Column("tags", JSON, nullable=False),
    Column("studies", JSON, nullable=False),
    Column("is_major", Boolean, nullable=False),
    Column("state", Word(ReleaseState), nullable=False),
    Column("major", Integer, nullable=False),
    Column("minor", Integer, nullable=False),
    Column("patch", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("step_since", UtcDateTime, nullable=False),
    Column("publish_order", POSITION, unique=True),
    Column("waits_for", String(11), ForeignKey("release.kf_id")),
    Column("ending", Word(ReleaseState)),
    Column("published_at", UtcDateTime),
    Column("partially_published", Boolean, nullable=False),
    Column("look_at", UtcDateTime),
    Column("lease_owner", Text),
    Column("lease_until", UtcDateTime),
    Column("lease_epoch", Integer, nullable=False),
    _one_of("state", ReleaseState),
    _one_of("ending", (ReleaseState.FAILED, ReleaseState.CANCELED)),
    CheckConstraint("(state = 'published') = (published_at IS NOT NULL)", name="published_at"),
    CheckConstraint("state NOT IN ('canceling', 'canceled', 'failed') OR ending IS NOT NULL", name="ends_somehow"),
    CheckConstraint("state NOT IN ('publishing', 'published') OR publish_order IS NOT NULL", name="was_asked"),
    CheckConstraint("(lease_owner IS NULL) = (lease_until IS NULL)", name="lease"),
)
Index(None, release.c.state, release.c.position)
Index(None, release.c.created_at, release.c.position)
Index(None, release.c.name, release.c.position)
Index(None, release.c.author, release.c.position)
Index(None, release.c.is_major, release.c.position)
Index(None, release.c.major, release.c.minor, release.c.patch, release.c.position)
Index(None, release.c.published_at, release.c.position)
Index(
    "ix_release_look_at",
    release.c.look_at,
    release.c.position,
    sqlite_where=release.c.look_at.is_not(None),
    postgresql_where=release.c.look_at.is_not(None),
)
ASKED: Final = text("publish_order IS NOT NULL AND state || '' IN ('staged', 'publishing', 'canceling')")
"""An unsettled release that was asked to publish. A database uses the index of these few only where a query says so to
the letter, and SQLite only if the index on states, which is as long as the history, does not fit: hence `|| ''`."""

Index("ix_release_asked", release.c.publish_order, sqlite_where=ASKED, postgresql_where=ASKED)
Index(
    "ix_release_waits_for",
    release.c.waits_for,
    sqlite_where=release.c.waits_for.is_not(None),
    postgresql_where=release.c.waits_for.is_not(None),
)

task_service = Table(
    "task_service",
    metadata,
    _position(),
    *_names(),
    Column("name", String(100), nullable=False),
    Column("description", String(500), nullable=False),
    Column("url", String(200), nullable=False),
    Column("author", String(100), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("last_ok_status", Integer, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("client_id", String(150), nullable=False, server_default=""),
)
Index(
    "ix_task_service_enabled",
    task_service.c.enabled,
    task_service.c.position,
    sqlite_where=task_service.c.deleted == false(),
    postgresql_where=task_service.c.deleted == false(),
)

task = Table(
    "task",
    metadata,
    _position(),
    *_names(),
    Column("release_id", String(11), ForeignKey("release.kf_id"), nullable=False),
    Column("service_id", String(11), ForeignKey("task_service.kf_id"), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("state_since", UtcDateTime, nullable=False),
    Column("life_at", UtcDateTime, nullable=False),
    Column("state", Word(TaskState), nullable=False),
    Column("progress", Integer, nullable=False),
    Column("told", Word(Action)),
    Column("delivery", Word(Delivery), nullable=False),
    Column("cancel", Word(Delivery), nullable=False),
    Column("flight_epoch", Integer),
    Column("attempts", Integer, nullable=False),
    Column("due_at", UtcDateTime),
    Column("last_error", Text, nullable=False),
    Column("metrics", JSON(none_as_null=True)),
    Column("preview", Text, nullable=False, server_default=""),
    UniqueConstraint("release_id", "service_id"),
    _one_of("state", TaskState),
    _one_of("told", (Action.INITIALIZE, Action.START, Action.PUBLISH)),
    _one_of("delivery", Delivery),
    _one_of("cancel", Delivery),
    CheckConstraint("progress BETWEEN 0 AND 100", name="progress"),
    CheckConstraint("attempts >= 0", name="attempts"),
)
Index(None, task.c.release_id, task.c.position, task.c.state)
Index(None, task.c.service_id, task.c.position, task.c.state)
Index(None, task.c.state, task.c.position)
Index(None, task.c.created_at, task.c.position)


def ended_early(tasks: FromClause) -> ColumnElement[bool]:
    """Return the condition that a task has ended without being published, to the letter of the index of those few."""
    return tasks.c.state.in_([literal_column(f"'{state}'") for state in TaskState if state in ENDED_EARLY])


Index(
    "ix_task_ended_early",
    task.c.service_id,
    task.c.state,
    task.c.position,
    sqlite_where=ended_early(task),
    postgresql_where=ended_early(task),
)

study = Table(
    "study",
    metadata,
    Column("kf_id", String(11), primary_key=True),
    Column("name", UNLIMITED, nullable=False),
    Column("visible", Boolean, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("created_at", UtcDateTime),
    Column("newest_release", POSITION, ForeignKey("release.position")),
    Column("newest_published", POSITION, ForeignKey("release.position")),
)
Index(None, study.c.created_at, study.c.kf_id)

release_study = Table(
    "release_study",
    metadata,
    Column("study_id", String(11), ForeignKey("study.kf_id"), primary_key=True),
    Column("release_position", POSITION, ForeignKey("release.position"), primary_key=True),
    sqlite_with_rowid=False,
)
Index(None, release_study.c.release_position)

release_tag = Table(
    "release_tag",
    metadata,
    Column("tag", String(50), primary_key=True),
    Column("release_position", POSITION, ForeignKey("release.position"), primary_key=True),
    sqlite_with_rowid=False,
)
Index(None, release_tag.c.release_position)

study_published = Table(
    "study_published",
    metadata,
    Column("study_id", String(11), ForeignKey("study.kf_id"), primary_key=True),
    Column("published_at", UtcDateTime, primary_key=True),
    Column("release_position", POSITION, ForeignKey("release.position"), primary_key=True),
    sqlite_with_rowid=False,
)
"""When each study became public with which release: the last row of a study is what is public of it now."""

event = Table(
    "event",
    metadata,
    _position(),
    *_names(),
    Column("event_type", Word(EventType), nullable=False),
    Column("message", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("release_id", String(11), ForeignKey("release.kf_id")),
    Column("task_service_id", String(11), ForeignKey("task_service.kf_id")),
    Column("task_id", String(11), ForeignKey("task.kf_id")),
    Column("actor", String(150), nullable=False, server_default=""),
    _one_of("event_type", EventType),
    sqlite_autoincrement=True,
)
Index(None, event.c.release_id, event.c.position, event.c.task_id)
Index(None, event.c.task_service_id, event.c.position)
Index(None, event.c.event_type, event.c.position)
Index(None, event.c.created_at, event.c.position)


def out_of_the_ordinary(events: FromClause) -> ColumnElement[bool]:
    """Return the condition that an event is a warning or an error, to the letter of the index of those few."""
    return events.c.event_type != literal_column(f"'{EventType.INFO}'")


Index(
    "ix_event_out_of_the_ordinary",
    event.c.task_service_id,
    event.c.event_type,
    event.c.position,
    sqlite_where=out_of_the_ordinary(event),
    postgresql_where=out_of_the_ordinary(event),
)

release_note = Table(
    "release_note",
    metadata,
    _position(),
    *_names(),
    Column("description", Text, nullable=False),
    Column("author", String(100), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("release_id", String(11), ForeignKey("release.kf_id"), nullable=False),
    Column("study_id", String(11), ForeignKey("study.kf_id")),
)
Index(None, release_note.c.release_id, release_note.c.position)
Index(None, release_note.c.study_id, release_note.c.position)
Index(None, release_note.c.author, release_note.c.position)
Index(None, release_note.c.created_at, release_note.c.position)

version_ledger = Table(
    "version_ledger",
    metadata,
    Column("major", Integer, primary_key=True, autoincrement=False),
    Column("minor", Integer, primary_key=True, autoincrement=False),
    Column("patch", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(20), nullable=False),
    Column("release_id", String(11), ForeignKey("release.kf_id"), nullable=False),
    _one_of("kind", (CANDIDATE, PUBLISHING)),
)
Index(None, version_ledger.c.kind, version_ledger.c.major, version_ledger.c.minor, version_ledger.c.patch)

request_key = Table(
    "request_key",
    metadata,
    Column("caller", String(200), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("release_id", String(11), ForeignKey("release.kf_id"), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    sqlite_with_rowid=False,
)
"""The keys of requests to create a release, and what came of each."""

tally = Table(
    "tally",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("n", POSITION, nullable=False),
    CheckConstraint("n >= 0", name="n"),
)

user = Table(
    "user",
    metadata,
    _position(),
    Column("sub", String(150), nullable=False, unique=True),
    Column("username", String(150), nullable=False),
    Column("email", String(254), nullable=False),
    Column("first_name", String(150), nullable=False),
    Column("last_name", String(150), nullable=False),
    Column("picture", String(500), nullable=False),
    Column("slack_notify", Boolean, nullable=False),
    Column("slack_member_id", String(10), nullable=False),
    Column("date_joined", UtcDateTime, nullable=False),
    Column("last_login", UtcDateTime),
)

session = Table(
    "session",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("sub", String(150), ForeignKey("user.sub"), nullable=False),
    Column("name", String(150), nullable=False),
    Column("roles", JSON, nullable=False),
    Column("groups", JSON, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)
"""Who is signed in. The key of a session is in its browser's cookie only; here is its SHA-256."""

Index(None, session.c.expires_at)

secret = Table(
    "secret", metadata, Column("name", String(40), primary_key=True), Column("value", String(100), nullable=False)
)
"""What the deployment made up for itself and every process of it must know."""

receiver = Table(
    "receiver",
    metadata,
    _position(),
    Column("kf_id", String(11), nullable=False, unique=True),
    Column("kind", Word(ReceiverKind), nullable=False),
    Column("target", String(2000), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("description", String(500), nullable=False),
    Column("author", String(100), nullable=False),
    Column("secret", String(100), nullable=False),
    Column("old_secret", String(100), nullable=False),
    Column("old_secret_until", UtcDateTime),
    Column("enabled", Boolean, nullable=False),
    Column("disabled_because", String(200), nullable=False),
    Column("cursor", POSITION, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("held_until", UtcDateTime),
    Column("lease_epoch", Integer, nullable=False),
    Column("lease_owner", Text),
    Column("lease_until", UtcDateTime),
    _one_of("kind", ReceiverKind),
    CheckConstraint("(lease_owner IS NULL) = (lease_until IS NULL)", name="lease"),
)
Index(
    "ix_receiver_topic",
    receiver.c.target,
    unique=True,
    sqlite_where=receiver.c.kind == ReceiverKind.TOPIC,
    postgresql_where=receiver.c.kind == ReceiverKind.TOPIC,
)

delivery = Table(
    "delivery",
    metadata,
    Column("receiver_position", POSITION, ForeignKey("receiver.position"), primary_key=True),
    Column("event_position", POSITION, ForeignKey("event.position"), primary_key=True),
    Column("since", UtcDateTime, nullable=False),
    Column("state", Word(DeliveryState), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("tried_at", UtcDateTime),
    Column("due_at", UtcDateTime),
    Column("status", Integer),
    Column("error", Text, nullable=False),
    _one_of("state", DeliveryState),
    CheckConstraint("due_at IS NULL OR state = 'waiting'", name="due"),
    sqlite_with_rowid=False,
)
Index(
    "ix_delivery_due_at",
    delivery.c.receiver_position,
    delivery.c.due_at,
    sqlite_where=delivery.c.due_at.is_not(None),
    postgresql_where=delivery.c.due_at.is_not(None),
)
Index(None, delivery.c.receiver_position, delivery.c.state, delivery.c.event_position)

chore = Table(
    "chore",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("due_at", UtcDateTime, nullable=False),
)
