"""Which requests are the dashboard's: those that ask for a page, at an address that has one.

Browsers name `text/html` when they open a page or send a form, and `text/event-stream` when an open page wants to be
kept up to date; programs name neither, so that one address can serve both. What the dashboard does not have goes on to
the rest of the application, and an address that nobody has ends on a page that says so.
"""

from typing import Final

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

PAGE: Final = "text/html"
STREAM: Final = "text/event-stream"


def accepts(scope: Scope, media_type: str) -> bool:
    """Tell whether a request names a media type among those that it accepts."""
    given = Headers(scope=scope).get("accept", "")
    return any(part.partition(";")[0].strip().lower() == media_type for part in given.split(","))


class ForBrowsers(BaseRoute):
    """The dashboard as one route of the application.

    Args:
        dashboard: the dashboard.
        everything: it takes every request for a page, also where it has none; for the end of the list of routes.
    """

    def __init__(self, dashboard: Starlette, *, everything: bool = False) -> None:
        self._dashboard = dashboard
        self._everything = everything

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether a request is the dashboard's."""
        if scope["type"] != "http" or not (accepts(scope, PAGE) or accepts(scope, STREAM)):
            return Match.NONE, {}
        has_it = any(route.matches(scope)[0] is Match.FULL for route in self._dashboard.routes)
        return (Match.FULL if has_it or self._everything else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._dashboard(scope, receive, send)
