"""An open page follows what happens elsewhere, and leaves alone what its reader is doing."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from lockstep.coordinator.core.records import StudyFacts
from tests.conftest import Serve
from tests.dashboard.browser import MISSING, chromium, find_browser
from tests.dashboard.house import FIVE, Cable, house
from tests.faces import coordinator
from tests.patience import until

pytestmark = [pytest.mark.skipif(find_browser() is None, reason=MISSING), pytest.mark.timeout(300)]


SOON_MS = 12_000
"""A second is promised; the machine that tests is busy with others. Without news a page looks after fifteen."""


async def _open(page: Page, url: str) -> None:
    await page.goto(url)
    await expect(page.locator("#connection")).to_have_text("Live")


def test_what_one_does_the_other_sees_and_keeps_their_place(tmp_path: Path) -> None:
    """One publishes; the other's page follows, with its scroll, focus, open part and half-typed text as they were."""

    async def go() -> None:
        async with house(tmp_path, "portal", free=True) as place, chromium() as browser:
            release_id = await place.release()
            await place.reaches(release_id, "staged")
            one, other = [await (await browser.new_context()).new_page() for _ in range(2)]
            address = f"{place.url}/releases/{release_id}"
            await _open(other, address)
            note = other.locator(f"#note-{FIVE[1]}")
            await note.locator("summary").click()
            text = note.get_by_role("textbox")
            await text.fill("half a")
            await text.press_sequentially(" tho")
            place_before = await text.bounding_box()

            body = {"description": "*Theirs*", "release": release_id, "study": FIVE[1]}
            assert (await place.api.post("/release-notes", json=body)).status_code == 201
            await expect(note.locator("em")).to_have_text("Theirs")
            await expect(text).to_have_value("half a tho")

            await one.goto(f"{address}/publish")
            await one.get_by_role("button", name="Publish 0.1.0").click()
            await expect(other.locator('[data-live="head"]')).to_contain_text("Public on every service")
            await expect(text).to_be_focused()
            await text.press_sequentially("ught")
            await expect(text).to_have_value("half a thought")
            assert await note.locator("details").get_attribute("open") is not None
            place_after = await text.bounding_box()
            assert place_before is not None
            assert place_after is not None
            assert abs(place_after["y"] - place_before["y"]) < 3
            await expect(other.get_by_role("link", name="Publish…")).to_have_count(0)

    asyncio.run(go())


def test_a_change_shows_within_a_second_on_every_page_that_is_open(tmp_path: Path) -> None:
    async def go() -> None:
        async with house(tmp_path, "portal") as place, chromium() as browser:
            home, services, events, listed = [await browser.new_page() for _ in range(4)]
            await _open(home, place.url)
            await _open(services, f"{place.url}/services")
            await _open(events, f"{place.url}/events")
            await _open(listed, f"{place.url}/releases")
            release_id = await place.release("Spring")
            await expect(home.locator('[data-live="flight"]')).to_contain_text("Spring", timeout=SOON_MS)
            await expect(listed.locator('[data-live="list"]')).to_contain_text("Spring", timeout=SOON_MS)
            await expect(events.locator('[data-live="list"]')).to_contain_text(release_id, timeout=SOON_MS)
            rows = (await place.api.get("/task-services")).json()["results"]
            await place.api.patch(f"/task-services/{rows[0]['kf_id']}", json={"name": "renamed"})
            await expect(services.locator('[data-live="list"]')).to_contain_text("renamed", timeout=SOON_MS)

    asyncio.run(go())


def test_a_lost_connection_is_shown_and_heals_by_itself(tmp_path: Path) -> None:
    """What happened while it was away is there as soon as it is back."""

    async def go() -> None:
        async with house(tmp_path, "portal") as place, chromium() as browser, Cable(place.url) as cable:
            release_id = await place.release()
            page = await browser.new_page()
            await _open(page, f"{cable.url}/releases/{release_id}")
            cable.cut()
            await expect(page.locator("#connection")).to_have_text("Connection lost. Trying again…")
            place.held["portal"].may_stage.set()
            await place.reaches(release_id, "staged")
            await expect(page.locator('[data-live="head"]')).not_to_contain_text("waits for its review")
            cable.mend()
            await expect(page.locator('[data-live="head"]')).to_contain_text("waits for its review")
            await expect(page.locator("#connection")).to_have_text("Live")

    asyncio.run(go())


