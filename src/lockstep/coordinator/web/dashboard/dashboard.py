"""The dashboard, put together: its addresses, its errors as pages, and its place in the application."""

from typing import Final, cast

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from lockstep.coordinator.core.errors import CoordinatorError
from lockstep.coordinator.web.dashboard.live import showing
from lockstep.coordinator.web.dashboard.page import ASSETS, Pages
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
from lockstep.coordinator.web.dashboard.routing import ForBrowsers
from lockstep.coordinator.web.dashboard.sorry import broken, say_on_pages, sorry
from lockstep.coordinator.web.dashboard.watches import Watches
from lockstep.coordinator.web.desk import Desk

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
    Route("/theme", about.choose_theme, methods=["POST"]),
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
    say_on_pages(app)


def add_last(app: FastAPI) -> None:
    """Have the dashboard answer requests for pages that nobody else has."""
    app.router.routes.append(ForBrowsers(_make(app), everything=True))


def _make(app: FastAPI) -> Starlette:
    handlers = {CoordinatorError: sorry, HTTPException: sorry, Exception: broken}
    dashboard = Starlette(routes=_ROUTES, exception_handlers=cast("dict[object, object]", handlers))  # type: ignore[arg-type]
    dashboard.state = app.state
    dashboard.router.redirect_slashes = False
    return dashboard
