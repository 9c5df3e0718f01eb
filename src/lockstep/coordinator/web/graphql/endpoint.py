"""`/graphql` over HTTP: what the clients in the field send, and what they expect to be sent back.

A POST carries JSON, a form, or the bare query; a GET asks and changes nothing. Whatever a query comes to, its mistakes
included, is answered 200 with `data` and `errors`, since clients show nothing of other answers. Other statuses are for
requests that carry no query, or one that may not come this way. Browsers that ask for a page are given the explorer.

Every query is first executed as one that only asks. One that turns out to be a mutation is then counted among what
changes something, and executed as such: dashboards ask by POST, every few seconds, and must not use up what their
reader may change.

The schema stands on a library that takes long to import, and large answers take long to make. Both are done on a thread
of their own, the import when the first request comes, so that the coordinator starts sooner and nobody is held up.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lockstep.coordinator.core.errors import CoordinatorError
from lockstep.coordinator.web.answers import JsonAnswer
from lockstep.coordinator.web.bodies import BadBody, BodyTooLong, read_fields
from lockstep.coordinator.web.callers import caller_of
from lockstep.coordinator.web.desk import desk_of
from lockstep.coordinator.web.errors import STATUSES
from lockstep.coordinator.web.graphql import explorer
from lockstep.coordinator.web.graphql.apart import apart, run_on
from lockstep.coordinator.web.rate_limit import GRAPHQL, TooManyChanges, changes_something

BARE_QUERY: Final = "application/graphql"
QUERY_LIMIT: Final = 50_000
"""Characters of a query, a hundred of which are remembered; the longest that clients send have some thousands."""

_NOT_THIS_WAY: Final = 405


def add(app: Starlette) -> None:
    """Add GraphQL and its explorer to an application."""
    app.router.routes.append(Route(GRAPHQL, _answer, methods=["GET", "POST"], include_in_schema=False))
    app.router.routes.extend(explorer.routes(GRAPHQL))


async def _answer(request: Request) -> Response:
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        return explorer.page(request)
    try:
        fields: Mapping[str, Any] = dict(request.query_params)
        if request.method == "POST":
            fields = {**fields, **await read_fields(request, BARE_QUERY, "query")}
        return await _execute(request, fields)
    except TooManyChanges as error:
        return _refusal(str(error), 429, error.headers)
    except CoordinatorError as error:
        status = next((status for kind, status in STATUSES.items() if isinstance(error, kind)), 400)
        return _refusal(str(error), status)


async def _execute(request: Request, fields: Mapping[str, Any]) -> Response:
    question = {"query": _query(fields), "variables": _variables(fields), "operation": _operation(fields)}
    visit = {"desk": desk_of(request), "caller": caller_of(request), "home": asyncio.get_running_loop()}
    answer, status = await run_on(apart(), _put(visit, **question, may_change=False))
    if status == _NOT_THIS_WAY and request.method == "POST":
        changes_something(request)
        answer, status = await run_on(apart(), _put(visit, **question, may_change=True))
    return _GraphqlAnswer(answer, status, {"Allow": "POST"} if status == _NOT_THIS_WAY else None)


async def _put(visit: Mapping[str, Any], **question: Any) -> tuple[bytes, int]:  # noqa: ANN401 - handed on
    """Put a question; this is where the library is imported, by the first."""
    from lockstep.coordinator.web.graphql.execution import Question, answer  # noqa: PLC0415 - see above
    from lockstep.coordinator.web.graphql.visit import Visit  # noqa: PLC0415

    return await answer(Question(**question), Visit(**visit))


def _query(fields: Mapping[str, Any]) -> str:
    query = fields.get("query")
    if not isinstance(query, str) or not query.strip():
        raise BadBody("Must provide query string.")
    if len(query) > QUERY_LIMIT:
        raise BodyTooLong(f"The query is longer than {QUERY_LIMIT} characters; longer texts go into variables.")
    return query


def _operation(fields: Mapping[str, Any]) -> str | None:
    name = fields.get("operationName")
    if name is not None and not isinstance(name, str):
        raise BadBody("operationName must be a text.")
    return name or None


def _variables(fields: Mapping[str, Any]) -> dict[str, Any]:
    variables = fields.get("variables") or {}
    if isinstance(variables, str):
        try:
            variables = json.loads(variables)
        except (ValueError, RecursionError):
            raise BadBody("Variables are invalid JSON.") from None
    if not isinstance(variables, dict):
        raise BadBody("Variables must be an object, from their names to their values.")
    return variables


class _GraphqlAnswer(JsonAnswer):
    """An answer that only its caller may see, and that may repeat whatever they sent, half of a character included."""

    def __init__(self, content: object, status_code: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(content, status_code, {"Cache-Control": "no-store", **(headers or {})})

    def render(self, content: Any) -> bytes:  # noqa: ANN401 - whatever JSON can say
        """Return the body."""
        return (
            content
            if isinstance(content, bytes)
            else json.dumps(content, check_circular=False, allow_nan=False, separators=(",", ":")).encode()
        )


def _refusal(sentence: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return _GraphqlAnswer({"errors": [{"message": sentence}]}, status, headers)
