"""Every page of the dashboard, by a name and an address in which the scenery's releases stand in braces."""

from typing import Final

from playwright.async_api import Page

PAGES: Final = {
    "home": "/",
    "plan": "/plan?from={staged}",
    "releases": "/releases",
    "release-staged": "/releases/{staged}",
    "release-running": "/releases/{running}",
    "release-partial": "/releases/{partial}",
    "release-failed": "/releases/{failed}",
    "release-published": "/releases/{published}",
    "publish": "/releases/{staged}/publish",
    "cancel": "/releases/{running}/cancel",
    "edit": "/releases/{staged}/edit",
    "note": "/releases/{staged}/notes/{note}",
    "studies": "/studies",
    "study": "/studies/{study}",
    "services": "/services",
    "service": "/services/{service}",
    "register": "/services/new",
    "edit-service": "/services/{service}/edit",
    "release-notes": "/release-notes",
    "events": "/events",
    "profile": "/profile",
    "about": "/about",
    "public": "/public",
    "not-found": "/nowhere",
}

DIALOGS: Final = {
    "publish dialog": ("/releases/{staged}", "Publish…"),
    "cancel dialog": ("/releases/{running}", "Cancel…"),
}
"""Pages with a dialog over them, by the link that opens it."""


async def open_dialog(page: Page, address: str, press: str) -> None:
    """Open a page and a dialog over it."""
    await page.goto(address)
    await page.get_by_role("link", name=press).click()
    await page.wait_for_selector("dialog[open]")


async def confirm(page: Page, plan: str) -> None:
    """Open the page that is looked at before a release starts."""
    await page.goto(plan)
    await page.get_by_role("button", name="Look at it before it starts").click()
    await page.get_by_role("button", name="Start the release").wait_for()
