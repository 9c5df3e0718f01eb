"""Looking at a database beside those who use it: what it holds, what is late, what nobody has fetched.

Nothing is written, nothing migrated and no lock taken, so that it may be done while coordinators are at work.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select, true

from lockstep.coordinator.core.announcing import DeliveryState
from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.store.database import Database, postgres_url
from lockstep.coordinator.store.migrating import schema_of, sqlite_file
from lockstep.coordinator.store.sqlite import SqliteDatabase
from lockstep.coordinator.store.tables import delivery, event, receiver, release, task_service
from lockstep.protocol.states import SETTLED_RELEASES, ReleaseState

MOST: Final = 20
"""How many of each kind are looked up; whoever has more to see to sees the rest later."""


@dataclass(frozen=True, slots=True)
class Late:
    """A release that is late, and since when."""

    kf_id: str
    state: ReleaseState
    since: datetime


@dataclass(frozen=True, slots=True)
class Announced:
    """A receiver of announcements that is owed something, or that was given up.

    Attributes:
        behind: how many events it has not got yet.
        since: when the oldest of them was made.
        disabled_because: why nothing is sent to it any more; empty where it is.
    """

    kf_id: str
    target: str
    behind: int
    since: datetime | None
    disabled_because: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What a database of the current schema holds.

    Attributes:
        overdue: releases that should have been looked at before a certain time, and that nobody is at work on.
        open: releases in a step that needs no person, those that have been in it for the longest first.
        services: names and addresses of the task services that take part in new releases.
        announced: receivers that are owed something, or were given up.
    """

    overdue: Sequence[Late]
    open: Sequence[Late]
    services: Sequence[tuple[str, str]]
    announced: Sequence[Announced]


def open_to_look(database_url: str) -> Database:
    """Return a database that is there already, to be looked at.

    Raises:
        Unavailable: there is no such file.
    """
    if url := postgres_url(database_url):
        from lockstep.coordinator.store.postgres import PostgresDatabase  # noqa: PLC0415 - takes a while to load

        return PostgresDatabase(url, connections=1, patience_s=0)
    path = sqlite_file(database_url)
    if not path.exists():
        raise Unavailable(
            f"There is no database file {path.resolve()}; `lockstep serve` makes it, or name another in "
            "LOCKSTEP_DATABASE_URL."
        )
    return SqliteDatabase(path)


def ask_schema(connection: Connection) -> tuple[str | None, datetime]:
    """Return the schema that a database has, None for an empty one, and what its clock says."""
    shared = connection.dialect.name == "postgresql"
    now = connection.execute(select(func.clock_timestamp())).scalar_one() if shared else datetime.now(UTC)
    return schema_of(connection, connection.engine.url.database or ""), now


def look(connection: Connection, now: datetime, due_before: datetime) -> Seen:
    """Return what a database of the current schema holds."""
    return Seen(
        overdue=_late(
            connection,
            release.c.look_at,
            and_(release.c.look_at <= due_before, or_(release.c.lease_until.is_(None), release.c.lease_until <= now)),
        ),
        open=_late(connection, release.c.step_since, release.c.state.not_in([*SETTLED_RELEASES, ReleaseState.STAGED])),
        services=[(row[0], row[1]) for row in connection.execute(_SERVICES)],
        announced=[Announced(*row) for row in connection.execute(_ANNOUNCED)],
    )


_SERVICES: Final = (
    select(task_service.c.name, task_service.c.url)
    .where(task_service.c.deleted.is_(False), task_service.c.enabled.is_(True))
    .order_by(task_service.c.position)
)

_WAITING: Final = and_(delivery.c.receiver_position == receiver.c.position, delivery.c.state == DeliveryState.WAITING)
_AHEAD: Final = event.c.position > receiver.c.cursor
_BEHIND: Final = (
    select(func.count()).select_from(event).where(_AHEAD).scalar_subquery()
    + select(func.count()).select_from(delivery).where(_WAITING).scalar_subquery()
)
_SINCE_AHEAD: Final = select(func.min(event.c.created_at)).where(_AHEAD).scalar_subquery()
_SINCE_WAITING: Final = select(func.min(delivery.c.since)).where(_WAITING).scalar_subquery()
_ANNOUNCED: Final = (
    select(
        receiver.c.kf_id,
        receiver.c.target,
        _BEHIND,
        case((_SINCE_WAITING < _SINCE_AHEAD, _SINCE_WAITING), else_=func.coalesce(_SINCE_AHEAD, _SINCE_WAITING)),
        receiver.c.disabled_because,
    )
    .where(or_(and_(receiver.c.enabled == true(), _BEHIND > 0), receiver.c.disabled_because != ""))
    .order_by(receiver.c.position)
    .limit(MOST)
)


def _late(connection: Connection, since: ColumnElement[datetime], which: ColumnElement[bool]) -> list[Late]:
    late = select(release.c.kf_id, release.c.state, since).where(which).order_by(since).limit(MOST)
    return [Late(*row) for row in connection.execute(late)]
