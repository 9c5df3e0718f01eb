"""The table of errors: which HTTP status each kind becomes, and how it is said.

A field that is wrong is answered with `{field: [sentence]}`, everything else with `{"detail": sentence}`. Whatever is
not in the table is a mistake of ours: it is logged whole, and its text is not shown to the caller.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route

from lockstep.coordinator.core.errors import (
    Changed,
    Conflict,
    CoordinatorError,
    Forbidden,
    Invalid,
    KeyReused,
    NotFound,
    Unavailable,
)
from lockstep.coordinator.services.sentences import sentences
from lockstep.coordinator.web.answers import BadHost, JsonAnswer
from lockstep.coordinator.web.bodies import BadBody, BodyTooLong, UnknownMediaType

log = structlog.get_logger("lockstep.web")

STATUSES: Final[Mapping[type[CoordinatorError], int]] = {
    BadHost: 400,
    BadBody: 400,
    Invalid: 400,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Changed: 412,
    BodyTooLong: 413,
    UnknownMediaType: 415,
    KeyReused: 422,
    Unavailable: 503,
}

_NOT_FOUND: Final = 404
_METHOD_NOT_ALLOWED: Final = 405


def install(app: FastAPI) -> None:
    """Have an application answer errors by the table."""
    app.add_exception_handler(CoordinatorError, _coordinator_error)
    app.add_exception_handler(RequestValidationError, _bad_query)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _our_mistake)


def status_of(error: Exception) -> int | None:
    """Return the status that an error becomes; None for one that is a mistake of ours."""
    return next((status for kind, status in STATUSES.items() if isinstance(error, kind)), None)


async def _coordinator_error(request: Request, error: Exception) -> JsonAnswer:
    status = status_of(error)
    if status is None:
        return await _our_mistake(request, error)
    if isinstance(error, Invalid):
        return JsonAnswer(_nested(error.fields), status)
    return detail("Not found." if status == _NOT_FOUND else str(error), status)


async def _bad_query(_: Request, error: Exception) -> JsonAnswer:
    raised = error.errors() if isinstance(error, RequestValidationError) else []
    return JsonAnswer(sentences(raised, inside=1), 400)


async def _http_error(request: Request, error: Exception) -> JsonAnswer:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == _NOT_FOUND:
        return detail("Not found.", status)
    if status == _METHOD_NOT_ALLOWED:
        allowed = ", ".join(sorted(_methods(request)))
        return detail(f'Method "{request.method}" not allowed.', status, {"Allow": allowed})
    return detail(str(getattr(error, "detail", error)), status)


async def _our_mistake(request: Request, error: Exception) -> JsonAnswer:
    log.error("request_broke", method=request.method, path=request.url.path, exc_info=error)
    return detail("Something broke here. It is in the coordinator's log, and is not the fault of the request.", 500)


def detail(sentence: str, status: int, headers: Mapping[str, str] | None = None) -> JsonAnswer:
    """Return an answer that consists of a sentence."""
    return JsonAnswer({"detail": sentence}, status, headers)


def _methods(request: Request) -> set[str]:
    """Return every method that the request's path has: those of the first route that it matches, and of its likes."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    first = next((route.path for route in routes if route.path_regex.match(request.scope["path"])), None)
    return {method for route in routes if route.path == first for method in route.methods or ()}


def _nested(fields: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return sentences by field, with those of `field.index` under the index, as clients know them."""
    nested: dict[str, Any] = {}
    for path, texts in fields.items():
        name, _, index = path.partition(".")
        if index and isinstance(nested.setdefault(name, {}), dict):
            nested[name][index] = list(texts)
        elif not index:
            nested[name] = list(texts)
    return nested
