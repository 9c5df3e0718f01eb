"""Keeps an open page up to date: a stream of those of its blocks that have changed, as server-sent events.

`part` carries a block's name and its HTML, first for every live block and then for each that differs from what was
sent last: the lines that changed where they are few, otherwise all of it. `beat` shows that the connection lives, and
carries the version of the pages, so that a page from before an upgrade can load itself anew. `again` asks the page to
connect anew, as who its reader is by then. What changed is not in the announcement: the page is built again and
compared, once for all who see the same of it. The page of a release listens to that release only, every other page to
everything.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lockstep.coordinator.core.errors import Unauthorized
from lockstep.coordinator.services.access import NOT_SIGNED_IN
from lockstep.coordinator.web.answers import to_json
from lockstep.coordinator.web.dashboard.asking import known
from lockstep.coordinator.web.dashboard.page import HEADERS, Build, pages_of
from lockstep.coordinator.web.dashboard.routing import STREAM, accepts
from lockstep.coordinator.web.dashboard.tokens import STAND_IN, Token
from lockstep.coordinator.web.dashboard.watches import Part, Watches

LIFE_S: Final = 600.0
"""How long a stream lives before the page asks for another: by then its reader may have lost their session or role."""


def showing(build: Build, *, for_all: bool = False) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint that shows a page to a visit, and keeps it up to date while it is open.

    Args:
        build: the page.
        for_all: it is shown to those who have not signed in, too; others are asked to.
    """

    async def show(request: Request) -> Response:
        if not for_all and not known(request):
            raise Unauthorized(NOT_SIGNED_IN)
        if accepts(request.scope, STREAM):
            headers = {**HEADERS, "X-Accel-Buffering": "no"}
            return StreamingResponse(_messages(request, build), media_type=STREAM, headers=headers)
        return pages_of(request).answer(request, await build(request))

    return show


async def _messages(request: Request, build: Build) -> AsyncIterator[str]:
    """Yield messages; when the page cannot be built, the stream breaks off, and the page comes back."""
    watches: Watches = request.app.state.watches
    version, token = pages_of(request).version, Token.of(request).for_forms
    shown: dict[str, Part] = {}
    until = time.monotonic() + LIFE_S
    async with watches.joined(request, build) as watch:
        number = watch.ask()
        while (look := await watch.later(number)) is not None:
            number = look.number
            for name, part in look.parts.items():
                if (before := shown.get(name)) is not part:
                    shown[name] = part
                    yield part.since(before).replace(STAND_IN.for_forms, token)
            if time.monotonic() > until:
                yield _message("again", version)
                return
            yield _message("beat", version)


def _message(kind: str, data: object) -> str:
    return f"event: {kind}\ndata: {to_json(data)}\n\n"
