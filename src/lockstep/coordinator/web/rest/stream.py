"""`/releases/{id}/events/stream`: what happens to one release, as server-sent events, until it has ended.

Three kinds of message. `release` carries the release with its tasks, first as it is now and then whenever something
shown has changed. `event` carries an event, and its position in the log as the message's id, so that a watcher who
comes back with `Last-Event-ID` gets what it missed, once. `end` says that the release is settled and that everything
has been told; one who comes back after that is answered 204, at which browsers stop asking.

A release can be in review for weeks. When a watcher signs out meanwhile, the stream ends, too.
"""

import re
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Annotated, Final

from fastapi import Header, Query, Request
from pydantic import BeforeValidator, WithJsonSchema
from starlette.responses import Response, StreamingResponse

from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.services.watching import watch
from lockstep.coordinator.web.answers import base_url, to_json
from lockstep.coordinator.web.callers import is_signed_out
from lockstep.coordinator.web.desk import desk_of, sight_of
from lockstep.coordinator.web.operations import Operation
from lockstep.coordinator.web.rest.shapes import event_shape, release_shape
from lockstep.protocol.states import SETTLED_RELEASES

_FORM: Final = "^[0-9]{0,15}$"


def _position(given: object) -> int | None:
    if not isinstance(given, str) or not re.fullmatch(_FORM, given):
        raise ValueError("This is not the id of a message of this stream; those are whole numbers.")
    return int(given) if given else None


_Position = Annotated[int | None, BeforeValidator(_position), WithJsonSchema({"type": "string", "pattern": _FORM})]


async def stream_release(
    request: Request,
    release_id: str,
    resumed: Annotated[_Position, Header(alias="Last-Event-ID", description="The id of the last event seen.")] = None,
    last_event_id: Annotated[_Position, Query(description="The same, for those who cannot set headers.")] = None,
) -> Response:
    """Watch a release: its state and its tasks as they change, and its events."""
    desk = desk_of(request)
    base = base_url(request)
    view = await desk.store.release(release_id, sight_of(request))
    seen = last_event_id if resumed is None else resumed
    ended = view.release.state in SETTLED_RELEASES
    if seen is not None and ended and not await desk.store.events_after(release_id, seen, 1):
        return Response(status_code=204)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}
    if request.method == "HEAD":
        return Response(media_type="text/event-stream", headers=headers)
    messages = _messages(request, release_id, seen or 0, base)
    return StreamingResponse(messages, media_type="text/event-stream", headers=headers)


async def _messages(request: Request, release_id: str, after: int, base: str) -> AsyncIterator[str]:
    """Yield messages; when the database does not answer, the stream breaks off, and the watcher comes back."""
    desk, sight = desk_of(request), sight_of(request)
    shown, asked_at = "", time.monotonic()
    looks = watch(
        desk.store, desk.feed, release_id, after=after, closing=desk.closing, beat_s=desk.heartbeat_s, sight=sight
    )
    with suppress(Unavailable):
        async with aclosing(looks):
            async for look in looks:
                if time.monotonic() - asked_at >= desk.heartbeat_s:
                    if await is_signed_out(request, desk.recognition):
                        return
                    asked_at = time.monotonic()
                said = ""
                release = to_json(release_shape(look.view, base))
                if not shown:
                    said += _message("release", release)
                for event in look.events:
                    said += _message("event", to_json(event_shape(event, base)), event.position)
                if shown and release != shown:
                    said += _message("release", release)
                if look.ended:
                    said += _message("end", release)
                shown = release
                yield said or ": still here\n\n"


def _message(kind: str, data: str, position: int | None = None) -> str:
    line = "" if position is None else f"id: {position}\n"
    return f"{line}event: {kind}\ndata: {data}\n\n"


_MESSAGE: Final = {
    "type": "object",
    "description": "One message. Its data is a release, an event, or the release at its end, in JSON.",
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9]+$", "description": "The position of an event."},
        "event": {"type": "string", "enum": ["release", "event", "end"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["event", "data"],
}

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/releases/{release_id}/events/stream",
        act=Act.SEE_PUBLISHED,
        call=stream_release,
        also=(404,),
        answers={
            200: {
                "description": "Messages `release`, `event` and `end`, until the release has ended.",
                "content": {"text/event-stream": {"schema": _MESSAGE}},
            },
            204: {"description": "The release has ended, and there is nothing after the last event seen."},
        },
    ),
)
