"""The coordinator's own token, which it shows to task services: by client credentials, from its issuer.

It is kept until shortly before it expires, or until a service does not take it. Whoever asks while it is being
fetched waits for the same one. It is never logged, and not told in any error.
"""

import asyncio
import time
from typing import Final

import structlog

from lockstep.coordinator.adapters.oidc import REFETCH_PAUSE_S, Claims, Issuer
from lockstep.coordinator.core.errors import Unavailable

log = structlog.get_logger("lockstep.identity")

EARLY_S: Final = 60
"""How long before it expires a token is replaced, in seconds; of one that lives shortly, after half of its life."""

_DEFAULT_LIFE_S: Final = 300
_OK: Final = 200


class ClientToken:
    """Gives the token; a `Token` of the task services.

    Args:
        issuer: who gives it.
        client_id, client_secret: what the issuer knows us by.
        audience: whom the token is for; empty to leave it to the issuer.
        refetch_pause_s: the shortest time between two fetches because of a refused token, in seconds.
    """

    def __init__(
        self,
        issuer: Issuer,
        client_id: str,
        client_secret: str,
        audience: str = "",
        *,
        refetch_pause_s: float = REFETCH_PAUSE_S,
    ) -> None:
        self._issuer = issuer
        self._refetch_pause_s = refetch_pause_s
        self._auth = (client_id, client_secret)
        self._form = {"grant_type": "client_credentials", **({"audience": audience} if audience else {})}
        self._token = ""
        self._until = self._fetched_at = float("-inf")
        self._fetching: asyncio.Task[str] | None = None

    async def __call__(self, refused: str | None = None) -> str:
        """Return a token; another than one that was refused, unless that was fetched a moment ago.

        Raises:
            Unavailable: the issuer did not give one.
        """
        now = time.monotonic()
        if refused is not None and refused == self._token and now - self._fetched_at >= self._refetch_pause_s:
            self._until = float("-inf")
        if now < self._until:
            return self._token
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch())
            self._fetching.add_done_callback(self._fetched)
        return await asyncio.shield(self._fetching)

    async def _fetch(self) -> str:
        asked_at = time.monotonic()
        status, said = await self._issuer.exchange(self._form, *self._auth)
        token = said.get("access_token")
        if status != _OK or not isinstance(token, str) or not token.isascii() or not token.isprintable():
            error = said.get("error")
            reason = f" ({error})" if isinstance(error, str) and error.isidentifier() else ""
            raise Unavailable(f"The issuer {self._issuer.url} gave no token: status {status}{reason}.")
        life_s = _life_s(said)
        self._token, self._fetched_at = token, asked_at
        self._until = asked_at + max(life_s - EARLY_S, life_s / 2)
        return token

    def _fetched(self, task: asyncio.Task[str]) -> None:
        self._fetching = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("no_token_for_services", reason=str(error))


def _life_s(said: Claims) -> float:
    given = said.get("expires_in")
    try:
        return max(0.0, float(given)) if isinstance(given, int | float | str) else _DEFAULT_LIFE_S
    except ValueError:
        return _DEFAULT_LIFE_S
