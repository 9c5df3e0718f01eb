"""Every page in both themes, on a wide screen and on a telephone, before axe and the console of a real Chromium."""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import ConsoleMessage

from tests.conftest import Serve
from tests.dashboard.axe import violations
from tests.dashboard.browser import MISSING, chromium, find_browser
from tests.dashboard.scenery import scenery
from tests.dashboard.sights import DIALOGS, PAGES, confirm, open_dialog

pytestmark = [pytest.mark.skipif(find_browser() is None, reason=MISSING), pytest.mark.timeout(300)]


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
def test_every_page_is_accessible_and_quiet(serve: Serve, tmp_path: Path, theme: str, width: int) -> None:
    """No violation, nothing in the console, and nothing to be scrolled sideways."""

    async def go() -> dict[str, list[str]]:
        wrong: dict[str, list[str]] = {}
        async with scenery(serve, tmp_path) as (c, shown), serve(c.app()) as url, chromium() as browser:
            page = await browser.new_page(color_scheme=theme, viewport={"width": width, "height": 900})  # type: ignore[arg-type]
            said: list[str] = []
            page.on("console", lambda message: said.append(_console(message)))
            page.on("pageerror", lambda error: said.append(str(error)))
            for name, path in PAGES.items():
                await page.goto(url + path.format(**shown))
                await page.wait_for_selector("main")
                overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
                found = await violations(page) + [line for line in said if name != "not-found"]
                found += [f"{overflow} px too wide"] if overflow > 0 else []
                if found:
                    wrong[name] = found
                said.clear()
            for name, (path, press) in DIALOGS.items():
                await open_dialog(page, url + path.format(**shown), press)
                if found := [*await violations(page), *said]:
                    wrong[name] = found
                said.clear()
            await confirm(page, f"{url}/plan?from={shown['staged']}")
            if found := [*await violations(page), *said]:
                wrong["confirm"] = found
        return wrong

    assert asyncio.run(go()) == {}


def _console(message: ConsoleMessage) -> str:
    return f"{message.type}: {message.text}"
