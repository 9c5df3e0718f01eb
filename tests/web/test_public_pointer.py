"""What is public now, or was at a time, and the feed of it: for everybody, cacheable, and never half of a release."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID
from xml.etree.ElementTree import Element, fromstring

import httpx
import pytest

from lockstep.coordinator.core.callers import LOCAL
from lockstep.coordinator.core.records import NewNote
from lockstep.coordinator.web.answers import time
from lockstep.protocol.states import ReleaseState
from tests.faces import STUDIES, Coordinator, coordinator

BASE = "http://coordinator:5000"
ATOM = "{http://www.w3.org/2005/Atom}"


async def _published(c: Coordinator, name: str, *studies: str) -> tuple[str, datetime]:
    """Publish a release; return its id and when the last service had published."""
    view = await c.release(*studies, name=name)
    published_at = (await c.bring(view.release.kf_id, ReleaseState.PUBLISHED)).release.published_at
    assert published_at is not None
    return view.release.kf_id, published_at


async def _shown(web: httpx.AsyncClient, path: str) -> Any:
    answer = await web.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_pointer_shows_what_was_published_last() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            await c.service()
            release_id, published_at = await _published(c, "Winter", *STUDIES[:2])
            note = await c.store.add_note(NewNote("Twelve.", release_id, STUDIES[0]), datetime.now(UTC))
            expected = {
                "kf_id": release_id,
                "name": "Winter",
                "description": "",
                "version": "0.1.0",
                "is_major": False,
                "published_at": time(published_at),
                "studies": list(STUDIES[:2]),
                "tags": [],
                "notes": [(await web.get(f"/release-notes/{note.kf_id}")).json()],
                "release": f"{BASE}/releases/{release_id}",
            }
            paths = ("/releases/current", f"/studies/{STUDIES[0]}/current", f"/studies/{STUDIES[1]}/current")
            for path in (*paths, "/releases/at?time=", f"/releases/at?time={time(published_at)}"):
                assert await _shown(web, path) == expected

    asyncio.run(go())


@pytest.mark.parametrize(
    "state", [state for state in ReleaseState if state not in {ReleaseState.PUBLISHED, ReleaseState.CANCELING}]
)
def test_the_pointer_moves_only_when_every_service_has_published(state: ReleaseState) -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            await c.service("one")
            await c.service("two")
            first, _ = await _published(c, "first", STUDIES[0])
            before = [(await web.get(path)).content for path in ("/releases/current", "/releases/feed")]
            second = await c.release(STUDIES[0], name="second")
            if state in {ReleaseState.CANCELED, ReleaseState.FAILED}:
                await c.commands.cancel(second.release.kf_id, LOCAL)
            else:
                await c.bring(second.release.kf_id, state)
            assert [(await web.get(path)).content for path in ("/releases/current", "/releases/feed")] == before
            assert (await _shown(web, f"/studies/{STUDIES[0]}/current"))["kf_id"] == first

    asyncio.run(go())


def test_the_past_can_be_asked_for() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            _, at_first = await _published(c, "first", STUDIES[0])
            _, at_second = await _published(c, "second", STUDIES[1])
            tick = timedelta(microseconds=1)

            async def then(moment: datetime) -> str:
                return str((await _shown(web, f"/releases/at?time={time(moment)}"))["name"])

            assert [await then(moment) for moment in (at_first, at_second - tick)] == ["first", "first"]
            assert [await then(moment) for moment in (at_second, at_second + tick)] == ["second", "second"]
            early = await web.get(f"/releases/at?time={time(at_first - tick)}")
            assert (early.status_code, early.json()) == (404, {"detail": "Not found."})
            assert (await _shown(web, f"/studies/{STUDIES[0]}/current"))["name"] == "first"

    asyncio.run(go())


def test_there_is_nothing_before_the_first_publication() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            await c.release()
            for path in ("/releases/current", f"/studies/{STUDIES[0]}/current", "/releases/at?time=2026-01-31"):
                assert (await web.get(path)).status_code == 404
            assert _entries(_parsed(await web.get("/releases/feed"))) == []

    asyncio.run(go())


def test_what_is_public_can_be_cached_by_anybody() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client(cors_origins=("https://portal.example",)) as web:
            await _published(c, "first", STUDIES[0])
            paths = ("/releases/current", f"/studies/{STUDIES[0]}/current", "/releases/at?time=", "/releases/feed")
            tags = {}
            for path in paths:
                first = await web.get(path, headers={"Origin": "https://anywhere.example"})
                assert first.headers["access-control-allow-origin"] == "*"
                assert first.headers["cache-control"] == "public, max-age=30"
                tags[path] = {"If-None-Match": first.headers["etag"]}
                again = await web.get(path, headers=tags[path])
                assert (again.status_code, again.content) == (304, b"")
                for name in ("etag", "cache-control", "access-control-allow-origin"):
                    assert again.headers[name] == first.headers[name]
            await _published(c, "second", STUDIES[0])
            for path in paths:
                assert (await web.get(path, headers=tags[path])).status_code == 200

    asyncio.run(go())


def test_a_page_in_a_browser_gets_the_pointer_and_the_feed_too() -> None:
    """Although the addresses look like those of releases, for which the dashboard has pages."""

    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            await _published(c, "first", STUDIES[0])
            for path, kind in (("/releases/current", "application/json"), ("/releases/feed", "application/atom+xml")):
                answer = await web.get(path, headers={"Accept": "text/html,*/*"})
                assert answer.headers["content-type"].partition(";")[0] == kind

    asyncio.run(go())


def test_the_feed_is_valid_atom() -> None:
    """By RFC 4287: what a feed and an entry must have, once, and in its form; and what cannot be said in XML is not."""

    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            first, _ = await _published(c, "Winter & <spring>", STUDIES[0])
            await c.store.add_note(NewNote("Bad \x08 & <b>", first), datetime.now(UTC))
            await _published(c, "Summer", STUDIES[1])
            answer = await web.get("/releases/feed")
            assert answer.headers["content-type"].partition(";")[0] == "application/atom+xml"
            feed = _parsed(answer)
            _check_feed(feed)
            summer, winter = _entries(feed)
            assert summer.findtext(f"{ATOM}title") == "Summer 0.2.0"
            assert winter.findtext(f"{ATOM}title") == "Winter & <spring> 0.1.0"
            assert winter.findtext(f"{ATOM}content") == "Bad � & <b>"
            assert [link.get("href") for link in winter.findall(f"{ATOM}link")] == [f"{BASE}/releases/{first}"]
            assert [part.get("term") for part in winter.findall(f"{ATOM}category")] == [STUDIES[0]]

    asyncio.run(go())


def _parsed(answer: httpx.Response) -> Element:
    return fromstring(answer.content)  # noqa: S314 - what we wrote ourselves


def _entries(feed: Element) -> list[Element]:
    return feed.findall(f"{ATOM}entry")


def _check_feed(feed: Element) -> None:
    assert feed.tag == f"{ATOM}feed"
    updated = [_check_parts(part) for part in (feed, *_entries(feed))]
    assert updated[0] == max(updated[1:])
    assert updated[1:] == sorted(updated[1:], reverse=True)
    [this] = [link for link in feed.findall(f"{ATOM}link") if link.get("rel") == "self"]
    assert this.get("href") == feed.findtext(f"{ATOM}id")
    ids = [entry.findtext(f"{ATOM}id") or "" for entry in _entries(feed)]
    assert len(set(ids)) == len(ids)
    for kf_id in ids:
        assert UUID(kf_id).urn == kf_id
    for entry in _entries(feed):
        assert len(entry.findall(f"{ATOM}content")) == 1
        assert entry.findtext(f"{ATOM}published")


def _check_parts(part: Element) -> str:
    """Check what a feed and an entry have in common; return when it changed."""
    values = {
        name: [element.text or "" for element in part.findall(ATOM + name)] for name in ("id", "title", "updated")
    }
    assert {name: len(texts) for name, texts in values.items()} == {"id": 1, "title": 1, "updated": 1}
    assert urlsplit(values["id"][0]).scheme
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", values["updated"][0])
    assert part.findtext(f"{ATOM}author/{ATOM}name")
    links = [(link.get("rel"), link.get("type")) for link in part.findall(f"{ATOM}link")]
    assert len(set(links)) == len(links)
    return values["updated"][0]
