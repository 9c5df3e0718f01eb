"""The dashboard, put together: its addresses, its errors as pages, and its place in the application."""

from collections.abc import Awaitable, Callable
from typing import Final, cast
from urllib.parse import urlencode

import structlog
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from lockstep.coordinator.core.errors import CoordinatorError, Forbidden, NotFound, Unauthorized
from lockstep.coordinator.web.dashboard.live import showing
from lockstep.coordinator.web.dashboard.page import ASSETS, Page, Pages, go, pages_of
from lockstep.coordinator.web.dashboard.pages import (
    about,
    deciding,
    events,
    home,
    plan,
    published,
    release,
    releases,
    services,
    studies,
    writing,
)
from lockstep.coordinator.web.dashboard.routing import PAGE, ForBrowsers, accepts
from lockstep.coordinator.web.dashboard.watches import Watches
from lockstep.coordinator.web.desk import Desk
from lockstep.coordinator.web.errors import status_of

log = structlog.get_logger("lockstep.dashboard")

_SIGNING_IN: Final = ("/login", "/callback", "/logout")
_NOT_FOUND: Final = 404
_YEAR_S: Final = 365 * 24 * 3600

_RELEASE: Final = "/releases/{release_id}"
_SERVICE: Final = "/services/{service_id}"

_ROUTES: Final[tuple[BaseRoute, ...]] = (
    Route("/", showing(home.home)),
    Route("/plan", showing(plan.show)),
    Route("/plan", plan.start, methods=["POST"]),
    Route("/releases", showing(releases.show)),
    Route(_RELEASE, showing(release.show)),
    Route(f"{_RELEASE}/publish", showing(deciding.ask_to_publish)),
    Route(f"{_RELEASE}/publish", deciding.publish, methods=["POST"]),
    Route(f"{_RELEASE}/cancel", showing(deciding.ask_to_cancel)),
    Route(f"{_RELEASE}/cancel", deciding.cancel, methods=["POST"]),
    Route(f"{_RELEASE}/edit", showing(writing.edit_release)),
    Route(f"{_RELEASE}/edit", writing.save_release, methods=["POST"]),
    Route(f"{_RELEASE}/notes", writing.create_note, methods=["POST"]),
    Route(f"{_RELEASE}/notes/{{note_id}}", showing(writing.edit_note)),
    Route(f"{_RELEASE}/notes/{{note_id}}", writing.save_note, methods=["POST"]),
    Route("/studies", showing(studies.show_all)),
    Route("/studies/sync", studies.sync, methods=["POST"]),
    Route("/studies/{study_id}", showing(studies.show)),
    Route("/services", showing(services.show_all)),
    Route("/services/check", services.check_all, methods=["POST"]),
    Route("/services/new", showing(services.new)),
    Route("/services/new", services.register, methods=["POST"]),
    Route(_SERVICE, showing(services.show)),
    Route(f"{_SERVICE}/edit", showing(services.edit)),
    Route(f"{_SERVICE}/edit", services.save, methods=["POST"]),
    Route(f"{_SERVICE}/enabled", services.switch, methods=["POST"]),
    Route("/events", showing(events.show)),
    Route("/release-notes", showing(published.show_notes)),
    Route("/about", showing(about.show, for_all=True)),
    Route("/profile", showing(about.profile)),
    Route("/preview", about.preview, methods=["POST"]),
    Route("/public", showing(published.show_public, for_all=True)),
    Route("/public/{release_id}", showing(published.show_public, for_all=True)),
)


class _Assets(StaticFiles):
    """The assets as they are now, under an address that changes with them; browsers may keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path.partition("/")[2], scope)
        response.headers["Cache-Control"] = f"public, max-age={_YEAR_S}, immutable"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def add(app: FastAPI, desk: Desk) -> None:
    """Put the dashboard before the operations that are already there or will be added."""
    app.state.pages = Pages(desk.commands.clock.now, environment=desk.environment, identified=desk.identified)
    app.state.watches = Watches()
    app.router.routes.append(Mount("/assets", _Assets(directory=str(ASSETS)), name="assets"))
    app.router.routes.append(ForBrowsers(_make(app)))
    _say_on_pages(app)


def _say_on_pages(app: FastAPI) -> None:
    """Have errors of signing in, which the browser is on its way through, said on a page."""
    said = cast("Callable[[Request, Exception], Awaitable[Response]]", app.exception_handlers[CoordinatorError])

    async def sorry(request: Request, error: Exception) -> Response:
        if request.url.path in _SIGNING_IN and accepts(request.scope, PAGE):
            return await _apologise(request, error)
        return await said(request, error)

    app.add_exception_handler(CoordinatorError, sorry)


def add_last(app: FastAPI) -> None:
    """Have the dashboard answer requests for pages that nobody else has."""
    app.router.routes.append(ForBrowsers(_make(app), everything=True))


def _make(app: FastAPI) -> Starlette:
    handlers = {CoordinatorError: _sorry, HTTPException: _sorry, Exception: _broken}
    dashboard = Starlette(routes=_ROUTES, exception_handlers=cast("dict[object, object]", handlers))  # type: ignore[arg-type]
    dashboard.state = app.state
    dashboard.router.redirect_slashes = False
    return dashboard


async def _sorry(request: Request, error: Exception) -> Response:
    """Return a page that says what was wrong; whoever has not signed in is asked to, where that helps."""
    if isinstance(error, Unauthorized) and accepts(request.scope, PAGE):
        come_back = request.url.path if request.method == "GET" else "/"
        return go(f"/login?{urlencode({'next': come_back})}")
    return await _apologise(request, error)


async def _apologise(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        status, sentence = error.status_code, error.detail
    else:
        status, sentence = status_of(cast("CoordinatorError", error)) or 500, str(error)
    if isinstance(error, Forbidden):
        sentence = "Your role does not include this. The page Profile tells what it does."
    if status == _NOT_FOUND:
        sentence = sentence if isinstance(error, NotFound) else "There is no page at this address."
    return pages_of(request).answer(
        request, Page("sorry.html", _TITLES.get(status, "That did not work"), {"sentence": sentence}, status=status)
    )


async def _broken(request: Request, error: Exception) -> Response:
    log.error("page_broke", method=request.method, path=request.url.path, exc_info=error)
    sentence = "Something broke here. It is in the coordinator's log, and it is not your fault."
    return pages_of(request).answer(request, Page("sorry.html", "Something broke", {"sentence": sentence}, status=500))


_TITLES: Final = {
    403: "That is not allowed",
    404: "Not found",
    409: "That does not fit the state things are in",
    503: "Something does not answer",
}
