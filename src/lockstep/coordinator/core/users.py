"""The people who have signed in, as they are remembered, and their sessions in a browser.

What a person may do is not kept with them: roles and groups come with every token, and with the session that was
opened by one.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lockstep.coordinator.core.callers import Caller, Kind, Role


@dataclass(frozen=True, slots=True)
class Profile:
    """What an issuer tells of a person; `sub` is what it knows them by, and the rest may be empty."""

    sub: str
    username: str = ""
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    picture: str = ""


@dataclass(frozen=True, slots=True)
class User:
    """A person who has been here, as their row; `number` is the id that GraphQL clients know."""

    number: int
    profile: Profile
    date_joined: datetime
    last_login: datetime | None = None
    slack_notify: bool = False
    slack_member_id: str = ""


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users; None filters nothing. `email_contains` in any case of letters, and times strictly."""

    sub: str | None = None
    email: str | None = None
    email_contains: str | None = None
    username: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    joined_before: datetime | None = None
    joined_after: datetime | None = None
    login_before: datetime | None = None
    login_after: datetime | None = None


EVERYBODY: Final = UserFilter()


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that is signed in.

    Attributes:
        digest: the SHA-256 of the key that is in the browser's cookie; the key itself is kept nowhere.
        name: the user name, as author and actor.
    """

    digest: str
    sub: str
    name: str
    roles: frozenset[Role]
    groups: frozenset[str]
    expires_at: datetime

    def caller(self) -> Caller:
        """Return who is behind the browser."""
        return Caller(Kind.PERSON, self.name, self.sub, self.roles, self.groups)
