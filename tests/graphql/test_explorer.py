"""The page to try GraphQL with, in a real browser: it asks, answers, lists the schema, and keeps to its policy."""

import asyncio
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped] # it has no types
from playwright.async_api import expect

from tests.conftest import Serve
from tests.dashboard.browser import MISSING, chromium, find_browser
from tests.graphql.asking import asked

pytestmark = [pytest.mark.skipif(find_browser() is None, reason=MISSING), pytest.mark.timeout(240)]


def test_a_query_is_typed_run_and_answered(serve: Serve, tmp_path: Path) -> None:
    async def go() -> None:
        async with asked(tmp_path, identity=False) as a, serve(a.c.app()) as url, chromium() as browser:
            view = await a.release(name="Spring")
            page = await browser.new_page()
            said: list[str] = []
            asked_for: list[str] = []
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("request", lambda request: asked_for.append(request.url))
            await page.goto(f"{url}/graphql")
            await expect(page.locator("#schema details").first).to_contain_text("allReleases(")
            await page.get_by_role("button", name="Run").click()
            await expect(page.locator("#answer")).to_contain_text(view.release.kf_id)

            await page.get_by_label("Query").fill(
                "query($first: Int) { allStudies(first: $first) { edges { cursor } } }"
            )
            await page.get_by_label("Variables").fill('{"first": 1}')
            await page.get_by_label("Variables").press("Control+Enter")
            await expect(page.locator("#answer")).to_contain_text('"cursor": "YXJyYXljb25uZWN0aW9uOjA="')
            await page.get_by_label("Variables").fill("{")
            await page.get_by_role("button", name="Run").click()
            await expect(page.locator("#answer")).to_contain_text("The variables are not JSON")
            await page.get_by_label("Search").fill("releaseNoteInput")
            await expect(page.locator("#schema details:visible")).not_to_have_count(0)
            await expect(page.locator("#schema details:visible", has_text="StudyNode!")).to_have_count(0)

            found = await Axe().run(page)
            assert found.response["violations"] == []
            assert [each for each in asked_for if not each.startswith(url)] == []
            assert said == []

    asyncio.run(go())
