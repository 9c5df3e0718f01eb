"""The release notes on paper: all that was written, dark on white, and nothing that only a screen has a use for."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Page

from lockstep.coordinator.core.records import NewNote
from tests.conftest import Serve
from tests.dashboard.browser import MISSING, chromium, find_browser
from tests.dashboard.scenery import Past
from tests.faces import STUDIES, coordinator

pytestmark = [pytest.mark.skipif(find_browser() is None, reason=MISSING), pytest.mark.timeout(300)]

A4_PX = {"width": 718, "height": 1047}
"""A sheet of paper at 96 dots per inch, without its margins."""

DESCRIPTION = "\n\n".join(
    (
        "The counts of *September*.",
        "* first of the list\n* second of the list",
        "| cohort | participants | specimens |\n|---|---|---|\n| "
        + " | ".join(["a cell with several words"] * 3)
        + " |",
        "    " + "a line of code that is longer than any paper is wide " * 4 + "and its end",
        "https://example.org/" + "a-long-address/" * 12 + "its-end",
    )
)
RELEASES = 12
"""More than a page of notes has, so that there would be something to turn to."""


def test_release_notes_are_printed_whole_and_without_the_screens_furniture(serve: Serve) -> None:
    async def go() -> None:
        async with coordinator() as c, serve(c.app()) as url, chromium() as browser:
            past = Past(c.store, ago=timedelta(days=9))
            release_ids = [
                await past.published(await past.staged(f"Release {number}", STUDIES[:2], description=DESCRIPTION))
                for number in range(RELEASES)
            ]
            await c.store.add_note(NewNote(DESCRIPTION, release_ids[-1], STUDIES[0], "ada"), datetime.now(UTC))
            page = await browser.new_page(color_scheme="dark", viewport=A4_PX)  # type: ignore[arg-type]
            await page.goto(f"{url}/release-notes")
            assert await _furniture(page) >= {"A", "BUTTON", "NAV", "SUMMARY"}
            assert await page.evaluate(_CUT) != []
            await page.emulate_media(media="print")
            assert await _furniture(page) == set()
            assert await page.evaluate(_CUT) == []
            told = await page.locator("main").inner_text()
            for words in (
                "0.12.0",
                "Release 11",
                "second of the list",
                "and its end",
                "its-end",
                f"Study {STUDIES[0]}",
            ):
                assert words in told
            assert await page.locator(".study-note").inner_text() in told
            assert await page.locator("li", has_text="first of the list").first.evaluate(_COLOURS) == [
                "rgb(27, 32, 48)",
                "rgb(255, 255, 255)",
            ]
            assert (await page.pdf(format="A4")).startswith(b"%PDF")

    asyncio.run(go())


async def _furniture(page: Page) -> set[str]:
    """Return which kinds of things are to be seen that one would press, write in or go elsewhere by."""
    return set(await page.evaluate(_SEEN))


_SEEN = """() => [...document.querySelectorAll("nav, button, .button, input, select, textarea, summary, [role=status]")]
    .filter((each) => each.checkVisibility()).map((each) => each.nodeName)"""

_CUT = """() => [document.documentElement, ...document.querySelectorAll("main, main *")]
    .filter((each) => each.checkVisibility() && each.scrollWidth > each.clientWidth + 1 && each.clientWidth)
    .map((each) => each.outerHTML.slice(0, 80))"""

_COLOURS = """(each) => [getComputedStyle(each).color, getComputedStyle(document.body).backgroundColor]"""
