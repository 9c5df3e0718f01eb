"""Keeps an open page up to date: a stream of those of its blocks that have changed, as server-sent events.

`part` carries a block's name and its HTML, first for every live block and then for each that differs from what was
sent last. `beat` shows that the connection lives, and carries the version of the pages, so that a page from before an
upgrade can load itself anew. What changed is not in the announcement: the page is built again and compared.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lockstep.coordinator.core.errors import CoordinatorError, Unauthorized
from lockstep.coordinator.services.access import NOT_SIGNED_IN
from lockstep.coordinator.services.watching import changes
from lockstep.coordinator.web.answers import to_json
from lockstep.coordinator.web.dashboard.asking import known
from lockstep.coordinator.web.dashboard.page import HEADERS, Build, pages_of
from lockstep.coordinator.web.dashboard.routing import STREAM, accepts
from lockstep.coordinator.web.desk import desk_of

_RELATIVE: Final = re.compile(r"(<time [^>]*>)[^<]*")


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
    desk, pages = desk_of(request), pages_of(request)
    sent: dict[str, str] = {}
    try:
        page = await build(request)
        looks = changes(desk.feed, page.watches, closing=desk.closing, beat_s=desk.heartbeat_s)
        async with aclosing(looks):
            async for _ in looks:
                page = await build(request)
                for name in page.live:
                    html = pages.block(request, page, name)
                    seen = _RELATIVE.sub(r"\1", html)
                    if sent.get(name) != seen:
                        sent[name] = seen
                        yield _message("part", {"name": name, "html": html})
                yield _message("beat", pages.version)
    except CoordinatorError:
        return


def _message(kind: str, data: object) -> str:
    return f"event: {kind}\ndata: {to_json(data)}\n\n"
