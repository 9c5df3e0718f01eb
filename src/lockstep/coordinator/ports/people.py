"""Who asks: what is remembered of people, and the issuer that vouches for them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from lockstep.coordinator.core.callers import Caller
from lockstep.coordinator.core.records import Page, PageOf
from lockstep.coordinator.core.users import EVERYBODY, Profile, Session, User, UserFilter


class People(Protocol):
    """Who has been here, who is signed in, and what only the deployment knows; every method is one transaction."""

    async def remember(self, profile: Profile, now: datetime, *, signed_in: bool = False) -> User:
        """Store what an issuer says of a person; what it says nothing about stays as it was."""
        ...

    async def user(self, sub: str) -> User:
        """Return a user.

        Raises:
            NotFound: nobody of that name has been here.
        """
        ...

    async def users(self, page: PageOf, which: UserFilter = EVERYBODY) -> Page[User]:
        """Return a page of users, in the order in which they came (`date_joined`), or the other way round."""
        ...

    async def open_session(self, opened: Session, now: datetime) -> None:
        """Store a session of a user who is remembered; those that are over are removed."""
        ...

    async def session(self, digest: str, now: datetime) -> Session:
        """Return a session that is not over.

        Raises:
            NotFound: there is none.
        """
        ...

    async def close_session(self, digest: str) -> None:
        """Remove a session, if it is there."""
        ...

    async def client_of_task(self, task_id: str) -> str:
        """Return the client id of the service of a task, deleted or not; empty if it has none.

        Raises:
            NotFound: there is no such task.
        """
        ...

    async def secret(self, proposed: str) -> str:
        """Return the deployment's secret, which is the one proposed if it has none yet."""
        ...


class Identity(Protocol):
    """Tells who a bearer token is about."""

    async def of_token(self, token: str) -> tuple[Caller, Profile]:
        """Return who a token is about, and what it tells of them.

        Raises:
            Unauthorized: the token does not hold; the sentence says why.
            Unavailable: whoever issued it could not be asked.
        """
        ...

    async def profile(self, token: str) -> Profile | None:
        """Ask the issuer about the person that a token is for; return None when it does not tell."""
        ...


class SignIn(Protocol):
    """Where people sign in with a browser."""

    async def begin(self, callback_url: str, after: str) -> tuple[str, str]:
        """Return where to send the browser, and what it is to keep until it comes back to the callback's address.

        Args:
            callback_url: our address that the browser comes back to.
            after: the page that it is on the way to.

        Raises:
            Unavailable: the issuer could not be asked where that is.
        """
        ...

    async def finish(self, kept: str, given: Mapping[str, str]) -> tuple[Caller, Profile, str]:
        """Return who has signed in, their profile, and where they were going.

        Args:
            kept: what the browser kept.
            given: what it brought back from the issuer.

        Raises:
            Unauthorized: nobody has signed in; the sentence says why.
            Unavailable: the issuer could not be asked who it was.
        """
        ...

    async def farewell(self, back_url: str) -> str:
        """Return where to send the browser to be signed out there too, and then back; empty if there is no such."""
        ...
