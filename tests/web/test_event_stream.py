"""The event stream, over a real connection: in order, without gaps, resumable, and it ends."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from lockstep.protocol.states import ReleaseState
from tests.conftest import Serve
from tests.faces import Coordinator, coordinator
from tests.patience import PATIENCE_S


@dataclass
class Message:
    kind: str
    data: Any
    position: str = ""


async def _lines(answer: httpx.Response) -> AsyncGenerator[str, None]:
    async for line in answer.aiter_lines():
        yield line


async def _messages(answer: httpx.Response) -> AsyncGenerator[Message, None]:
    fields: dict[str, str] = {}
    async for line in _lines(answer):
        if not line and fields:
            yield Message(fields.get("event", ""), json.loads(fields.get("data", "null")), fields.get("id", ""))
            fields = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value


@asynccontextmanager
async def _stream(serve: Serve, c: Coordinator, release_id: str, **options: Any) -> AsyncIterator[httpx.Response]:
    path = f"/releases/{release_id}/events/stream"
    async with (
        asyncio.timeout(PATIENCE_S),
        serve(c.app()) as url,
        httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as web,
        web.stream("GET", path, **options) as answer,
    ):
        yield answer


def test_a_stream_tells_everything_once_and_ends(serve: Serve) -> None:
    async def go() -> None:
        async with coordinator() as c:
            await c.service()
            release_id = (await c.release()).release.kf_id
            told: list[Message] = []
            async with _stream(serve, c, release_id) as answer, aclosing(_messages(answer)) as messages:
                assert answer.headers["content-type"].startswith("text/event-stream")
                async for message in messages:
                    told.append(message)
                    state = message.data["state"] if message.kind == "release" else None
                    if state == "waiting":
                        await c.bring(release_id, ReleaseState.STAGED)
                    elif state == "staged":
                        await c.bring(release_id, ReleaseState.PUBLISHED)
            assert told[0].kind == "release"
            assert [m.data["state"] for m in told if m.kind == "release"] == ["waiting", "staged", "published"]
            assert (told[-1].kind, told[-1].data["state"]) == ("end", "published")
            events = await c.store.events_after(release_id, 0, 1000)
            assert [(m.position, m.data["kf_id"]) for m in told if m.kind == "event"] == [
                (str(event.position), event.kf_id) for event in events
            ]
            assert {m.position for m in told if m.kind != "event"} == {""}

    asyncio.run(go())


@pytest.mark.parametrize("how", ["headers", "params"])
def test_a_stream_resumes_after_the_last_event(serve: Serve, how: str) -> None:
    async def go() -> None:
        async with coordinator() as c:
            release_id = (await c.release()).release.kf_id
            await c.bring(release_id, ReleaseState.PUBLISHED)
            events = await c.store.events_after(release_id, 0, 1000)
            seen = str(events[1].position)
            options = {"headers": {"Last-Event-ID": seen}} if how == "headers" else {"params": {"last_event_id": seen}}
            async with _stream(serve, c, release_id, **options) as answer:
                told = [message async for message in _messages(answer)]
            assert [m.data["kf_id"] for m in told if m.kind == "event"] == [event.kf_id for event in events[2:]]
            assert (told[0].kind, told[-1].kind) == ("release", "end")

    asyncio.run(go())


def test_nothing_new_of_an_ended_release_is_204(serve: Serve) -> None:
    async def go() -> None:
        async with coordinator() as c:
            release_id = (await c.release()).release.kf_id
            await c.bring(release_id, ReleaseState.PUBLISHED)
            last = str((await c.store.events_after(release_id, 0, 1000))[-1].position)
            async with _stream(serve, c, release_id, headers={"Last-Event-ID": last}) as answer:
                assert (answer.status_code, await answer.aread()) == (204, b"")

    asyncio.run(go())


def test_what_a_browser_sends_as_the_last_event_is_checked(serve: Serve) -> None:
    async def go() -> None:
        async with coordinator() as c:
            release_id = (await c.release()).release.kf_id
            async with _stream(serve, c, release_id, headers={"Last-Event-ID": "x"}) as answer:
                assert answer.status_code == 400
                assert list(json.loads(await answer.aread())) == ["Last-Event-ID"]

    asyncio.run(go())


def test_a_silent_stream_shows_that_it_lives(serve: Serve) -> None:
    async def go() -> None:
        async with coordinator() as c:
            c.desk = replace(c.desk, heartbeat_s=0.02)
            release_id = (await c.release()).release.kf_id
            async with _stream(serve, c, release_id) as answer, aclosing(_lines(answer)) as lines:
                comments = 0
                async for line in lines:
                    comments += line.startswith(":")
                    if comments == 2:
                        break

    asyncio.run(go())


def test_a_progress_is_told_with_the_release(serve: Serve) -> None:
    async def go() -> None:
        async with coordinator() as c:
            await c.service()
            view = await c.release()
            await c.bring(view.release.kf_id, ReleaseState.RUNNING)
            async with _stream(serve, c, view.release.kf_id) as answer, aclosing(_messages(answer)) as messages:
                async for message in messages:
                    if message.kind != "release":
                        continue
                    if message.data["tasks"][0]["progress"] == 40:
                        break
                    async with c.client() as web:
                        await web.patch(f"/tasks/{view.tasks[0].kf_id}", json={"progress": 40})

    asyncio.run(go())


def test_streams_end_when_the_server_closes(serve: Serve) -> None:
    async def go() -> None:
        async with coordinator() as c:
            release_id = (await c.release()).release.kf_id
            async with _stream(serve, c, release_id) as answer:
                told = []
                async for message in _messages(answer):
                    told.append(message.kind)
                    c.desk.closing.set()
            assert told == ["release"]

    asyncio.run(go())


def test_a_watcher_who_leaves_is_forgotten(serve: Serve) -> None:
    async def go() -> None:
        async with coordinator() as c:
            release_id = (await c.release()).release.kf_id
            async with _stream(serve, c, release_id) as answer, aclosing(_messages(answer)) as messages:
                assert (await anext(messages)).kind == "release"
                assert c.feed.watched == {release_id}
            async with asyncio.timeout(PATIENCE_S):
                while c.feed.watched:  # noqa: ASYNC110 - nobody is told when a watcher leaves
                    await asyncio.sleep(0.01)

    asyncio.run(go())
