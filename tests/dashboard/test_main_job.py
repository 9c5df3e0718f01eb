"""The main job in a real browser: from the first service to the public release, with and without JavaScript."""

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.dashboard.browser import MISSING, chromium, find_browser
from tests.dashboard.house import FIVE, House, house
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.skipif(find_browser() is None, reason=MISSING), pytest.mark.timeout(300)]


async def _register(page: Page, name: str, url: str) -> None:
    await page.get_by_label("Main").get_by_role("link", name="Services").click()
    await page.get_by_role("link", name="Register a service").click()
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Address").fill(url)
    await page.get_by_role("button", name="Look whether it answers").click()
    await expect(page.get_by_text(f"{url}/status answers as a task service does.")).to_be_visible()
    await page.get_by_role("button", name="Register").click()
    await expect(page.get_by_text("The service is registered")).to_be_visible()


async def _plan(page: Page, name: str, *, scripted: bool) -> None:
    await page.get_by_label("Main").get_by_role("link", name="Plan a release").click()
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_label(re.compile("Description")).fill("With **new** data.")
    if scripted:
        await page.get_by_label("Search the studies").fill(FIVE[0])
        await expect(page.locator("#studies-t tbody tr:visible")).to_have_count(1)
        await page.get_by_label("Search the studies").fill("")
    for study_id in FIVE[:2]:
        await page.locator(f"#c-{study_id}").check()
    if scripted:
        await expect(page.locator("#chosen")).to_have_text("2")
        await expect(page.locator("[data-preview] strong")).to_have_text("new")
    await page.get_by_role("button", name="Look at it before it starts").click()
    await expect(page.get_by_role("heading", name=f"Start {name}?")).to_be_visible()
    await page.get_by_role("button", name="Start the release").click()
    await expect(page.get_by_role("heading", name=name)).to_be_visible()


async def _sees(page: Page, text: str, *, scripted: bool) -> None:
    """Wait until the release's sentence has a text; without JavaScript, by loading the page again."""
    head = page.locator('[data-live="head"]')
    async with asyncio.timeout(PATIENCE_S):
        while not scripted and text not in (await head.inner_text()):
            await page.reload()
    await expect(head).to_contain_text(text)


async def _job(page: Page, place: House, *, scripted: bool) -> None:
    held = place.held["portal"]
    await page.goto(place.url)
    await _register(page, "release reports", place.reports_url)
    await _register(page, "portal", held.url)
    await page.get_by_label("Main").get_by_role("link", name="Studies").click()
    await page.get_by_role("button", name="Sync with the data service").click()
    await expect(page.get_by_text("The studies are those of the data service.")).to_be_visible()
    await _plan(page, "Winter", scripted=scripted)
    await _sees(page, "waits for portal", scripted=scripted)
    held.may_stage.set()
    await _sees(page, "waits for its review", scripted=scripted)
    async with asyncio.timeout(PATIENCE_S):
        while not scripted and not await page.locator("table.diff").count():
            await page.reload()
    await expect(page.locator("table.diff tbody tr")).to_have_count(2)
    await expect(page.locator("table.diff tbody")).to_contain_text("new")

    note = page.locator(f"#note-{FIVE[0]}")
    await note.locator("summary").click()
    await note.get_by_role("textbox").fill("First *note*.")
    await note.get_by_role("button", name="Save the note").click()
    await expect(page.locator(f"#note-{FIVE[0]} em")).to_have_text("note")

    await page.get_by_role("link", name="Publish…").click()
    await expect(page.locator("dialog")).to_have_count(1 if scripted else 0)
    await expect(page.get_by_text("2 studies will become public on 2 services")).to_be_visible()
    held.may_publish.set()
    await page.get_by_role("button", name="Publish 0.1.0").click()
    await _sees(page, "Public on every service", scripted=scripted)
    await page.goto(f"{place.url}/public")
    await expect(page.get_by_role("heading", name="0.1.0 · Winter")).to_be_visible()
    await expect(page.locator(".study-note em")).to_have_text("note")


@pytest.mark.parametrize("scripted", [True, False])
def test_the_whole_way_from_a_service_to_the_public(tmp_path: Path, scripted: bool) -> None:
    async def go() -> None:
        async with house(tmp_path, "portal", registered=False) as place, chromium() as browser:
            page = await browser.new_page(java_script_enabled=scripted)
            said: list[str] = []
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            await _job(page, place, scripted=scripted)
            assert said == []

    asyncio.run(go())


def test_a_release_is_canceled_by_keyboard_alone(tmp_path: Path) -> None:
    """Tab to Cancel, open the dialog, leave it with Escape (the focus is back), open it again, and confirm."""

    async def go() -> None:
        async with house(tmp_path, "portal") as place, chromium() as browser:
            release_id = await place.release()
            await place.reaches(release_id, "running")
            page = await browser.new_page()
            await page.goto(f"{place.url}/releases/{release_id}")
            await expect(page.locator("#connection")).to_have_text("Live")
            await page.keyboard.press("Tab")
            await expect(page.locator(".skip")).to_be_focused()
            await page.keyboard.press("Enter")
            cancel = page.get_by_role("link", name="Cancel…")
            for _ in range(10):
                await page.keyboard.press("Tab")
                if await cancel.evaluate("node => node === document.activeElement"):
                    break
            await expect(cancel).to_be_focused()
            await page.keyboard.press("Enter")
            await expect(page.locator("dialog[open]")).to_be_visible()
            await page.keyboard.press("Escape")
            await expect(page.locator("dialog")).to_have_count(0)
            await expect(cancel).to_be_focused()
            await page.keyboard.press("Enter")
            await page.get_by_role("button", name="Cancel the release").focus()
            await page.keyboard.press("Enter")
            await expect(page.locator('[data-live="head"]')).to_contain_text("It was canceled")

    asyncio.run(go())


def test_a_failing_service_is_named_with_its_reason(tmp_path: Path) -> None:
    async def go() -> None:
        async with house(tmp_path, "portal", free=True) as place, chromium() as browser:
            place.held["portal"].problem["stage"] = "the index <b>is</b> full"
            release_id = await place.release()
            page = await browser.new_page()
            await page.goto(f"{place.url}/releases/{release_id}")
            await expect(page.locator('[data-live="head"]')).to_contain_text("portal did not do its part")
            await expect(page.locator(".lane .why")).to_contain_text("failed")
            await page.goto(place.url)
            await expect(page.locator("#attention")).to_contain_text("portal did not do its part")

    asyncio.run(go())


def test_a_partial_publish_is_shown_as_what_it_is(tmp_path: Path) -> None:
    async def go() -> None:
        async with house(tmp_path, "portal", "index", free=True) as place, chromium() as browser:
            release_id = await place.release()
            await place.reaches(release_id, "staged")
            place.held["index"].may_publish.clear()
            place.held["index"].problem["publish"] = "no room"
            page = await browser.new_page()
            await page.goto(f"{place.url}/releases/{release_id}/publish")
            await page.get_by_role("button", name=re.compile("^Publish")).click()
            lane = page.locator(".lane", has_text="portal")
            await expect(lane).to_contain_text("published")
            await page.get_by_role("link", name="Cancel…").click()
            await expect(page.locator("dialog")).to_contain_text("Already public in")
            await page.get_by_role("link", name="Keep it").click()
            place.held["index"].may_publish.set()
            partial = page.get_by_role("alert")
            await expect(partial).to_contain_text("Partly published.")
            await expect(partial).to_contain_text("portal")
            await expect(partial).to_contain_text("not in index")

    asyncio.run(go())
