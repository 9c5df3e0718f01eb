"""Every page of the dashboard, by a name and an address in which the scenery's releases stand in braces."""

from typing import Final

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
