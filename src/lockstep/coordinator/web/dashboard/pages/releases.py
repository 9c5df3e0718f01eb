"""All releases: searched, filtered, sorted, in pages."""

from typing import Final

from starlette.requests import Request

from lockstep.coordinator.core.records import RELEASE_ORDERS, ReleaseFilter
from lockstep.coordinator.web.dashboard.listing import Asked, Listed
from lockstep.coordinator.web.dashboard.names import study_names
from lockstep.coordinator.web.dashboard.page import Page
from lockstep.coordinator.web.desk import desk_of, sight_of
from lockstep.protocol.states import ReleaseState

_FILTERS: Final = ("q", "state", "author", "study")


async def show(request: Request) -> Page:
    """Show a page of the releases."""
    asked = Asked.of(request, _FILTERS, RELEASE_ORDERS)
    filters = asked.filters
    which = ReleaseFilter(
        states=tuple(state for state in ReleaseState if state.value == filters.get("state")),
        name_contains=filters.get("q"),
        author=filters.get("author"),
        study_id=filters.get("study"),
    )
    page = await desk_of(request).store.releases(asked.page_of, which, sight_of(request))
    names = await study_names(request, [filters["study"]] if "study" in filters else [])
    values = {"list": Listed.of(page, asked), "states": list(ReleaseState), "studies": names}
    return Page("releases.html", "Releases", values, live=("list",))
