"""A page for people who want to try the GraphQL API: a query, its answer, and what can be asked, all from here.

The page loads nothing from elsewhere and runs no script but its own file, and its policy says so to the browser. What
it shows of the schema it asks the API for, as any client can.
"""

from html import escape
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lockstep.coordinator.web.callers import proof_of

_STATIC: Final = files("lockstep.coordinator.web.graphql") / "static"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-cache"}
_FILES: Final = {"explorer.js": "text/javascript", "explorer.css": "text/css"}


def page(request: Request) -> Response:
    """Return the page."""
    html = (_STATIC / "explorer.html").read_text("utf-8").replace("{{proof}}", escape(proof_of(request)))
    return Response(
        html, media_type="text/html", headers={**_HEADERS, "Content-Security-Policy": _POLICY, "Vary": "Accept, Cookie"}
    )


def routes(path: str) -> list[Route]:
    """Return the routes of what the page loads."""
    return [Route(f"{path}/{name}", _file, methods=["GET"], include_in_schema=False) for name in _FILES]


async def _file(request: Request) -> Response:
    name = request.url.path.rpartition("/")[2]
    return Response((_STATIC / name).read_text("utf-8"), media_type=_FILES[name], headers=_HEADERS)
