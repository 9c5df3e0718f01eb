"""Every page at a glance: `python -m tests.dashboard.survey` prints a table of what axe finds and what each page costs.

The pages are those of the scenery, in both themes; the time to the first byte is the quickest of a few, the size is
that of the HTML. How pages do with 10,000 releases is told by `test_quick.py`.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
from playwright.async_api import Page

from tests.conftest import serving
from tests.dashboard.axe import violations
from tests.dashboard.browser import MISSING, chromium, find_browser
from tests.dashboard.scenery import scenery
from tests.dashboard.sights import DIALOGS, PAGES, confirm, open_dialog

TRIES: Final = 5
THEMES: Final = ("light", "dark")


async def survey() -> None:
    """Print the table."""
    print("| Page | Address | axe light | axe dark | First byte | HTML |\n|---|---|---|---|---|---|", flush=True)
    async with (
        _pages() as (url, shown, themed),
        httpx.AsyncClient(base_url=url, headers={"Accept": "text/html"}) as web,
    ):
        for name, path in PAGES.items():
            address = path.format(**shown)
            found = []
            for page in themed:
                await page.goto(url + address)
                found.append(len(await violations(page)))
            first_s, size = await measure(web, address)
            print(_row(name, address, found, f"{1000 * first_s:.0f} ms", f"{size / 1000:.1f} kB"), flush=True)
        for name, (path, press) in DIALOGS.items():
            found = []
            for page in themed:
                await open_dialog(page, url + path.format(**shown), press)
                found.append(len(await violations(page)))
            print(_row(name, "in place", found, "", ""), flush=True)
        found = []
        for page in themed:
            await confirm(page, f"{url}/plan?from={shown['staged']}")
            found.append(len(await violations(page)))
        print(_row("confirm", "POST /plan", found, "", ""), flush=True)


def _row(name: str, address: str, found: list[int], first: str, size: str) -> str:
    return f"| {name} | `{address}` | {found[0]} | {found[1]} | {first} | {size} |"


@asynccontextmanager
async def _pages() -> AsyncIterator[tuple[str, dict[str, str], list[Page]]]:
    with TemporaryDirectory() as folder:
        async with scenery(serving, Path(folder)) as (c, shown), serving(c.app()) as url, chromium() as browser:
            yield url, shown, [await browser.new_page(color_scheme=theme) for theme in THEMES]


async def measure(web: httpx.AsyncClient, path: str, tries: int = TRIES) -> tuple[float, int]:
    """Return the seconds to the first byte of a page, the quickest of some, and its size in bytes."""
    times, size = [], 0
    for _ in range(tries):
        began = time.perf_counter()
        async with web.stream("GET", path) as answer:
            times.append(time.perf_counter() - began)
            size = len(await answer.aread())
    return min(times), size


if __name__ == "__main__":
    if find_browser() is None:
        sys.exit(f"No table: {MISSING}.")
    asyncio.run(survey())
