"""Keeps web pages of strangers from borrowing this machine for a name of theirs.

A stranger can have the name of a page lead to the visitor's own machine once the page is open there. What it asks then
is of its own origin, as browsers see it, and nothing but that name gives it away. Where callers are asked who they are,
it gains nothing, since a session belongs to another name. Where they are not, it could read and publish whatever the
visitor can; so there only names are answered to that nobody else has to give.
"""

from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from lockstep.coordinator.web.answers import JsonAnswer


class OwnNames:
    """Middleware: answers who calls this machine by an address, as `localhost`, or by one more name."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        self._app = app
        self._names = frozenset({name.lower(), "localhost"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or refuse it."""
        host = Headers(scope=scope).get("host") if scope["type"] == "http" else None
        if host is None or self._is_own(host):
            await self._app(scope, receive, send)
            return
        sentence = (
            "Without identity the coordinator answers to the names of its own machine only, such as localhost, since "
            "a web page could borrow any other; LOCKSTEP_INSECURE=true has it answer to all."
        )
        await JsonAnswer({"detail": sentence}, 400)(scope, receive, send)

    def _is_own(self, host: str) -> bool:
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        try:
            ip_address(name)
        except ValueError:
            return name.lower() in self._names
        return True
