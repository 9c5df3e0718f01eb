"""Recognizes who is behind a request: by a bearer token of the issuer, by the callback token of a task, by a session.

A person is remembered when first seen, and called by their user name from then on. Where a token does not tell it,
the issuer is asked for it, once. What a caller may do is not asked here.
"""

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from lockstep.coordinator.core.callers import Caller, Kind
from lockstep.coordinator.core.errors import NotFound
from lockstep.coordinator.core.users import Profile, Session
from lockstep.coordinator.ports import Clock, Identity, People
from lockstep.coordinator.services.callback_tokens import CallbackTokens

SESSION_LIFE: Final = timedelta(hours=12)
"""How long a browser stays signed in: a working day, after which roles and groups are asked for anew."""

NAME_KEPT_S: Final = 600
"""How long a name is used before the database is asked for it again, in seconds."""

_NAMES_LIMIT: Final = 10_000
_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Recognition:
    """Recognizes callers.

    Attributes:
        people: who has been here, and who is signed in.
        identity: who can tell what a token is worth.
        clock: the time.
        secret: the deployment's secret.
    """

    people: People
    identity: Identity
    clock: Clock
    secret: str
    _names: dict[str, tuple[float, str]] = field(default_factory=dict)

    async def by_token(self, token: str) -> Caller:
        """Return who a bearer token is about.

        Raises:
            Unauthorized: the token does not hold; the sentence says why.
            Unavailable: whoever issued it could not be asked.
        """
        if (task_id := CallbackTokens(self.secret).task_of(token)) is not None:
            return Caller(Kind.TASK, task_id, task_id=task_id)
        caller, profile = await self.identity.of_token(token)
        if caller.kind is not Kind.PERSON:
            return caller
        return replace(caller, name=await self._name(profile, token))

    async def by_session(self, key: str) -> Caller | None:
        """Return who is signed in with the key of a session; None if there is no such session, or it is over."""
        try:
            return (await self.people.session(_digest(key), self.clock.now())).caller()
        except NotFound:
            return None

    async def open_session(self, caller: Caller, profile: Profile) -> str:
        """Sign a person's browser in; return the key that it is to keep."""
        now = self.clock.now()
        user = await self.people.remember(profile, now, signed_in=True)
        key = secrets.token_urlsafe(_KEY_BYTES)
        name = user.profile.username or caller.subject
        opened = Session(_digest(key), caller.subject, name, caller.roles, caller.groups, now + SESSION_LIFE)
        await self.people.open_session(opened, now)
        return key

    async def close_session(self, key: str) -> None:
        """Sign a browser out."""
        await self.people.close_session(_digest(key))

    def proof(self, key: str) -> str:
        """Return what shows that a request comes from a page of ours, opened in the browser with this session."""
        return hmac.digest(self.secret.encode(), f"csrf {key}".encode(), "sha256").hex()

    async def _name(self, profile: Profile, token: str) -> str:
        until, name = self._names.get(profile.sub, (0.0, ""))
        if time.monotonic() < until:
            return name
        name = await self._remembered_name(profile, token)
        if len(self._names) >= _NAMES_LIMIT:
            self._names.clear()
        self._names[profile.sub] = (time.monotonic() + NAME_KEPT_S, name)
        return name

    async def _remembered_name(self, profile: Profile, token: str) -> str:
        if not profile.username:
            try:
                if username := (await self.people.user(profile.sub)).profile.username:
                    return username
            except NotFound:
                pass
            asked = await self.identity.profile(token)
            profile = asked if asked is not None and asked.sub == profile.sub else profile
        user = await self.people.remember(profile, self.clock.now())
        return user.profile.username or profile.sub


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
