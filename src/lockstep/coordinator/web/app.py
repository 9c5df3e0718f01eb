"""The application over HTTP, put together: the operations, the table of errors, and who may call from a browser."""

from collections.abc import Collection
from functools import partial
from itertools import chain
from typing import Any, Final

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from lockstep import __version__
from lockstep.coordinator.web import errors, operations
from lockstep.coordinator.web.callers import RecognizeCallers
from lockstep.coordinator.web.dashboard import dashboard
from lockstep.coordinator.web.desk import Desk
from lockstep.coordinator.web.graphql import endpoint
from lockstep.coordinator.web.origins import SameOriginWrites
from lockstep.coordinator.web.rest import events, releases, root, stream, studies, task_services, tasks, webhooks

OPERATIONS: Final = tuple(
    chain.from_iterable(
        module.OPERATIONS
        for module in (root, releases, stream, tasks, task_services, studies, events, webhooks)
    )
)
"""Every operation of the REST face."""

_DESCRIPTION: Final = (
    "Brings the services of a scientific data commons in step: every release is staged, reviewed and published "
    "on all of them together."
)


def make_app(desk: Desk, *, cors_origins: Collection[str] = ()) -> FastAPI:
    """Make the application.

    Args:
        desk: what it works with.
        cors_origins: origins whose web pages may use it, such as `https://portal.example.org`; `*` for all.
    """
    app = FastAPI(
        title="Lockstep",
        version=__version__,
        description=_DESCRIPTION,
        license_info={"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=[*_middleware(cors_origins), Middleware(RecognizeCallers, recognition=desk.recognition)],
    )
    app.state.desk = desk
    errors.install(app)
    dashboard.add(app, desk)
    operations.add(app, OPERATIONS)
    endpoint.add(app)
    dashboard.add_last(app)
    app.openapi = partial(_document, app)  # type: ignore[method-assign] # FastAPI's own way to change the document
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        app.openapi_schema = operations.document(app, OPERATIONS)
    return app.openapi_schema


def _middleware(cors_origins: Collection[str]) -> list[Middleware]:
    same_origin = Middleware(SameOriginWrites, allowed=tuple(cors_origins))
    if not cors_origins:
        return [same_origin]
    cors = Middleware(
        CORSMiddleware,
        allow_origins=list(cors_origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Last-Event-ID", "X-CSRFToken"],
        expose_headers=["Location"],
    )
    return [cors, same_origin]
