"""The token that shows that a form came from a page of ours, opened in the same browser.

A browser gets a random cookie that scripts cannot read. Forms carry a digest of it, which a page of a stranger can
neither know nor work out. It stands behind the check of the request's origin, which comes first.
"""

import hmac
import secrets
from dataclasses import dataclass
from typing import Final, Self

from starlette.requests import Request
from starlette.responses import Response

COOKIE: Final = "lockstep_form"
FIELD: Final = "token"
_BYTES: Final = 32
_CHARS: Final = 43


@dataclass(frozen=True, slots=True)
class Token:
    """One browser's cookie; `fresh` when it does not have it yet."""

    value: str
    fresh: bool

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return the token of a request's browser, made now if there is none; the same for one request."""
        known: Self | None = getattr(request.state, "form_token", None)
        if known is None:
            given = request.cookies.get(COOKIE, "")
            known = cls(given, fresh=False) if len(given) == _CHARS else cls(secrets.token_urlsafe(_BYTES), fresh=True)
            request.state.form_token = known
        return known

    @property
    def for_forms(self) -> str:
        """Return what forms carry."""
        return hmac.digest(self.value.encode(), b"lockstep form", "sha256").hex()

    def matches(self, given: object) -> bool:
        """Tell whether a form carried what it should."""
        return isinstance(given, str) and hmac.compare_digest(given.encode(), self.for_forms.encode())

    def keep(self, response: Response, *, secure: bool) -> None:
        """Have the browser keep a fresh token."""
        if self.fresh:
            response.set_cookie(COOKIE, self.value, httponly=True, samesite="lax", secure=secure, path="/")


STAND_IN: Final = Token(secrets.token_urlsafe(_BYTES), fresh=False)
"""Stands for the reader's own token in what is rendered once for several readers. Nobody's form carries it."""
