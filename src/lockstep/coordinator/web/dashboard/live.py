"""Keeps an open page up to date: a stream of those of its blocks that have changed, as server-sent events.

`part` carries a block's name and its HTML, first for every live block and then for each that differs from what was
sent last. `beat` shows that the connection lives, and carries the version of the pages, so that a page from before an
upgrade can load itself anew. `again` asks the page to connect anew, as who its reader is by then. What changed is not
in the announcement: the page is built again and compared. The page of a release listens to that release only, every
other page to everything.
"""

import asyncio
import re
import time
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
from lockstep.coordinator.web.dashboard.page import HEADERS, Build, Page, pages_of
from lockstep.coordinator.web.dashboard.routing import STREAM, accepts
from lockstep.coordinator.web.desk import desk_of

SHORTEST_PAUSE_S: Final = 0.25
LONGEST_PAUSE_S: Final = 2.0
COSTS_MORE: Final = 4.0
"""Between two looks at a page: so many times what the last one took, within these bounds."""

LIFE_S: Final = 600.0
"""How long a stream lives before the page asks for another: by then its reader may have lost their session or role."""

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
    spent_s, until = 0.0, time.monotonic() + LIFE_S
    try:
        looks = changes(
            desk.feed,
            request.path_params.get("release_id"),
            closing=desk.closing,
            beat_s=desk.heartbeat_s,
            pause_s=lambda: min(LONGEST_PAUSE_S, max(SHORTEST_PAUSE_S, COSTS_MORE * spent_s)),
        )
        async with aclosing(looks):
            async for _ in looks:
                began = time.monotonic()
                for name, html in await _parts(request, await build(request)):
                    seen = _RELATIVE.sub(r"\1", html)
                    if sent.get(name) != seen:
                        sent[name] = seen
                        yield _message("part", {"name": name, "html": html})
                spent_s = time.monotonic() - began
                if began > until:
                    yield _message("again", pages.version)
                    return
                yield _message("beat", pages.version)
    except CoordinatorError:
        return


async def _parts(request: Request, page: Page) -> list[tuple[str, str]]:
    """Render the live blocks of a page, in turn with all other open pages.

    Rendering keeps the process busy. After each page the next one waits for twice as long as it took, so that any
    number of open pages leaves two thirds of the time to the releases and to visits.
    """
    pages = pages_of(request)
    async with pages.turn:
        began = time.perf_counter()
        parts: list[tuple[str, str]] = [(name, pages.block(request, page, name)) for name in page.live]
        await asyncio.sleep(2 * (time.perf_counter() - began))
    return parts


def _message(kind: str, data: object) -> str:
    return f"event: {kind}\ndata: {to_json(data)}\n\n"
