"""Users, their sessions, and the deployment's secret, in memory."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from lockstep.coordinator.core.records import Page, PageOf
from lockstep.coordinator.core.users import EVERYBODY, Profile, Session, User, UserFilter
from lockstep.coordinator.store.people import USER_ORDERS
from lockstep.coordinator.store.promises import missing, unknown_order


class MemoryPeople:
    """The port `People` in memory; `client_of_task` is the store's, which knows the tasks."""

    def __init__(self, client_of_task: Callable[[str], str]) -> None:
        self._client_of_task = client_of_task
        self._users: dict[str, User] = {}
        self._sessions: dict[str, Session] = {}
        self._secret = ""

    async def remember(self, profile: Profile, now: datetime, *, signed_in: bool = False) -> User:
        """Store what an issuer says of a person; what it says nothing about stays as it was."""
        known = self._users.get(profile.sub) or User(len(self._users) + 1, Profile(profile.sub), now)
        told = {name: value for name in Profile.__slots__ if (value := getattr(profile, name))}
        login = now if signed_in else known.last_login
        self._users[profile.sub] = now_known = replace(known, profile=replace(known.profile, **told), last_login=login)
        return now_known

    async def user(self, sub: str) -> User:
        """Return a user."""
        if sub not in self._users:
            raise missing("user", sub)
        return self._users[sub]

    async def users(self, page: PageOf, which: UserFilter = EVERYBODY) -> Page[User]:
        """Return a page of users."""
        name = page.order.removeprefix("-")
        if name not in USER_ORDERS:
            raise unknown_order(page.order, USER_ORDERS)
        listed = [user for user in self._users.values() if _fits(user, which)]
        if name != page.order:
            listed.reverse()
        return Page(tuple(listed[page.offset : page.offset + page.limit]), len(listed))

    async def open_session(self, opened: Session, now: datetime) -> None:
        """Store a session, and remove those that are over."""
        kept = {digest: session for digest, session in self._sessions.items() if session.expires_at > now}
        self._sessions = {**kept, opened.digest: opened}

    async def session(self, digest: str, now: datetime) -> Session:
        """Return a session."""
        found = self._sessions.get(digest)
        if found is None or found.expires_at <= now:
            raise missing("session", "of this key")
        return found

    async def close_session(self, digest: str) -> None:
        """Remove a session, if it is there."""
        self._sessions.pop(digest, None)

    async def client_of_task(self, task_id: str) -> str:
        """Return the client id of the service of a task."""
        return self._client_of_task(task_id)

    async def secret(self, proposed: str) -> str:
        """Return the deployment's secret, which is the one proposed if it has none."""
        self._secret = self._secret or proposed
        return self._secret


def _fits(user: User, which: UserFilter) -> bool:
    for name in ("sub", "email", "username", "first_name", "last_name"):
        if getattr(which, name) not in {None, getattr(user.profile, name)}:
            return False
    joined, login = user.date_joined, user.last_login
    return (
        (which.email_contains is None or which.email_contains.lower() in user.profile.email.lower())
        and (which.joined_before is None or joined < which.joined_before)
        and (which.joined_after is None or joined > which.joined_after)
        and (which.login_before is None or (login is not None and login < which.login_before))
        and (which.login_after is None or (login is not None and login > which.login_after))
    )
