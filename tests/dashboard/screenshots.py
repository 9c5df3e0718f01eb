"""Pictures of the dashboard: `python -m tests.dashboard.screenshots FOLDER [--all]`.

Without `--all`, the few that the documentation shows; with it, every page in both themes, wide and narrow, for whoever
works on the looks. What is pictured is the scenery of the tests: real studies and their published counts.
"""

import argparse
import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from playwright.async_api import Browser, Page

from tests.conftest import serving
from tests.dashboard.browser import MISSING, chromium, find_browser
from tests.dashboard.scenery import scenery
from tests.dashboard.sights import PAGES

Theme = Literal["light", "dark"]
WIDE, NARROW = 1280, 375


@dataclass(frozen=True)
class Picture:
    """One picture; `height` None for the whole page, and `press` a link that opens a dialog."""

    name: str
    page: str
    theme: Theme = "light"
    width: int = WIDE
    height: int | None = 860
    press: str = ""


SHOWN = (
    Picture("home", "home"),
    Picture("plan", "plan"),
    Picture("release", "release-running"),
    Picture("review", "release-staged", height=1500),
    Picture("review-dark", "release-staged", theme="dark"),
    Picture("publish", "release-staged", press="Publish…"),
    Picture("partial-publish", "release-partial"),
    Picture("study", "study"),
    Picture("public", "public", height=1000),
    Picture("phone", "release-running", width=NARROW, height=812),
)


def everything() -> list[Picture]:
    """Return every page in both themes, wide and narrow."""
    looks: list[tuple[Theme, int]] = [("light", WIDE), ("dark", WIDE), ("light", NARROW)]
    return [Picture(f"{page}-{theme}-{width}", page, theme, width, None) for page in PAGES for theme, width in looks]


async def take(pictures: list[Picture], folder: Path) -> None:
    """Take pictures into a folder that is there."""
    with TemporaryDirectory() as files:
        async with scenery(serving, Path(files)) as (c, shown), serving(c.app()) as url, chromium() as browser:
            for picture in pictures:
                page = await _open(browser, picture, url + PAGES[picture.page].format(**shown))
                await page.screenshot(path=folder / f"{picture.name}.png", full_page=picture.height is None)
                await page.context.close()
                print(folder / f"{picture.name}.png")


async def _open(browser: Browser, picture: Picture, address: str) -> Page:
    size = {"width": picture.width, "height": picture.height or 900}
    context = await browser.new_context(color_scheme=picture.theme, viewport=size)  # type: ignore[arg-type] # a typed dictionary
    page = await context.new_page()
    await page.goto(address)
    await page.wait_for_selector("main")
    while await page.get_by_text("being fetched").count():
        await page.reload()
    if await page.locator("[data-stream]").count():
        await page.locator("#connection:not([hidden])").wait_for(state="attached")
    if picture.press:
        await page.get_by_role("link", name=picture.press).click()
        await page.wait_for_selector("dialog[open]")
    return page


def main() -> None:
    """Take the pictures that the command line asks for."""
    parser = argparse.ArgumentParser(description="Take pictures of the dashboard.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--all", action="store_true", help="every page, in both themes, wide and narrow")
    chosen = parser.parse_args()
    if find_browser() is None:
        sys.exit(f"No pictures: {MISSING}.")
    chosen.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(everything() if chosen.all else list(SHOWN), chosen.folder))


if __name__ == "__main__":
    main()
