"""An OpenID Connect issuer: where its endpoints are, and whether a token is one of its own.

The issuer publishes both at an address of its own. They are fetched when first needed and kept; what has become old
is fetched anew beside the requests, which go on with what there is. A token signed with a key that is not known has
the keys fetched at once, since issuers change them, but not more often than every few seconds, whoever asks.

One asymmetric algorithm is accepted, the one that the deployment names, with keys of its kind: not what a token says
of itself. Nothing of a token is believed, or looked at beyond its header, before its signature holds.

The coordinator asks it about its callers (`coordinator/adapters/oidc.py`), and the task kit about the coordinator
(`taskkit/identity.py`). It knows neither, and does not say who may do what.
"""

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import aiohttp
from joserfc import jws, jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from lockstep import __version__

_log = logging.getLogger("lockstep.identity")

KEEP_S: Final = 3600
"""How long what an issuer publishes is used before it is fetched anew, in seconds."""

REFETCH_PAUSE_S: Final = 10
"""The shortest time between two fetches, in seconds: nobody can have us bother the issuer with made-up tokens."""

SKEW_S: Final = 30
"""By how much the issuer's clock may be ahead of or behind ours, in seconds."""

TOKEN_LIMIT_CHARS: Final = 16_384
_ANSWER_LIMIT_BYTES: Final = 1_000_000
_HEADERS: Final = {"User-Agent": f"Lockstep/{__version__}", "Accept": "application/json"}
_KINDS: Final[Mapping[str, type[Key]]] = {"RS": RSAKey, "PS": RSAKey, "ES": ECKey, "Ed": OKPKey}
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")

Claims = Mapping[str, Any]


class TokenRefused(Exception):
    """A token does not hold; the text is a sentence that says why."""


class IssuerUnavailable(Exception):
    """The issuer did not say what was needed of it; the text is a sentence that says what."""


@dataclass(frozen=True, slots=True)
class Published:
    """What an issuer says of itself, and its keys by their `kid`; a key without one has its place instead."""

    issuer: str
    endpoints: Mapping[str, str]
    keys: Mapping[str, Key]
    client_methods: tuple[str, ...] = ()
    """How clients may show their secrets."""


