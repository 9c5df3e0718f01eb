"""Looks at a page once for all who have it open, and keeps what was seen for them.

Ten people before the same release see the same of it, if they may see the same: one watch builds and renders the page
after a change, and every stream takes from it what its page does not show yet. What differs from reader to reader is
not part of it: the token of their forms stands in as a word that the streams replace, and who they are is not known to
the templates of live blocks. A watch begins with the first reader and ends with the last.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import structlog
from starlette.requests import Request

from lockstep.coordinator.core.callers import Sight
from lockstep.coordinator.core.errors import CoordinatorError
from lockstep.coordinator.services.watching import changes
from lockstep.coordinator.web.answers import to_json
from lockstep.coordinator.web.dashboard.asking import May, may
from lockstep.coordinator.web.dashboard.page import Build, Page, Pages, pages_of
from lockstep.coordinator.web.dashboard.tokens import STAND_IN
from lockstep.coordinator.web.desk import desk_of, sight_of

log = structlog.get_logger("lockstep.dashboard")

SHORTEST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 0.5
"""Between two looks at a page: as long as the last one took, within these bounds."""

AGAIN_S: Final = 0.5
"""When a page is looked at again on which something is still being fetched from elsewhere."""

_RELATIVE: Final = re.compile(r"(<time [^>]*>)[^<]*")
_SENT_WHOLE_FROM: Final = 0.7
"""A part is sent whole when more than this share of its lines has changed."""


class Part:
    """One live block as it was at a look. Two are the same when they differ in nothing but how long ago things were."""

    __slots__ = ("_lines", "_since", "name", "seen")

    def __init__(self, name: str, html: str) -> None:
        self.name = name
        self.seen = _RELATIVE.sub(r"\1", html).split("\n")
        self._lines = html.split("\n")
        self._since: tuple[Part | None, str] | None = None

    def since(self, before: "Part | None") -> str:
        """Return the message that brings a page from what it shows to this: the lines that changed, or all of them."""
        if self._since is None or self._since[0] is not before:
            self._since = (before, f"event: part\ndata: {to_json(self._message(before))}\n\n")
        return self._since[1]

    def _message(self, before: "Part | None") -> dict[str, object]:
        if before is not None and len(before.seen) == len(self.seen):
            pairs = enumerate(zip(before.seen, self.seen, strict=True))
            changed = [(at, self._lines[at]) for at, (was, now) in pairs if was != now]
            if len(changed) < _SENT_WHOLE_FROM * len(self.seen):
                return {"name": self.name, "lines": changed}
        return {"name": self.name, "html": "\n".join(self._lines)}


@dataclass(frozen=True, slots=True)
class Look:
    """What a page's live blocks were at one look; looks are numbered in the order in which they began."""

    number: int = 0
    parts: Mapping[str, Part] = field(default_factory=dict)


class Watch:
    """One page for one kind of reader, looked at after every change for as long as somebody has it open."""

    def __init__(self, request: Request, build: Build) -> None:
        state = {**request.scope["state"], "form_token": STAND_IN}
        self._request = Request({**request.scope, "state": state})
        self._build = build
        self._latest = Look()
        self._begun = 0
        self._spent_s = 0.0
        self._again = False
        self._over = False
        self._asked = asyncio.Event()
        self._turned = asyncio.Condition()
        self.readers = 0
        self.task = asyncio.create_task(self._watch())

    def ask(self) -> int:
        """Have the page looked at soon; return the number that the look will be later than."""
        self._asked.set()
        return self._begun

    async def later(self, number: int) -> Look | None:
        """Return the latest look, once there is one that began after a numbered one; None when there will be none."""
        async with self._turned:
            await self._turned.wait_for(lambda: self._over or self._latest.number > number)
        return self._latest if self._latest.number > number else None

    async def _watch(self) -> None:
        desk = desk_of(self._request)
        looks = changes(
            desk.feed,
            self._request.path_params.get("release_id"),
            closing=desk.closing,
            asked=self._asked,
            beat_s=lambda: AGAIN_S if self._again else desk.heartbeat_s,
            pause_s=lambda: min(LONGEST_PAUSE_S, max(SHORTEST_PAUSE_S, self._spent_s)),
        )
        try:
            async with aclosing(looks):
                async for _ in looks:
                    await self._look()
        except CoordinatorError:
            pass
        except Exception:
            log.exception("page_broke", path=self._request.url.path)
        finally:
            self._over = True
            async with self._turned:
                self._turned.notify_all()

    async def _look(self) -> None:
        """Build the page, and render its live blocks in turn with all other watches.

        Rendering keeps the process busy. After each page the next one waits for twice as long as it took, so that any
        number of open pages leaves two thirds of the time to the releases and to visits.
        """
        self._begun += 1
        number, began = self._begun, time.perf_counter()
        page = await self._build(self._request)
        pages = pages_of(self._request)
        async with pages.turn:
            rendering = time.perf_counter()
            parts = _parts(pages, self._request, page, self._latest.parts)
            async with self._turned:
                self._latest, self._again = Look(number, parts), page.unfinished
                self._turned.notify_all()
            done = time.perf_counter()
            self._spent_s = done - began
            await asyncio.sleep(2 * (done - rendering))


def _parts(pages: Pages, request: Request, page: Page, before: Mapping[str, Part]) -> dict[str, Part]:
    """Render the live blocks of a page; one that is as it was is the same object."""
    found = {}
    for name in page.live:
        part = Part(name, pages.block(request, page, name))
        was = before.get(name)
        found[name] = was if was is not None and was.seen == part.seen else part
    return found


_Key = tuple[str, str, Sight, May]


class Watches:
    """Every watch of an application, by its page and by what its readers see and may do."""

    def __init__(self) -> None:
        self._open: dict[_Key, Watch] = {}

    @asynccontextmanager
    async def joined(self, request: Request, build: Build) -> AsyncIterator[Watch]:
        """Read along with whoever has the same page open, for as long as the context is open."""
        key = (request.url.path, request.url.query, sight_of(request), may(request))
        watch = self._open.get(key)
        if watch is None or watch.task.done():
            watch = self._open[key] = Watch(request, build)
        watch.readers += 1
        try:
            yield watch
        finally:
            watch.readers -= 1
            if not watch.readers:
                watch.task.cancel()
                if self._open.get(key) is watch:
                    del self._open[key]
