"""Signing in with a browser, and what each role is offered and refused."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from lockstep.coordinator.bootstrap import Running, running
from lockstep.coordinator.core.callers import LOCAL
from lockstep.coordinator.core.records import NewRelease, StudyFacts
from lockstep.coordinator.settings import read_settings
from lockstep.protocol.states import ReleaseState
from tests.dashboard.axe import violations
from tests.dashboard.browser import MISSING, chromium, find_browser
from tests.dashboard.house import Cable
from tests.identity.provider import GROUPS, ROLES, Provider, provider
from tests.patience import PATIENCE_S, until

pytestmark = [pytest.mark.skipif(find_browser() is None, reason=MISSING), pytest.mark.timeout(300)]

STUDIES = ("SD_00000001", "SD_00000002")


@pytest.fixture(scope="module")
def issuer() -> Iterator[Provider]:
    with provider() as running_provider:
        yield running_provider


@asynccontextmanager
async def _coordinator(issuer: Provider, folder: Path) -> AsyncIterator[tuple[Running, list[str]]]:
    """Open a coordinator with identity and two releases that wait for their review."""
    settings = read_settings(
        port=0,
        database_url=f"sqlite:///{folder}/lockstep.db",
        auth="oidc",
        oidc_issuer=issuer.url,
        oidc_audience="lockstep",
        oidc_client_id="lockstep",
        oidc_client_secret="any",
    )
    async with running(settings) as c:
        now = datetime.now(UTC)
        await c.desk.store.sync_studies([StudyFacts(kf_id, f"Study {kf_id}", True, now) for kf_id in STUDIES])
        made = []
        for number, study in enumerate(STUDIES):
            view = await c.desk.commands.create_release(NewRelease(f"Release {number}", (study,)), LOCAL)
            made.append(view.release.kf_id)
        for kf_id in made:
            await until(partial(_is_staged, c, kf_id))
        yield c, made


async def _is_staged(c: Running, release_id: str) -> bool:
    return (await c.desk.store.release(release_id)).release.state is ReleaseState.STAGED


async def _signed_in(
    browser: Browser, c: Running, issuer: Provider, *, sub: str, roles: Sequence[str], groups: Sequence[str] = ()
) -> Page:
    claims = {"nickname": sub, "email": f"{sub}@example.org", ROLES: list(roles), GROUPS: list(groups)}
    async with httpx.AsyncClient(timeout=PATIENCE_S) as web:
        assert (await web.put(f"{issuer.url}/users/{sub}", json=claims)).status_code == 204
    page = await (await browser.new_context()).new_page()
    await page.goto(f"{c.url}/profile")
    await page.locator("input[name=sub]").fill(sub)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Profile")).to_be_visible()
    return page


def test_each_role_is_offered_what_it_may_and_refused_the_rest(issuer: Provider, tmp_path: Path) -> None:
    async def go() -> None:
        async with _coordinator(issuer, tmp_path) as (c, (first, second)), chromium() as browser:
            address = f"{c.url}/releases/{first}"
            dev = await _signed_in(browser, c, issuer, sub="dora", roles=["DEV"])
            await dev.goto(address)
            await expect(dev.get_by_role("link", name="Cancel…")).to_be_visible()
            await expect(dev.get_by_role("link", name="Publish…")).to_have_count(0)
            await dev.goto(f"{address}/publish")
            await dev.get_by_role("button", name="Publish 0.1.0").click()
            await expect(dev.get_by_role("heading", name="That is not allowed")).to_be_visible()
            assert (await c.desk.store.release(first)).release.state is ReleaseState.STAGED

            user = await _signed_in(browser, c, issuer, sub="ulla", roles=["USER"], groups=[STUDIES[0]])
            await user.goto(address)
            await expect(user.get_by_role("heading", name="Release 0")).to_be_visible()
            for name in ("Cancel…", "Publish…", "Edit"):
                await expect(user.get_by_role("link", name=name)).to_have_count(0)
            await user.goto(f"{c.url}/releases/{second}")
            await expect(user.get_by_role("heading", name="Not found")).to_be_visible()
            await user.goto(f"{c.url}/services")
            await expect(user.get_by_role("heading", name="That is not allowed")).to_be_visible()

            admin = await _signed_in(browser, c, issuer, sub="anna", roles=["ADMIN"])
            await admin.goto(address)
            await expect(admin.get_by_text("Nobody signs in here")).to_have_count(0)
            await admin.get_by_role("link", name="Publish…").click()
            await admin.get_by_role("button", name="Publish 0.1.0").click()
            await expect(admin.locator('[data-live="head"]')).to_contain_text("Public on every service")

    asyncio.run(go())


def test_what_each_role_sees_is_accessible_in_both_themes(issuer: Provider, tmp_path: Path) -> None:
    async def go() -> dict[str, list[str]]:
        wrong = {}
        async with _coordinator(issuer, tmp_path) as (c, (first, _)), chromium() as browser:
            paths = ("/", "/plan", f"/releases/{first}", "/services", "/profile", "/public")
            for role in ("ADMIN", "DEV", "USER"):
                page = await _signed_in(browser, c, issuer, sub=role.lower(), roles=[role], groups=[STUDIES[0]])
                for path in paths:
                    await page.goto(c.url + path)
                    for theme in ("Dark", "Light"):
                        async with page.expect_response("**/theme"):
                            await page.get_by_role("button", name=theme, exact=True).click()
                        if found := await violations(page):
                            wrong[f"{role} {path} {theme}"] = found
        return wrong

    assert asyncio.run(go()) == {}


def test_a_page_that_is_open_when_its_reader_signs_out_says_so(issuer: Provider, tmp_path: Path) -> None:
    """It shows nothing new once its connection begins anew, and says why."""

    async def go() -> None:
        async with (
            _coordinator(issuer, tmp_path) as (c, (first, _)),
            chromium() as browser,
            Cable(c.url) as cable,
        ):
            page = await _signed_in(browser, c, issuer, sub="nora", roles=["DEV"])
            other = await page.context.new_page()
            await other.goto(f"{cable.url}/releases/{first}")
            await expect(other.locator("#connection")).to_have_text("Live")
            await page.get_by_role("button", name="Sign out").click()
            await page.wait_for_url(lambda url: not url.startswith(f"{c.url}/profile"))
            cable.cut()
            cable.mend()
            await expect(other.locator("#connection")).to_have_text("Signed out. Load the page again to sign in.")

    asyncio.run(go())


def test_what_was_written_when_a_session_ended_is_sent_again_after_signing_in(issuer: Provider, tmp_path: Path) -> None:
    async def go() -> None:
        async with _coordinator(issuer, tmp_path) as (c, (first, _)), chromium() as browser:
            page = await _signed_in(browser, c, issuer, sub="nils", roles=["DEV"])
            await page.goto(f"{c.url}/releases/{first}")
            note = page.locator(f"#note-{STUDIES[0]}")
            await note.locator("summary").click()
            await note.get_by_role("textbox").fill("Long thoughts\nof a whole afternoon")
            await page.context.clear_cookies(name="lockstep_session")
            await note.get_by_role("button", name="Save the note").click()
            await expect(page.get_by_role("heading", name="You were signed out")).to_be_visible()
            await expect(page.get_by_label("Description")).to_have_value("Long thoughts\nof a whole afternoon")
            assert (await c.desk.store.release(first)).notes == ()
            async with page.expect_popup() as opened:
                await page.get_by_role("link", name="Sign in in another tab").click()
            other = await opened.value
            await other.locator("input[name=sub]").fill("nils")
            await other.keyboard.press("Enter")
            await expect(other.get_by_role("heading", name="Profile")).to_be_visible()
            await page.get_by_role("button", name="Send it again").click()
            await expect(page.locator(f"#note-{STUDIES[0]}")).to_contain_text("of a whole afternoon")

    asyncio.run(go())


def test_who_is_not_signed_in_sees_the_public_page_and_is_asked_elsewhere(issuer: Provider, tmp_path: Path) -> None:
    """After signing in they are where they wanted to be; after signing out they are nobody again."""

    async def go() -> None:
        async with _coordinator(issuer, tmp_path) as (c, (first, _)), chromium() as browser:
            page = await browser.new_page()
            await page.goto(f"{c.url}/public")
            await expect(page.get_by_text("Nothing has been published yet.")).to_be_visible()
            await page.goto(f"{c.url}/releases/{first}")
            assert page.url.startswith(issuer.url)
            page = await _signed_in(browser, c, issuer, sub="olga", roles=["ADMIN"])
            said: list[str] = []
            page.on("console", lambda message: said.append(message.text))
            await page.get_by_role("button", name="Sign out").click()
            await page.wait_for_url(lambda url: not url.startswith(f"{c.url}/profile"))
            assert [line for line in said if "Content Security Policy" in line] == []
            await page.goto(f"{c.url}/profile")
            assert page.url.startswith(issuer.url)

    asyncio.run(go())
