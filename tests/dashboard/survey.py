"""Every page at a glance: `python -m tests.dashboard.survey` prints a table of what axe finds and what each page costs.

The pages are those of the scenery, in both themes; the time to the first byte is the quickest of a few, the size is
that of the HTML. With `--large`, a table of what pages cost with 200 services and 10,000 releases.
"""

import asyncio
import sys
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
from tests.dashboard.large import PATHS, full, measure
from tests.dashboard.scenery import scenery
from tests.dashboard.sights import DIALOGS, PAGES, confirm, open_dialog
from tests.faces import coordinator

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
            first_s, size = await measure(web, address, TRIES)
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


async def survey_large() -> None:
    """Print the table of a full coordinator."""
    print("| Address | First byte | HTML |\n|---|---|---|", flush=True)
    with TemporaryDirectory() as folder:
        async with (
            full(Path(folder)) as (store, shown),
            coordinator(store) as c,
            serving(c.app()) as url,
            httpx.AsyncClient(base_url=url, headers={"Accept": "text/html"}) as web,
        ):
            for path in PATHS:
                first_s, size = await measure(web, path.format(**shown), TRIES)
                print(f"| `{path}` | {1000 * first_s:.0f} ms | {size / 1000:.0f} kB |", flush=True)


def _row(name: str, address: str, found: list[int], first: str, size: str) -> str:
    return f"| {name} | `{address}` | {found[0]} | {found[1]} | {first} | {size} |"


@asynccontextmanager
async def _pages() -> AsyncIterator[tuple[str, dict[str, str], list[Page]]]:
    with TemporaryDirectory() as folder:
        async with scenery(serving, Path(folder)) as (c, shown), serving(c.app()) as url, chromium() as browser:
            yield url, shown, [await browser.new_page(color_scheme=theme) for theme in THEMES]


if __name__ == "__main__":
    if "--large" in sys.argv:
        asyncio.run(survey_large())
        sys.exit()
    if find_browser() is None:
        sys.exit(f"No table: {MISSING}.")
    asyncio.run(survey())
