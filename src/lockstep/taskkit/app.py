"""The two addresses of a task service, and its errors: HTTP outside, requests and tasks inside.

`GET /status` says who is here, `POST /tasks` takes the five actions. Whatever is wrong with a request is answered by
a JSON object whose `message` is a sentence: 400 for a body that is no request, 413 for one that is too big, 404 and
405 as usual, and 503 with `Retry-After` while the tasks cannot be stored, which asks a coordinator to come back. Who is
obeyed at all is asked first (`guard`).

Ids of tasks, releases and studies are letters, digits, `_` and `-`. Every service that follows the protocol sends
such ids, and the functions of a service can then use them as names of files, tables and keys without a thought.
"""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from lockstep.protocol.errors import BadMessage
from lockstep.protocol.messages import Action
from lockstep.protocol.messages import Request as Message
from lockstep.protocol.wire import request_from_json
from lockstep.taskkit.desk import Desk
from lockstep.taskkit.error_answers import error_answers
from lockstep.taskkit.store import StoredTask
from lockstep.taskkit.table import Refused, admitted, answer

BODY_LIMIT: Final = 1_000_000
"""Bytes of a request's body; two thousand studies with their addresses take a fifth of it."""

_DRAIN_LIMIT: Final = 16 * BODY_LIMIT
_NOTHING_HERE: Final = "there is nothing at this address; a task service has GET /status and POST /tasks"
_SAFE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")


class Host(Protocol):
    """What the addresses need to know of the service that they belong to."""

    name: str
    version: str
    message: str
    desk: Desk

    async def admit(self, headers: Mapping[str, str]) -> None:
        """Let a request for a task pass if whoever sends it is obeyed here; the error is an answer otherwise."""

    async def start(self) -> None:
        """Begin, unless begun."""

    def lifespan(self, app: Starlette) -> AbstractAsyncContextManager[None]:
        """Begin and end with the server."""


def make_app(host: Host, routes: Sequence[BaseRoute], middleware: Sequence[Middleware]) -> Starlette:
    """Make the ASGI application of a service; `routes` are added to its own two."""

    async def status(_request: Request) -> JSONResponse:
        await host.start()
        return JSONResponse({"name": host.name, "message": host.message, "version": host.version})

    async def tasks(request: Request) -> JSONResponse:
        await host.admit(request.headers)
        await host.start()
        message = _message(await _body(request))
        if message.action is Action.GET_STATUS:
            seen = host.desk.glance(message.task_id) or await asyncio.to_thread(host.desk.look, message.task_id)
            task = answer(message, admitted(message, seen))
            if task is seen:
                return JSONResponse(_task_to_json(task, host.name))
        task = await asyncio.to_thread(host.desk.act, message)
        return JSONResponse(_task_to_json(task, host.name))

    app = Starlette(
        routes=[Route("/status", status), Route("/tasks", tasks, methods=["POST"]), *routes],
        middleware=middleware,
        lifespan=host.lifespan,
        exception_handlers={
            **error_answers(_NOTHING_HERE, {BadMessage: 400, ClientDisconnect: 400}),
            Refused: _refused,
            Exception: _unforeseen,
        },
    )
    app.router.redirect_slashes = False
    return app


async def _body(request: Request) -> bytes:
    """Return the body; one that is too big is read to its end, within reason, so that its sender sees the answer."""
    body, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= BODY_LIMIT:
            body += chunk
        elif size > _DRAIN_LIMIT:
            break
    if size > BODY_LIMIT:
        raise HTTPException(413, f"the body is too big; a request has at most {BODY_LIMIT} bytes")
    return bytes(body)


def _message(body: bytes) -> Message:
    """Return the request that a body holds.

    Raises:
        BadMessage: it holds none.
    """
    try:
        decoded = json.loads(body)
    except (ValueError, RecursionError):
        raise BadMessage("the body is not JSON; an object with action, task_id and release_id would be right") from None
    message = request_from_json(decoded)
    for name in (message.task_id, message.release_id, *message.studies):
        if not _SAFE_ID.fullmatch(name):
            raise BadMessage(f"{ascii(name)[:60]} is not an id; ids are up to 100 letters, digits, _ and -")
    for url in message.urls:
        if not url or not url.isprintable():
            raise BadMessage(f"urls must hold addresses, not {ascii(url)[:60]}")
    return message


def _task_to_json(task: StoredTask, name: str) -> dict[str, Any]:
    shown = {
        "task_id": task.task_id,
        "release_id": task.release_id,
        "kf_id": task.task_id,
        "name": name,
        "state": task.state.value,
        "progress": task.progress,
    }
    epoch = {} if task.epoch is None else {"epoch": task.epoch}
    return {**shown, **task.findings(), **epoch}


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    refused = cast("Refused", error)
    epoch = {} if refused.epoch is None else {"epoch": refused.epoch}
    return JSONResponse({"message": str(error), **epoch}, refused.status)


async def _unforeseen(_request: Request, _error: Exception) -> JSONResponse:
    return JSONResponse({"message": "the service made a mistake; its log says more"}, 500)
