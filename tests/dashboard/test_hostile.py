"""Text that would like to be a script, in every field that somebody else can fill: it is shown, and does nothing."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest
from playwright.async_api import Page
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lockstep.coordinator.adapters.reports import HttpReports
from lockstep.coordinator.core.draft import Draft
from lockstep.coordinator.core.model import EventType
from lockstep.coordinator.core.records import NewEvent, NewNote, NewRelease, StudyFacts, TaskService
from lockstep.coordinator.services.reporting import ReportShelf
from lockstep.coordinator.web.dashboard.markdown import to_html
from lockstep.protocol.states import ReleaseState
from tests.conftest import Serve
from tests.dashboard.browser import MISSING, chromium, find_browser
from tests.dashboard.scenery import Past
from tests.faces import Coordinator, coordinator

BITE = "hit()"
SCRIPT = f"<script>{BITE}</script>"
HANDLER = f"\"'><img src=x onerror={BITE}>"
TEMPLATE = "{{7*7}}{% raw %}"
MARKDOWN = (
    f"{SCRIPT} {HANDLER}\n\n[a](javascript:{BITE}) [b](data:text/html,{SCRIPT}) [c](vbscript:x) "
    f"![i](http://evil.example/x.png) <a href='javascript:{BITE}'>d</a> [e](https://ok.example 'a\"b')\n"
)
HOSTILE = f"{SCRIPT}{HANDLER}{TEMPLATE}"


def _report(_: Request) -> Response:
    """Return what a reports service would send that means harm."""
    cell = {"last": 5, "now": 1, "difference": -4, "percent": HOSTILE, "flags": [HOSTILE, 7, None]}
    unknown = {"last": HOSTILE, "now": None, "now_unknown": HOSTILE, "flags": HOSTILE}
    total = {"last": 5, "now": 1, "difference": -4, "percent": -80.0, "flags": [HOSTILE]}
    body = {
        "against": {"release_id": HOSTILE, "version": HOSTILE},
        "flags": [{"message": HOSTILE, "study_id": 3}, {"message": 3}, "x"],
        "totals": {HOSTILE: total, "odd": 3},
        "study_diffs": {
            HOSTILE: {"kind": HOSTILE, "last": HOSTILE, "entities": {HOSTILE: cell, "odd": unknown}},
            "x": 3,
        },
        "releases": [{"state": "published", "sources": {HOSTILE: "x"}, HOSTILE: 3, "version": HOSTILE}, 3],
    }
    return Response(json.dumps(body), media_type="application/json")


async def _fill(c: Coordinator) -> dict[str, str]:
    """Put hostile text wherever the store takes text."""
    now = datetime.now(UTC)
    study = "SD_00000001"
    await c.store.sync_studies([StudyFacts(study, HOSTILE[:256], True, now)])
    await c.store.add_service(TaskService("", HOSTILE[:100], HOSTILE, f"http://x/{HANDLER}"[:200], HOSTILE[:100], now))
    new = NewRelease(HOSTILE[:256], (study,), MARKDOWN, HOSTILE[:100], (HOSTILE[:50],))
    release_id = (await c.store.create_release(new, now)).release.kf_id
    await c.store.add_note(NewNote(MARKDOWN, release_id, study, HOSTILE[:100]), now)
    await c.store.add_event(NewEvent(EventType.ERROR, f"{HOSTILE} changed from <b> to {SCRIPT}", release_id), now)
    past = Past(c.store, ago=_NO_TIME)
    await past.act(release_id, _error)
    view = await c.bring(release_id, ReleaseState.STAGED)
    return {
        "release": release_id,
        "study": study,
        "service": view.tasks[0].service_id,
        "note": view.notes[0].kf_id,
    }


_NO_TIME = datetime.now(UTC) - datetime.now(UTC)


def _error(draft: Draft) -> None:
    for task_id in draft.tasks:
        draft.set_task(task_id, last_error=HOSTILE, attempts=2)


PATHS = (
    "/",
    "/plan?from={release}",
    "/releases?q={hostile}&author={hostile}",
    "/releases/{release}?q={hostile}&task={hostile}&type={hostile}",
    "/releases/{release}/publish",
    "/releases/{release}/cancel",
    "/releases/{release}/edit",
    "/releases/{release}/notes/{note}",
    "/releases/{hostile}",
    "/studies?q={hostile}",
    "/studies/{study}",
    "/services",
    "/services/{service}",
    "/services/{service}/edit",
    "/events?q={hostile}",
    "/release-notes?order={hostile}&page={hostile}",
    "/public",
    "/about?done={hostile}",
    "/{hostile}",
)


@pytest.mark.skipif(find_browser() is None, reason=MISSING)
@pytest.mark.timeout(300)
def test_nothing_that_others_wrote_runs_in_a_page(serve: Serve) -> None:
    """Neither when a page is visited nor when its parts are swapped in; and the console stays silent."""

    async def go() -> None:
        reports = Starlette(routes=[Route("/{path:path}", _report)])
        async with (
            coordinator() as c,
            serve(reports) as reports_url,
            HttpReports(reports_url, timeout_s=5) as adapter,
            chromium() as browser,
        ):
            c.desk = replace(c.desk, reports=ReportShelf(adapter))
            ids = await _fill(c)
            async with serve(c.app()) as url:
                page = await browser.new_page()
                bitten: list[str] = []
                await page.expose_function("hit", lambda: bitten.append(page.url))
                said: list[str] = []
                page.on("console", lambda message: said.append(f"{page.url} {message.text}"))
                page.on("dialog", lambda dialog: bitten.append(dialog.message))
                for path in PATHS:
                    await _visit(page, url + path.format(hostile=HOSTILE.replace("#", ""), **ids))
                await c.store.add_event(NewEvent(EventType.INFO, f"late {HOSTILE}", ids["release"]), datetime.now(UTC))
                await page.goto(f"{url}/releases/{ids['release']}")
                await c.bring(ids["release"], ReleaseState.PUBLISHED)
                await page.wait_for_selector(".lane .s-published")
                assert bitten == []
                assert [line for line in said if "404" not in line] == []
                for tag in ("script", "img", "iframe"):
                    assert await page.locator(f"main {tag}").count() == 0

    asyncio.run(go())


async def _visit(page: Page, address: str) -> None:
    await page.goto(address)
    await page.wait_for_selector("main")


def test_markdown_is_only_to_be_read() -> None:
    html = str(to_html(MARKDOWN))
    assert "<script" not in html
    assert "<img" not in html
    assert 'href="javascript' not in html
    assert 'href="data' not in html
    assert 'href="vbscript' not in html
    assert '<a href="https://ok.example" title="a&quot;b" rel="nofollow noreferrer noopener">e</a>' in html
    assert "&lt;script&gt;hit()&lt;/script&gt;" in html


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"study_diffs": 3, "totals": [], "flags": {}}', b"{" * 5000])
def test_a_report_that_is_none_is_said_to_be_missing_or_is_empty(serve: Serve, answer: bytes) -> None:
    """Whatever the reports service sends, the page is there."""

    async def go() -> None:
        async def say(_: Request) -> Response:
            return Response(answer, media_type="application/json")

        async with (
            coordinator() as c,
            serve(Starlette(routes=[Route("/{path:path}", say)])) as reports_url,
            HttpReports(reports_url, timeout_s=5) as adapter,
        ):
            c.desk = replace(c.desk, reports=ReportShelf(adapter))
            await c.service()
            release_id = (await c.release()).release.kf_id
            await c.bring(release_id, ReleaseState.STAGED)
            async with c.client() as web:
                page = await _html(web, f"/releases/{release_id}")
                while "being fetched" in page:
                    page = await _html(web, f"/releases/{release_id}")
                assert "What changes" in page
                assert "Winter" in await _html(web, f"/releases/{release_id}/publish")

    asyncio.run(go())


async def _html(web: httpx.AsyncClient, path: str) -> str:
    answer = await web.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 200
    return answer.text


def test_json_for_programs_is_as_it_was() -> None:
    """A page and the API's answer share an address; who names no HTML gets JSON."""

    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            release_id = (await c.release()).release.kf_id
            for path in ("/", "/releases", f"/releases/{release_id}", "/studies", "/events"):
                for accept in ("*/*", "application/json", "application/json, text/plain, */*"):
                    answer = await web.get(path, headers={"Accept": accept})
                    assert answer.headers["content-type"] == "application/json"
                page = await web.get(path, headers={"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"})
                assert page.headers["content-type"] == "text/html; charset=utf-8"
                assert "Accept" in page.headers["vary"]

    asyncio.run(go())


def test_an_unknown_address_is_json_for_programs() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            assert (await web.get("/nowhere")).json() == {"detail": "Not found."}
            page = await web.get("/nowhere", headers={"Accept": "text/html"})
            assert (page.status_code, "There is no page at this address." in page.text) == (404, True)

    asyncio.run(go())
