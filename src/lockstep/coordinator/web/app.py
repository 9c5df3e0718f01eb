"""The application over HTTP, put together: the operations, the table of errors, and who may call from a browser."""

from collections.abc import Collection
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from itertools import chain
from typing import Any, Final, cast

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lockstep import __version__
from lockstep.coordinator.ports import Store
from lockstep.coordinator.services.discretion import DiscreetStore
from lockstep.coordinator.web import errors, operations, sign_in
from lockstep.coordinator.web.callers import RecognizeCallers
from lockstep.coordinator.web.dashboard import dashboard
from lockstep.coordinator.web.desk import Desk
from lockstep.coordinator.web.every_request import REQUEST_ID, EveryRequest
from lockstep.coordinator.web.graphql import endpoint
from lockstep.coordinator.web.origins import SameOriginWrites
from lockstep.coordinator.web.own_names import OwnNames
from lockstep.coordinator.web.rate_limit import RateLimit
from lockstep.coordinator.web.rest import (
    events,
    older,
    probes,
    public,
    release_notes,
    releases,
    root,
    stream,
    studies,
    task_services,
    tasks,
    webhooks,
)

_COLLECTIONS: Final = (releases, stream, tasks, task_services, release_notes, studies, events, webhooks, older)

OPERATIONS: Final = tuple(chain.from_iterable(module.OPERATIONS for module in (public, root, probes, *_COLLECTIONS)))
"""Every operation of the REST face. What is public comes first: its addresses look like those of single releases."""

_DESCRIPTION: Final = (
    "Brings the services of a scientific data commons in step: every release is staged, reviewed and published "
    "on all of them together."
)

_OLDER_DOCUMENTS: Final = ("/swagger.json", "/swagger.yaml", "/swagger", "/swagger/", "/redoc", "/redoc/")

_PREFLIGHT_S: Final = 3600
"""How long a browser remembers what a page of another origin may do; a dashboard asks every few seconds."""


class Application(FastAPI):
    """An application that lets every request pass through one middleware outside of what answers our own mistakes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        outermost: ASGIApp = self.state.outermost
        await outermost(scope, receive, send)


def make_app(
    desk: Desk, *, cors_origins: Collection[str] = (), write_rate: float = 0, only_name: str | None = None
) -> FastAPI:
    """Make the application.

    Args:
        desk: what it works with.
        cors_origins: origins whose web pages may use it, such as `https://portal.example.org`; `*` for all.
        write_rate: requests per second in which one caller may change something; 0 for any number.
        only_name: the name by which the machine is called, beside its addresses and `localhost`; None for any name.
    """
    desk = replace(desk, store=cast("Store", DiscreetStore(desk.store)))
    app = Application(
        title="Lockstep",
        version=__version__,
        description=_DESCRIPTION,
        license_info={"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=[
            *([] if only_name is None else [Middleware(OwnNames, name=only_name)]),
            *_middleware(cors_origins),
            Middleware(RecognizeCallers, recognition=desk.recognition),
            Middleware(RateLimit, rate=write_rate, metrics=desk.metrics),
        ],
    )
    app.state.desk = desk
    app.state.outermost = EveryRequest(super(Application, app).__call__, desk.metrics, desk.spans)
    errors.install(app)
    operations.add(app, public.OPERATIONS)
    if desk.recognition is not None and desk.sign_in is not None:
        sign_in.add(app, desk.recognition, desk.sign_in)
    dashboard.add(app, desk)
    operations.add(app, OPERATIONS[len(public.OPERATIONS) :])
    endpoint.add(app)
    app.router.routes.extend(Route(path, _moved) for path in _OLDER_DOCUMENTS)
    dashboard.add_last(app)
    app.openapi = partial(_document, app)  # type: ignore[method-assign] # FastAPI's own way to change the document
    return app


async def _moved(_: Request) -> Response:
    """Say where the document of the API is, which the coordinators of the field have at other addresses."""
    return RedirectResponse("/openapi.json", HTTPStatus.PERMANENT_REDIRECT)


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
        allow_headers=[
            "Authorization",
            "Content-Type",
            "Idempotency-Key",
            "If-Match",
            "If-None-Match",
            "Last-Event-ID",
            "X-CSRFToken",
        ],
        expose_headers=["ETag", "Location", "Retry-After", REQUEST_ID],
        allow_credentials="*" not in cors_origins,  # dashboards in the field ask with them
        max_age=_PREFLIGHT_S,
    )
    return [cors, same_origin]
