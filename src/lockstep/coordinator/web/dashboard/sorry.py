"""What a person reads when something was refused, is not there, or broke: what happened, and what to do now.

Programs get the same in JSON, from `web/errors.py`. Whoever was signed out while they wrote gets back what they wrote,
to be sent again once they are signed in.
"""

from collections.abc import Awaitable, Callable
from typing import Final, cast
from urllib.parse import urlencode

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from lockstep.coordinator.core.callers import ANONYMOUS, LOCAL
from lockstep.coordinator.core.errors import CoordinatorError, Forbidden, NotFound, Unauthorized
from lockstep.coordinator.services.sentences import sentences
from lockstep.coordinator.web.dashboard.asking import known
from lockstep.coordinator.web.dashboard.page import HEADERS, Page, go, pages_of
from lockstep.coordinator.web.dashboard.routing import PAGE, accepts
from lockstep.coordinator.web.dashboard.tokens import FIELD
from lockstep.coordinator.web.desk import desk_of
from lockstep.coordinator.web.errors import status_of
from lockstep.coordinator.web.refusals import wants_page
from lockstep.coordinator.web.sign_in import CALLBACK

log = structlog.get_logger("lockstep.dashboard")

_SIGNING_IN: Final = ("/login", CALLBACK, "/logout")
_SAFE: Final = frozenset({"GET", "HEAD"})
_FORBIDDEN, _NOT_FOUND, _BROKEN = 403, 404, 500

_TITLES: Final = {
    400: "That could not be understood",
    403: "That is not allowed",
    404: "Not found",
    405: "There is nothing to be sent here",
    409: "That does not fit the state things are in",
    412: "Somebody else was quicker",
    413: "That is too much at once",
    429: "Too many changes at once",
    500: "Something broke",
    503: "Something does not answer",
}
_TO_DO: Final = {
    404: "Look at the address again, or begin at Home. What was removed is not shown any more.",
    405: "Open the page by its link, and use the form on it.",
    409: "Go back, load the page again, and look at how things are now.",
    412: "Go back, load the page again, and look at how things are now.",
    413: "Go back, make it shorter, and send it again.",
    429: "Nothing was changed. Wait for a moment, go back, and send it again.",
    500: "Try again. If it breaks again, tell the people who run this when it was; the log has the rest.",
    503: "Nothing was changed. Wait for a moment, and try again.",
}
_FROM_ELSEWHERE: Final = "Nothing was changed. Open the page here, and do it on the page itself."


Say = Callable[[Request, Exception], Awaitable[Response]]


def say_on_pages(app: FastAPI) -> None:
    """Have every error be said on a page to those who come with a browser, whatever address it was at."""
    for kind in (CoordinatorError, HTTPException, RequestValidationError, Exception):
        said = cast("Say", app.exception_handlers[kind])
        app.add_exception_handler(kind, _by_who_asks(broken if kind is Exception else sorry, said))
    app.state.refusal_page = _refusal


def _by_who_asks(on_page: Say, in_json: Say) -> Say:
    async def say(request: Request, error: Exception) -> Response:
        return await (on_page if wants_page(request.scope) else in_json)(request, error)

    return say


async def sorry(request: Request, error: Exception) -> Response:
    """Return a page that says what was wrong; whoever has not signed in is asked to, where that helps."""
    can_sign_in = desk_of(request).sign_in is not None and request.url.path not in _SIGNING_IN
    if can_sign_in and accepts(request.scope, PAGE) and not known(request):
        if request.method not in _SAFE and isinstance(error, Unauthorized | NotFound):
            return _signed_out(request)
        if isinstance(error, Unauthorized):
            return go(f"/login?{urlencode({'next': request.url.path})}")
    status, sentence = _said(error)
    answer = pages_of(request).answer(request, _page(sentence, status))
    answer.headers.update(getattr(error, "headers", None) or {})
    return answer


async def broken(request: Request, error: Exception) -> Response:
    """Return a page that says that we made a mistake, which is logged whole."""
    log.error("page_broke", method=request.method, path=request.url.path, exc_info=error)
    return _refusal(request, "Something broke here. It is in the coordinator's log, and it is not your fault.", _BROKEN)


def _said(error: Exception) -> tuple[int, str]:
    """Return the status of an error, and what it says to a person."""
    if isinstance(error, RequestValidationError):
        wrong = sentences(error.errors(), inside=1)
        return 400, " ".join(f"{name}: {' '.join(said)}" for name, said in wrong.items())
    if isinstance(error, HTTPException):
        known = {
            _NOT_FOUND: "There is no page at this address.",
            405: "This address does not take what was sent to it.",
        }
        return error.status_code, known.get(error.status_code, error.detail)
    if isinstance(error, Forbidden) and not isinstance(error, Unauthorized):
        return _FORBIDDEN, "Your role does not include this. The page Profile tells what it does."
    status = status_of(error) or _BROKEN
    return status, "There is no page at this address." if status == _NOT_FOUND and not str(error) else str(error)


def _page(sentence: str, status: int, **values: object) -> Page:
    values = {"sentence": sentence, "to_do": _TO_DO.get(status, ""), **values}
    return Page("sorry.html", _TITLES.get(status, "That did not work"), values, status=status)


def _refusal(request: Request, sentence: str, status: int) -> Response:
    """Return a page for a request that did not come as far as a page of ours, and leave the browser's cookies alone."""
    unknown = ANONYMOUS if desk_of(request).identified else LOCAL
    state = {"caller": unknown, "unproven": None, "proof": "", **request.scope.get("state", {})}
    asked = Request({**request.scope, "state": state})
    page = _page(sentence, status, **({"to_do": _FROM_ELSEWHERE} if status == _FORBIDDEN else {}), themes=())
    return HTMLResponse(pages_of(request).whole(asked, page), status, HEADERS)


def _signed_out(request: Request) -> Response:
    """Return a page for somebody whose session ended while they wrote, with all that they wrote."""
    written = {name: given for name, given in getattr(request.state, "sent", {}).items() if name != FIELD}
    values = {"written": written, "again": request.url.path}
    return pages_of(request).answer(request, Page("signed_out.html", "You were signed out", values, status=_FORBIDDEN))
