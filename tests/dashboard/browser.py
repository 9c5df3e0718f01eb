"""Chromium for tests: Debian's, Playwright's or the user's, each page in a fresh profile."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright, expect

from tests.patience import PATIENCE_S

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
MISSING = (
    "no Chromium was found: apt-get install chromium, or name one with LOCKSTEP_TEST_BROWSER, "
    "or .venv/bin/playwright install chromium"
)


def find_browser() -> str | None:
    """Return the path of a Chromium, None when there is none."""
    chosen = os.environ.get("LOCKSTEP_TEST_BROWSER")
    if chosen:
        return chosen
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    cache = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache/ms-playwright")
    own = sorted(cache.glob("chromium-*/chrome-linux*/chrome"))
    return found or (str(own[-1]) if own else None)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run a Chromium for as long as the context is open."""
    expect.set_options(timeout=1000 * PATIENCE_S)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_browser(),
            args=[*FLAGS, *(["--no-sandbox"] if root else [])],
            timeout=2000 * PATIENCE_S,
        )
        try:
            yield browser
        finally:
            await browser.close()
