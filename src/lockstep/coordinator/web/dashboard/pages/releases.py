"""All releases: searched, filtered, sorted, in pages."""

from typing import Final

from starlette.requests import Request

from lockstep.coordinator.core.records import RELEASE_ORDERS, ReleaseFilter
from lockstep.coordinator.core.versions import Version
from lockstep.coordinator.web.dashboard.listing import Asked, Listed
from lockstep.coordinator.web.dashboard.names import study_names
from lockstep.coordinator.web.dashboard.page import Page
from lockstep.coordinator.web.desk import desk_of, sight_of
from lockstep.protocol.ids import Prefix, is_id
from lockstep.protocol.states import ReleaseState

_FILTERS: Final = ("q", "state", "author", "study")


async def show(request: Request) -> Page:
    """Show a page of the releases."""
    asked = Asked.of(request, _FILTERS, RELEASE_ORDERS)
    filters = asked.filters
    words = filters.get("q", "")
    version = _version(words)
    which = ReleaseFilter(
        states=tuple(state for state in ReleaseState if state.value == filters.get("state")),
        name_contains=None if version else words or None,
        version=version,
        author=filters.get("author"),
        study_id=filters.get("study"),
    )
    page = await desk_of(request).store.releases(asked.page_of, which, sight_of(request))
    names = await study_names(request, [filters["study"]] if "study" in filters else [])
    values = {
        "list": Listed.of(page, asked),
        "states": list(ReleaseState),
        "studies": names,
        "is_id": is_id(words, Prefix.RELEASE),
    }
    return Page("releases.html", "Releases", values, live=("list",))


def _version(words: str) -> Version | None:
    """Return the version that was searched for, if that is what the words are."""
    try:
        return Version.parse(words)
    except ValueError:
        return None
