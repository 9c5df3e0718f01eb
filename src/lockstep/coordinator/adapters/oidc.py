"""The issuer of the deployment, with errors in the coordinator's words; what it does is told in `lockstep.issuer`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from lockstep import issuer
from lockstep.coordinator.core.errors import Unauthorized, Unavailable
from lockstep.issuer import REFETCH_PAUSE_S, Claims

__all__ = ["REFETCH_PAUSE_S", "Claims", "Issuer"]


class Issuer(issuer.Issuer):
    """One issuer. What does not hold is `Unauthorized` here, and what could not be had `Unavailable`."""

    async def claims(self, token: str, audience: str, *, nonce: str | None = None) -> Claims:
        """Return the claims of a token that this issuer signed for an audience and that is valid now."""
        with _in_our_words():
            return await super().claims(token, audience, nonce=nonce)

    async def endpoint(self, name: str) -> str:
        """Return the address of an endpoint, such as `token_endpoint`."""
        with _in_our_words():
            return await super().endpoint(name)

    async def userinfo(self, token: str) -> tuple[int, Claims]:
        """Ask who a token is for; return the status and the claims."""
        with _in_our_words():
            return await super().userinfo(token)

    async def exchange(self, form: Mapping[str, str], client_id: str, client_secret: str = "") -> tuple[int, Claims]:
        """Ask the token endpoint for a token; return the status and what it said."""
        with _in_our_words():
            return await super().exchange(form, client_id, client_secret)


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except issuer.TokenRefused as error:
        raise Unauthorized(str(error)) from error
    except issuer.IssuerUnavailable as error:
        raise Unavailable(str(error)) from error
