"""Everything that happened, newest first."""

from typing import Final

from starlette.requests import Request

from lockstep.coordinator.core.model import EventType
from lockstep.coordinator.core.records import EventFilter
from lockstep.coordinator.web.dashboard.listing import Asked, Listed
from lockstep.coordinator.web.dashboard.names import release_names, service_names
from lockstep.coordinator.web.dashboard.page import Page
from lockstep.coordinator.web.desk import desk_of, sight_of

_ROWS: Final = 100
_FILTERS: Final = ("q", "type", "release", "service")


async def show(request: Request) -> Page:
    """Show a page of the events."""
    asked = Asked.of(request, _FILTERS, size=_ROWS)
    given = asked.filters
    which = EventFilter(
        release_id=given.get("release"),
        task_service_id=given.get("service"),
        event_type=next((kind for kind in EventType if kind.value == given.get("type")), None),
        message_contains=given.get("q"),
    )
    page = await desk_of(request).store.events(asked.page_of, which, sight_of(request))
    values = {
        "list": Listed.of(page, asked),
        "services": await service_names(request, page.rows),
        "releases": await release_names(request, page.rows),
        "kinds": list(EventType),
    }
    return Page("events.html", "Events", values, live=("list",))
