"""Light, dark, or as the system has it: each browser's own choice, in a cookie.

The server writes the choice into every page, so that none is drawn in the other theme first, and the switch is a form
that works without JavaScript; with it, the page stays as it is.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

COOKIE: Final = "lockstep_theme"
THEMES: Final = ("light", "dark")
_YEAR_S: Final = 365 * 24 * 3600


def theme_of(request: Request) -> str:
    """Return the theme that a browser chose; empty for the system's."""
    chosen = request.cookies.get(COOKIE, "")
    return chosen if chosen in THEMES else ""


def keep(response: Response, chosen: str, *, secure: bool) -> None:
    """Have the browser keep a choice; anything that is no theme is the system's."""
    if chosen in THEMES:
        response.set_cookie(COOKIE, chosen, max_age=_YEAR_S, httponly=True, samesite="lax", secure=secure, path="/")
    else:
        response.delete_cookie(COOKIE, path="/")
