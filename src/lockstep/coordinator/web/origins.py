"""Keeps web pages of strangers from acting through a visitor's browser.

A browser sends forms to any address that a page names, also to one on the visitor's own machine, and says in `Origin`
which page that was. A request that changes something is refused when its origin is neither this server nor one that
the deployment allows. Programs send no `Origin` and are not concerned.
"""

from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from lockstep.coordinator.web.refusals import refusal

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class SameOriginWrites:
    """Middleware; `allowed` are origins such as `https://portal.example.org`, or `*` for all."""

    def __init__(self, app: ASGIApp, allowed: Collection[str] = ()) -> None:
        self._app = app
        self._allowed = frozenset(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or refuse it."""
        if scope["type"] == "http" and scope["method"] not in _SAFE and not self._may_write(scope):
            sentence = (
                "This request comes from a web page of another origin, which LOCKSTEP_CORS_ORIGINS does not allow."
            )
            await refusal(sentence, 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _may_write(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is None or "*" in self._allowed or origin in self._allowed:
            return True
        return origin.partition("://")[2] == headers.get("host")
