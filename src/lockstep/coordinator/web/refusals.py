"""How middleware refuses a request: with a page for a person before a browser, in JSON for everybody else.

The dashboard hangs up its way of saying it at the application; where there is none, everybody gets JSON.
"""

from collections.abc import Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from lockstep.coordinator.web.answers import JsonAnswer
from lockstep.coordinator.web.dashboard.routing import PAGE, accepts

JSON: Final = "application/json"

RefusalPage = Callable[[Request, str, int], Response]
"""Makes a page of a request, a sentence and a status."""


def wants_page(scope: Scope) -> bool:
    """Tell whether a person asks, as far as one can know: browsers name HTML, and never JSON."""
    return accepts(scope, PAGE) and not accepts(scope, JSON)


def refusal(sentence: str, status: int, headers: Mapping[str, str] | None = None) -> ASGIApp:
    """Return what answers a request with a sentence that says why nothing was done."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        page: RefusalPage | None = getattr(scope["app"].state, "refusal_page", None)
        said: Response = JsonAnswer({"detail": sentence}, status, headers)
        if page is not None and wants_page(scope):
            said = page(Request(scope), sentence, status)
            said.headers.update(headers or {})
        await said(scope, receive, send)

    return answer