class Issuer:
    """One issuer; an asynchronous context manager, at whose end nothing is fetched any longer.

    Each question has a connection of its own: there is one in an hour, and so it does not matter who asks from where.

    Args:
        url: the issuer's address, below which its discovery document is.
        algorithm: the only algorithm that tokens may be signed with.
        timeout_s: how long a fetch may take, in seconds.
        keep_s, refetch_pause_s: as the constants of this module.
    """

    def __init__(
        self,
        url: str,
        *,
        algorithm: str = "RS256",
        timeout_s: float = 5,
        keep_s: float = KEEP_S,
        refetch_pause_s: float = REFETCH_PAUSE_S,
    ) -> None:
        if algorithm not in ALGORITHMS:
            raise ValueError(f"{algorithm} is not an algorithm for tokens here; {', '.join(ALGORITHMS)} are")
        self.url = url.rstrip("/")
        self._algorithm = algorithm
        self._timeout_s = timeout_s
        self._keep_s = keep_s
        self._refetch_pause_s = refetch_pause_s
        self._published: Published | None = None
        self._fetched_at = self._tried_at = float("-inf")
        self._fetching: asyncio.Task[Published] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Fetch nothing any longer."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    async def claims(self, token: str, audience: str, *, nonce: str | None = None) -> Claims:
        """Return the claims of a token that this issuer signed for an audience and that is valid now.

        Args:
            token: as it came.
            audience: which must be among those that the token names.
            nonce: what the token must repeat, if it answers a sign-in.

        Raises:
            TokenRefused: the token does not hold; the sentence says why.
            IssuerUnavailable: the issuer's keys could not be had.
        """
        kid = self._kid(token)
        claims = self._signed(token, kid, published := await self._current())
        if claims is None and self._may_fetch():
            claims = self._signed(token, kid, published := await self._fetch())
        if claims is None:
            raise TokenRefused("The token is not signed with a key that its issuer publishes.")
        wanted = jwt.JWTClaimsRegistry(
            leeway=SKEW_S,
            iss={"essential": True, "value": published.issuer},
            aud={"essential": True, "value": audience},
            sub={"essential": True},
            exp={"essential": True},
            nonce={"essential": True, "value": nonce} if nonce is not None else {"allow_blank": True},
        )
        try:
            wanted.validate(claims)
        except ExpiredTokenError:
            raise TokenRefused("The token has expired.") from None
        except (JoseError, ValueError, TypeError) as error:
            raise TokenRefused(f"The token does not hold: {error}.") from None
        return claims

    async def endpoint(self, name: str) -> str:
        """Return the address of an endpoint, such as `token_endpoint`.

        Raises:
            IssuerUnavailable: the issuer has none of that name, or does not tell.
        """
        if address := (await self._current()).endpoints.get(name):
            return address
        raise IssuerUnavailable(f"The issuer {self.url} has no {name}.")

    async def userinfo(self, token: str) -> tuple[int, Claims]:
        """Ask who a token is for; return the status and the claims.

        Raises:
            IssuerUnavailable: no sound answer came.
        """
        headers = {"Authorization": f"Bearer {token}"}
        return await self._request("GET", await self.endpoint("userinfo_endpoint"), headers=headers)

    async def exchange(self, form: Mapping[str, str], client_id: str, client_secret: str = "") -> tuple[int, Claims]:
        """Ask the token endpoint for a token; return the status and what it said.

        A client with a secret shows it in the form where the issuer takes it so, and in a header where it does not.

        Raises:
            IssuerUnavailable: no sound answer came.
        """
        address = await self.endpoint("token_endpoint")
        whole, headers = {**form, "client_id": client_id}, {}
        if client_secret and "client_secret_post" in (await self._current()).client_methods:
            whole["client_secret"] = client_secret
        elif client_secret:
            headers["Authorization"] = aiohttp.encode_basic_auth(quote(client_id, ""), quote(client_secret, ""))
        return await self._request("POST", address, headers=headers, data=whole)

    def _kid(self, token: str) -> str:
        """Return which key a token says it is signed with, after a look at what else its header says."""
        if len(token) > TOKEN_LIMIT_CHARS:
            raise TokenRefused("The token is too long.")
        try:
            header = jws.extract_compact(token.encode()).headers()
        except (JoseError, ValueError, TypeError):
            raise TokenRefused("The token is not a signed JSON Web Token.") from None
        if header.get("alg") != self._algorithm:
            raise TokenRefused(f"The token is not signed with {self._algorithm}.")
        kid = header.get("kid", "")
        return kid if isinstance(kid, str) else ""

    def _signed(self, token: str, kid: str, published: Published) -> dict[str, Any] | None:
        """Return what a token claims if it is signed with the key that it names, or with any if it names none.

        Raises:
            TokenRefused: it names its key, and is not signed with it.
        """
        for key in [key for name, key in published.keys.items() if not kid or name == kid]:
            try:
                return jwt.decode(token, key, algorithms=[self._algorithm]).claims
            except (JoseError, ValueError, TypeError) as error:
                if kid:
                    raise TokenRefused(f"The token does not hold: {error}.") from None
        return None

    async def _current(self) -> Published:
        published = self._published
        if published is None:
            return await self._fetch()
        if time.monotonic() - self._fetched_at > self._keep_s and self._may_fetch():
            self._start_fetch()
        return published

    def _may_fetch(self) -> bool:
        return self._fetching is not None or time.monotonic() - self._tried_at >= self._refetch_pause_s

    async def _fetch(self) -> Published:
        """Fetch once, however many ask at the same time.

        Raises:
            IssuerUnavailable: it failed, now or a moment ago, and nothing is known from before.
        """
        if not self._may_fetch():
            raise IssuerUnavailable(f"The issuer {self.url} did not answer a moment ago, so no token can be checked.")
        try:
            return await asyncio.shield(self._start_fetch())
        except IssuerUnavailable:
            if self._published is None:
                raise
            return self._published

    def _start_fetch(self) -> asyncio.Task[Published]:
        if self._fetching is None:
            self._tried_at = time.monotonic()
            self._fetching = asyncio.create_task(self._fetch_now())
            self._fetching.add_done_callback(self._fetched)
        return self._fetching

    def _fetched(self, task: asyncio.Task[Published]) -> None:
        self._fetching = None
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            _log.warning("the keys of the issuer could not be read: %s", error)
            return
        self._published, self._fetched_at = task.result(), time.monotonic()

    async def _fetch_now(self) -> Published:
        said = await self._read(f"{self.url}/.well-known/openid-configuration")
        issuer = said.get("issuer")
        if not isinstance(issuer, str) or issuer.rstrip("/") != self.url:
            raise IssuerUnavailable(f"The issuer {self.url} calls itself {issuer!r}.")
        endpoints = {name: address for name, address in said.items() if isinstance(address, str)}
        found = await self._read(endpoints.get("jwks_uri", ""))
        keys = _keys(found.get("keys"), self._algorithm)
        if not keys:
            raise IssuerUnavailable(f"The issuer {self.url} publishes no key for {self._algorithm}.")
        methods = said.get("token_endpoint_auth_methods_supported")
        return Published(issuer, endpoints, keys, tuple(map(str, methods)) if isinstance(methods, list) else ())

    async def _read(self, address: str) -> Claims:
        status, said = await self._request("GET", address)
        if status != 200:  # noqa: PLR2004
            raise IssuerUnavailable(f"{address} of the issuer answered {status}.")
        return said

    async def _request(self, method: str, address: str, **options: Any) -> tuple[int, Claims]:  # noqa: ANN401
        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=_HEADERS) as session,
                session.request(method, address, allow_redirects=False, **options) as answer,
            ):
                body = bytearray()
                async for piece in answer.content.iter_any():
                    body += piece
                    if len(body) > _ANSWER_LIMIT_BYTES:
                        answer.close()
                        raise IssuerUnavailable(f"{address} of the issuer answered with more than can be true.")
                said = json.loads(body)
        except (aiohttp.ClientError, OSError, ValueError, RecursionError) as error:
            reason = str(error) or type(error).__name__
            raise IssuerUnavailable(f"The issuer did not answer at {address or '(no address)'}: {reason}.") from error
        if not isinstance(said, dict):
            raise IssuerUnavailable(f"{address} of the issuer answered with no JSON object.")
        return answer.status, said


def _keys(given: object, algorithm: str) -> Mapping[str, Key]:
    """Return the keys that can check signatures of an algorithm; others, and broken ones, are not ours to judge."""
    kind = _KINDS[algorithm[:2]]
    keys: dict[str, Key] = {}
    for place, key in enumerate(given if isinstance(given, list) else ()):
        try:
            imported = kind.import_key(key)
            imported.check_use("sig")
            imported.check_alg(algorithm)
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):
            continue
        kid = key.get("kid")
        keys[kid if isinstance(kid, str) and kid else f"#{place}"] = imported
    return keys
