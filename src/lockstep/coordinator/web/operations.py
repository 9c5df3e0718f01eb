"""An operation of the REST face: where it is, who answers, and every answer that it can give.

Routes and the OpenAPI document are both made from the tables of operations, so that neither can have what the other
has not. A refusal that every operation of a kind can give (a bad `Host`, a database that does not answer) is added
here once.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lockstep.coordinator.services.access import Act
from lockstep.coordinator.services.inputs import Input
from lockstep.coordinator.web.bodies import JSON, MEDIA_TYPES
from lockstep.coordinator.web.callers import caller_of
from lockstep.coordinator.web.conditional import IF_MATCH, IF_NONE_MATCH
from lockstep.coordinator.web.desk import desk_of
from lockstep.coordinator.web.rest.shapes import DetailShape, FieldErrorsShape

_SAID: Final[Mapping[int, str]] = {
    400: "The request is wrong in itself; a sentence for each field.",
    403: "The caller may not do this, or a web page of another origin may not.",
    404: "There is no such thing.",
    409: "It does not fit the state that things are in; nothing was changed.",
    412: "It is no longer as the caller saw it (`If-Match`); nothing was changed.",
    413: "The body is too long.",
    415: "A body of this type is not read.",
    422: "The `Idempotency-Key` was sent with another request before.",
    429: "The caller has changed too much too quickly; `Retry-After` says when to ask again, in seconds.",
    503: "The database, or a service that was needed, did not answer; nothing was changed.",
}


_SUPPOSED: Final = "Validation Error"
_BEARER: Final = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "A token of the deployment's issuer, where it has one (`LOCKSTEP_AUTH=oidc`), or the "
    "`callback_token` of a task. What is public needs none.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    Attributes:
        act: what it is, for the table of who may do what; None for what anybody may.
        call: the handler. Its name is the operation's id, and its docstring the description.
        status: the status when all goes well.
        shape: what is answered then; None for nothing.
        also: refusals beyond those that every such operation has.
        body: what the body says, for operations that have one.
        answers: other answers of its own, as OpenAPI has them.
        conditional: it shows one thing under a tag, or changes one that has a tag; see `web/conditional.py`.
        headers: other headers that it reads, as OpenAPI has them.
    """

    method: str
    path: str
    act: Act | None
    call: Callable[..., Awaitable[Response]]
    status: int = 200
    shape: Any = None
    also: tuple[int, ...] = ()
    body: type[Input] | None = None
    answers: Mapping[int, Mapping[str, Any]] | None = None
    conditional: bool = False
    headers: tuple[Mapping[str, Any], ...] = ()


def add(app: FastAPI, operations: Iterable[Operation]) -> None:
    """Add the routes of some operations to an application, without what only the document needs: it takes long.

    What can be got can be asked for without its body, by HEAD; the server leaves the body out.
    """
    for operation in operations:
        app.add_api_route(
            operation.path,
            operation.call,
            methods=["GET", "HEAD"] if operation.method == "GET" else [operation.method],
            response_model=None,
            dependencies=[] if operation.act is None else [Depends(_gate(operation.act))],
        )


def _gate(act: Act) -> Callable[[Request], Awaitable[None]]:
    """Return what turns callers away who may not do something to anything, before their request is read."""

    async def gate(request: Request) -> None:
        desk_of(request).access.check_ever(caller_of(request), act)

    return gate


def document(about: FastAPI, operations: Iterable[Operation]) -> dict[str, Any]:
    """Return the OpenAPI document of some operations, with the title and the texts of an application.

    The answer that FastAPI supposes for wrong parameters is taken out: ours is 400.
    """
    app = FastAPI(
        title=about.title, version=about.version, description=about.description, license_info=about.license_info
    )
    for operation in operations:
        app.add_api_route(
            operation.path,
            operation.call,
            methods=[operation.method],
            status_code=operation.status,
            response_class=Response if operation.shape is None else JSONResponse,
            responses=_responses(operation),
            operation_id=operation.call.__name__,
            openapi_extra=_extra(operation),
        )
    spec = app.openapi()
    for path in spec["paths"].values():
        for operation in path.values():
            if operation["responses"].get("422", {}).get("description") == _SUPPOSED:
                del operation["responses"]["422"]
    for unused in ("HTTPValidationError", "ValidationError"):
        spec.get("components", {}).get("schemas", {}).pop(unused, None)
    spec.setdefault("components", {})["securitySchemes"] = {"bearer": _BEARER}
    spec["security"] = [{}, {"bearer": []}]
    return spec


def _responses(operation: Operation) -> dict[int | str, dict[str, Any]]:
    refusals = {400, 503, *operation.also}
    responses: dict[int | str, dict[str, Any]] = {operation.status: {"description": "Done."}}
    if operation.conditional and operation.method == "GET":
        responses[304] = {"description": "The caller has it already (`If-None-Match`)."}
    elif operation.conditional:
        refusals.add(412)
    if operation.method != "GET" or operation.act not in {None, Act.SEE_PUBLISHED}:
        refusals.add(403)
    if operation.method != "GET":
        refusals.add(429)
    if operation.body is not None:
        refusals |= {413, 415}
    if operation.shape is not None:
        responses[operation.status] = {"model": operation.shape, "description": "Done."}
    for status in sorted(refusals):
        shape = DetailShape | FieldErrorsShape if status == 400 else DetailShape  # noqa: PLR2004
        responses[status] = {"model": shape, "description": _SAID[status]}
    for status, answer in (operation.answers or {}).items():
        responses[status] = {**responses.get(status, {}), **answer}
    return responses


def _extra(operation: Operation) -> dict[str, Any]:
    """Return what FastAPI cannot find in the handler: the body that it reads itself, and the headers."""
    body = _request_body(operation.body) if operation.body else {}
    headers = list(operation.headers)
    if operation.conditional:
        headers.append(IF_NONE_MATCH if operation.method == "GET" else IF_MATCH)
    return {**body, "parameters": headers} if headers else body


def _request_body(model: type[Input]) -> dict[str, Any]:
    schema = model.model_json_schema()
    content = {kind: {"schema": schema if kind == JSON else _without_null(schema)} for kind in MEDIA_TYPES}
    return {"requestBody": {"required": bool(schema.get("required")), "content": content}}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a form, in which nothing can be null."""
    properties = {
        name: {**field, "anyOf": [choice for choice in field["anyOf"] if choice.get("type") != "null"]}
        if "anyOf" in field
        else field
        for name, field in schema["properties"].items()
    }
    return {**schema, "properties": properties}
