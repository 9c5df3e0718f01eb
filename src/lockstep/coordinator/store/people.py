"""Users, their sessions, and the deployment's secret, on a SQL database."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Connection, Table, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from lockstep.coordinator.core.callers import Role
from lockstep.coordinator.core.records import Page, PageOf
from lockstep.coordinator.core.users import EVERYBODY, Profile, Session, User, UserFilter
from lockstep.coordinator.store.database import Database
from lockstep.coordinator.store.promises import missing, unknown_order
from lockstep.coordinator.store.reading import found
from lockstep.coordinator.store.rows import AnyRow, Values
from lockstep.coordinator.store.tables import secret, session, task, task_service, user

USER_ORDERS: Final = ("created_at", "date_joined")
"""Both mean the order in which users came."""

_USER: Final = select(
    user.c.position,
    user.c.sub,
    user.c.username,
    user.c.email,
    user.c.first_name,
    user.c.last_name,
    user.c.picture,
    user.c.date_joined,
    user.c.last_login,
    user.c.slack_notify,
    user.c.slack_member_id,
)
_BY_SUB: Final = _USER.where(user.c.sub == bindparam("sub"))
_SESSION: Final = select(
    session.c.digest, session.c.sub, session.c.name, session.c.roles, session.c.groups, session.c.expires_at
).where(session.c.digest == bindparam("digest"), session.c.expires_at > bindparam("now"))
_CLIENT: Final = (
    select(task_service.c.client_id)
    .join_from(task, task_service, task.c.service_id == task_service.c.kf_id)
    .where(task.c.kf_id == bindparam("kf_id"))
)
_SECRET: Final = select(secret.c.value).where(secret.c.name == "deployment")

_TESTS: Final[dict[str, Callable[[Any], ColumnElement[bool]]]] = {
    "sub": user.c.sub.__eq__,
    "email": user.c.email.__eq__,
    "email_contains": partial(user.c.email.icontains, autoescape=True),
    "username": user.c.username.__eq__,
    "first_name": user.c.first_name.__eq__,
    "last_name": user.c.last_name.__eq__,
    "joined_before": user.c.date_joined.__lt__,
    "joined_after": user.c.date_joined.__gt__,
    "login_before": user.c.last_login.__lt__,
    "login_after": user.c.last_login.__gt__,
}


class SqlPeople:
    """The port `People` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def remember(self, profile: Profile, now: datetime, *, signed_in: bool = False) -> User:
        """Store what an issuer says of a person; what it says nothing about stays as it was."""
        return await self._database.write(partial(_remember, profile=profile, now=now, signed_in=signed_in))

    async def user(self, sub: str) -> User:
        """Return a user."""
        return await self._database.read(partial(_one, sub=sub))

    async def users(self, page: PageOf, which: UserFilter = EVERYBODY) -> Page[User]:
        """Return a page of users."""
        return await self._database.read(partial(_users, page=page, which=which))

    async def open_session(self, opened: Session, now: datetime) -> None:
        """Store a session, and remove those that are over."""
        await self._database.write(partial(_open_session, opened=opened, now=now))

    async def session(self, digest: str, now: datetime) -> Session:
        """Return a session."""
        return await self._database.read(partial(_session, digest=digest, now=now))

    async def close_session(self, digest: str) -> None:
        """Remove a session, if it is there."""
        await self._database.write(partial(_close_session, digest=digest))

    async def client_of_task(self, task_id: str) -> str:
        """Return the client id of the service of a task."""
        return await self._database.read(partial(_client_of_task, task_id=task_id))

    async def secret(self, proposed: str) -> str:
        """Return the deployment's secret, which is the one proposed if it has none."""
        return await self._database.write(partial(_secret, proposed=proposed))


def _remember(connection: Connection, profile: Profile, now: datetime, *, signed_in: bool) -> User:
    told: Values = {
        name: value
        for name in ("username", "email", "first_name", "last_name", "picture")
        if (value := getattr(profile, name))
    }
    if signed_in:
        told["last_login"] = now
    if connection.execute(_BY_SUB, {"sub": profile.sub}).one_or_none() is None:
        nothing = {"username": "", "email": "", "first_name": "", "last_name": "", "picture": ""}
        fresh = {"slack_notify": False, "slack_member_id": "", "date_joined": now, "last_login": None}
        _insert_if_absent(connection, user, {**nothing, **fresh, **told, "sub": profile.sub})
    elif told:
        connection.execute(update(user).where(user.c.sub == profile.sub).values(told))
    return _one(connection, profile.sub)


def _one(connection: Connection, sub: str) -> User:
    return _to_user(found(connection.execute(_BY_SUB, {"sub": sub}).one_or_none(), "user", sub))


def _users(connection: Connection, page: PageOf, which: UserFilter) -> Page[User]:
    name = page.order.removeprefix("-")
    if name not in USER_ORDERS:
        raise unknown_order(page.order, USER_ORDERS)
    position: Column[int] = user.c.position
    conditions = [test(value) for name, test in _TESTS.items() if (value := getattr(which, name)) is not None]
    rows = connection.execute(
        _USER.where(*conditions)
        .order_by(position.asc() if name == page.order else position.desc())
        .limit(page.limit)
        .offset(page.offset)
    )
    count = connection.execute(select(func.count()).select_from(user).where(*conditions)).scalar_one()
    return Page(tuple(map(_to_user, rows)), count)


def _to_user(row: AnyRow) -> User:
    number, sub, username, email, first_name, last_name, picture, *rest = row
    return User(number, Profile(sub, username, email, first_name, last_name, picture), *rest)


def _open_session(connection: Connection, opened: Session, now: datetime) -> None:
    connection.execute(delete(session).where(session.c.expires_at <= now))
    connection.execute(
        insert(session),
        {
            "digest": opened.digest,
            "sub": opened.sub,
            "name": opened.name,
            "roles": sorted(opened.roles),
            "groups": sorted(opened.groups),
            "expires_at": opened.expires_at,
        },
    )


def _session(connection: Connection, digest: str, now: datetime) -> Session:
    row = found(connection.execute(_SESSION, {"digest": digest, "now": now}).one_or_none(), "session", "of this key")
    digest, sub, name, roles, groups, expires_at = row
    return Session(digest, sub, name, frozenset(map(Role, roles)), frozenset(groups), expires_at)


def _close_session(connection: Connection, digest: str) -> None:
    connection.execute(delete(session).where(session.c.digest == digest))


def _client_of_task(connection: Connection, task_id: str) -> str:
    client: str | None = connection.execute(_CLIENT, {"kf_id": task_id}).scalar_one_or_none()
    if client is None:
        raise missing("task", task_id)
    return client


def _secret(connection: Connection, proposed: str) -> str:
    kept: str | None = connection.execute(_SECRET).scalar_one_or_none()
    if kept is None:
        _insert_if_absent(connection, secret, {"name": "deployment", "value": proposed})
        kept = connection.execute(_SECRET).scalar_one()
    return kept


def _insert_if_absent(connection: Connection, table: Table, row: Values) -> None:
    """Insert a row that somebody else may be inserting just now."""
    try:
        with connection.begin_nested():
            connection.execute(insert(table), row)
    except IntegrityError:
        return