def test_a_connection_that_went_silent_is_given_up_and_made_anew(tmp_path: Path) -> None:
    """Nothing tells a page that a network forgot its connection, not even one that it is only just making."""

    async def go() -> None:
        async with house(tmp_path, "portal") as place, chromium() as browser, Cable(place.url) as cable:
            release_id = await place.release()
            page = await browser.new_page()
            await page.clock.install()
            connection = page.locator("#connection")
            await _open(page, f"{cable.url}/releases/{release_id}")
            cable.swallow()
            place.held["portal"].may_stage.set()
            await place.reaches(release_id, "staged")
            await page.clock.fast_forward(41_000)
            await expect(connection).to_have_text("Connection lost. Trying again…")
            await page.clock.fast_forward(1_000)
            await until(lambda: cable.swallowed)
            cable.mend()
            await page.clock.fast_forward(21_000)
            await expect(page.locator('[data-live="head"]')).to_contain_text("waits for its review")
            await expect(connection).to_have_text("Live")

    asyncio.run(go())


def test_a_tab_left_in_the_background_lets_go_and_is_right_when_one_comes_back(tmp_path: Path) -> None:
    async def go() -> None:
        async with house(tmp_path, "portal") as place, chromium() as browser:
            release_id = await place.release()
            feed = place.coordinator.desk.feed
            page = await browser.new_page()
            await _open(page, f"{place.url}/releases/{release_id}")
            assert release_id in feed.watched  # type: ignore[attr-defined] # of the feed within one process
            await page.evaluate(_LOOK_AWAY)
            await until(lambda: release_id not in feed.watched)  # type: ignore[attr-defined]
            place.held["portal"].may_stage.set()
            await place.reaches(release_id, "staged")
            await page.evaluate(_LOOK_AGAIN)
            await expect(page.locator('[data-live="head"]')).to_contain_text("waits for its review")

    asyncio.run(go())


def test_the_theme_is_switched_without_losing_what_one_writes(tmp_path: Path) -> None:
    """It is there at once, and on the next page from its first byte."""

    async def go() -> None:
        async with house(tmp_path) as place, chromium() as browser:
            page = await browser.new_page(color_scheme="light")
            await page.goto(f"{place.url}/plan")
            await page.get_by_label("Name").fill("half a name")
            assert await _paper(page) == "rgb(246, 246, 243)"
            async with page.expect_response("**/theme"):
                await page.get_by_role("button", name="Dark").click()
            assert await _paper(page) == "rgb(16, 19, 24)"
            await expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")
            await expect(page.get_by_label("Name")).to_have_value("half a name")
            await page.goto(f"{place.url}/about")
            assert await _paper(page) == "rgb(16, 19, 24)"

    asyncio.run(go())


def test_a_plan_that_is_being_made_follows_and_keeps_what_is_ticked(serve: Serve) -> None:
    """What a search found and somebody ticked stays, whatever happens elsewhere and whatever is searched next."""

    async def go() -> None:
        async with coordinator() as c, serve(c.app()) as url, chromium() as browser:
            now = datetime.now(UTC)
            facts = [StudyFacts(f"SD_{number:08d}", f"Study {number:04d}", True, now) for number in range(900)]
            await c.store.sync_studies(facts)
            page = await browser.new_page()
            await _open(page, f"{url}/plan")
            await page.get_by_label("Name").fill("half a")
            find = page.get_by_label("Search the studies")
            await find.press_sequentially("0877")
            await page.get_by_label("Study 0877").check()
            await find.fill("0012")
            await expect(page.get_by_label("Study 0012")).to_be_visible()
            await expect(page.get_by_label("Study 0877")).to_be_hidden()
            await find.fill("")
            await c.service("a new service")
            await c.feed.announce("TS_00000000")
            await expect(page.locator('[data-live="who"]')).to_contain_text("a new service")
            await expect(page.locator("#c-SD_00000877")).to_be_checked()
            await expect(page.locator("#chosen")).to_have_text("1")
            await expect(page.get_by_label("Name")).to_have_value("half a")

    asyncio.run(go())


async def _paper(page: Page) -> str:
    return str(await page.evaluate("getComputedStyle(document.body).backgroundColor"))


_HIDE = "Object.defineProperty(document, 'hidden', {{value: {}, configurable: true}});"
_TELL = "document.dispatchEvent(new Event('visibilitychange'))"
_LOOK_AWAY = _HIDE.format("true") + _TELL
_LOOK_AGAIN = _HIDE.format("false") + _TELL
