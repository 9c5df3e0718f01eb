"""Asks every request for a task who sent it, before its body is read.

One without a token, or with a token that does not hold, is answered 401; one whose token holds and is somebody else's,
403; and while the issuer's keys cannot be had, 503 with `Retry-After`, which has a coordinator ask again. Nothing is
stored or begun by any of them. `GET /status` answers everybody.

It is loaded where a service has an identity: cryptography takes a while.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException

from lockstep.issuer import REFETCH_PAUSE_S, Issuer, IssuerUnavailable, TokenRefused
from lockstep.taskkit.error_answers import RETRY_AFTER_S
from lockstep.taskkit.identity import Identity

_MACHINE_SUFFIX: Final = "@clients"
_CALLER_CLAIMS: Final = ("sub", "azp", "client_id")
_SHOWN_CHARS: Final = 60


class Guard:
    """Lets requests pass that the coordinator of an identity sends.

    Args:
        identity: whose tokens count.
        refetch_pause_s: the shortest time between two looks at the issuer's keys, in seconds.

    Raises:
        ValueError: no token can be signed with the identity's algorithm.
    """

    def __init__(self, identity: Identity, *, refetch_pause_s: float = REFETCH_PAUSE_S) -> None:
        self._issuer = Issuer(identity.issuer, algorithm=identity.algorithm, refetch_pause_s=refetch_pause_s)
        self._audience = identity.audience
        self._callers = frozenset(map(_name, identity.callers))

    async def check(self, headers: Mapping[str, str]) -> None:
        """Let a request with some headers pass.

        Raises:
            HTTPException: it does not; the status and the sentence say why.
        """
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise _unauthorized("this service obeys a token only, in a header Authorization: Bearer …")
        try:
            claims = await self._issuer.claims(token.strip(), self._audience)
        except TokenRefused as error:
            raise _unauthorized(str(error), ' error="invalid_token"') from error
        except IssuerUnavailable as error:
            later = {"Retry-After": str(RETRY_AFTER_S)}
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, str(error), later) from error
        if self._callers.isdisjoint(_names(claims)):
            sentence = f"this service obeys its coordinator, and {ascii(claims['sub'])[:_SHOWN_CHARS]} is somebody else"
            raise HTTPException(HTTPStatus.FORBIDDEN, sentence)

    async def close(self) -> None:
        """Fetch nothing any longer."""
        await self._issuer.close()


def _names(claims: Mapping[str, Any]) -> set[str]:
    """Return by which names whoever a token is for may be known."""
    given = [claims.get(claim) for claim in _CALLER_CLAIMS]
    return {_name(name) for name in given if isinstance(name, str) and name}


def _name(caller: str) -> str:
    return caller.removesuffix(_MACHINE_SUFFIX)


def _unauthorized(sentence: str, more: str = "") -> HTTPException:
    return HTTPException(HTTPStatus.UNAUTHORIZED, sentence, {"WWW-Authenticate": f"Bearer{more}"})
