"""Many people before the same page: it is looked at once for all of them, and each is sent what is theirs."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from lockstep.coordinator.core.draft import Draft
from lockstep.coordinator.web.dashboard.tokens import STAND_IN
from lockstep.coordinator.web.dashboard.watches import Part
from lockstep.protocol.messages import Action
from lockstep.protocol.states import ReleaseState, TaskState
from tests.conftest import Serve
from tests.dashboard.scenery import Past
from tests.faces import STUDIES, coordinator

pytestmark = pytest.mark.timeout(120)

SERVICES, READERS = 200, 10
LOOKS_S = 8.0


class Reader:
    """One open page: its parts as the page's script puts them together, and how much was sent."""

    def __init__(self) -> None:
        self.text: dict[str, list[str]] = {}
        self.sent: list[int] = []
        self._news = asyncio.Condition()

    async def read(self, lines: AsyncIterator[str]) -> None:
        kind = ""
        async for line in lines:
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: ") and kind == "part":
                await self._take(json.loads(line.removeprefix("data: ")), len(line))

    async def _take(self, part: dict[str, Any], size: int) -> None:
        text = part["html"].split("\n") if "html" in part else self.text[part["name"]]
        for at, line in part.get("lines", ()):
            text[at] = line
        async with self._news:
            self.text[part["name"]] = text
            self.sent.append(size)
            self._news.notify_all()

    async def shows(self, name: str, pattern: str) -> re.Match[str]:
        async with asyncio.timeout(30), self._news:
            await self._news.wait_for(lambda: re.search(pattern, "\n".join(self.text.get(name, ()))) is not None)
        found = re.search(pattern, "\n".join(self.text[name]))
        assert found is not None
        return found


@asynccontextmanager
async def _reading(web: httpx.AsyncClient, path: str) -> AsyncIterator[Reader]:
    reader = Reader()
    async with web.stream("GET", path, headers={"Accept": "text/event-stream"}) as answer:
        task = asyncio.create_task(reader.read(answer.aiter_lines()))
        try:
            yield reader
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def test_ten_readers_of_a_large_release_see_a_change_soon_and_are_sent_little(serve: Serve) -> None:
    """Each has what a visit would show, with the token of their own forms; a change of one service is one line."""

    async def go() -> None:
        async with coordinator() as c:
            for number in range(SERVICES):
                await c.service(f"service {number}", url=f"http://s{number}:80")
            past = Past(c.store, ago=timedelta(minutes=30))
            release_id = await past.create("Large", STUDIES[:2])
            await past.release(release_id, ReleaseState.INITIALIZING)
            await past.tasks(release_id, TaskState.PENDING, told=Action.INITIALIZE, apart_s=0.1)
            await past.release(release_id, ReleaseState.RUNNING)
            await past.tasks(release_id, TaskState.RUNNING, told=Action.START, apart_s=0.1)
            app = c.app()
            async with serve(app) as url:
                await _read_together(url, f"/releases/{release_id}", past, release_id, c.feed.announce)
                async with asyncio.timeout(20):
                    while c.feed.watched:  # noqa: ASYNC110 - nobody is told that the last reader has left
                        await asyncio.sleep(0.02)

    asyncio.run(go())


async def _read_together(url: str, path: str, past: Past, release_id: str, announce: Any) -> None:
    webs = [httpx.AsyncClient(base_url=url, timeout=30) for _ in range(READERS)]
    try:
        tokens = [await _token(web, path) for web in webs]
        assert len(set(tokens)) == READERS
        readings = [_reading(web, path) for web in webs]
        readers = [await reading.__aenter__() for reading in readings]
        for reader, token in zip(readers, tokens, strict=True):
            await reader.shows("notes", f'name="token" value="{token}"')
            assert STAND_IN.for_forms not in str(reader.text)
            await reader.shows("log", "Event|event")
        for reader in readers:
            reader.sent.clear()
        began = time.monotonic()
        await past.act(release_id, _one_gets_on)
        await announce(release_id)
        await asyncio.gather(*(reader.shows("lanes", ">service 17<.*41 %") for reader in readers))
        assert time.monotonic() - began < LOOKS_S
        assert max(sum(reader.sent) for reader in readers) < 20_000
        for reading in readings:
            await reading.__aexit__(None, None, None)
    finally:
        for web in webs:
            await web.aclose()


async def _token(web: httpx.AsyncClient, path: str) -> str:
    page = (await web.get(path, headers={"Accept": "text/html"})).text
    found = re.search(r'name="token" value="(\w+)"', page)
    assert found is not None
    return found[1]


def _one_gets_on(draft: Draft) -> None:
    task = next(task for task in draft.tasks.values() if task.service_name == "service 17")
    draft.set_progress(task.kf_id, 41)


def test_a_part_is_sent_by_its_lines_or_whole() -> None:
    """How long ago something was is no change: pages count that on by themselves."""
    old = Part("x", 'a\n<time datetime="1">3 s ago</time>\nc\nd')
    new = Part("x", 'a\n<time datetime="1">9 s ago</time>\nC\nd')
    assert _sent(new.since(old)) == {"name": "x", "lines": [[2, "C"]]}
    assert _sent(new.since(None)) == {"name": "x", "html": 'a\n<time datetime="1">9 s ago</time>\nC\nd'}
    assert _sent(Part("x", "a\nb").since(old)) == {"name": "x", "html": "a\nb"}
    assert _sent(Part("x", "1\n2\n3\nd").since(old)) == {"name": "x", "html": "1\n2\n3\nd"}


def _sent(message: str) -> Any:
    kind, data = message.rstrip("\n").split("\n")
    assert kind == "event: part"
    return json.loads(data.removeprefix("data: "))
