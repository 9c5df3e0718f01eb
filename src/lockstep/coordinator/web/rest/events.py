"""`/events`: what happened. Nobody writes events from outside."""

from typing import Annotated, Final, Literal

from fastapi import Query, Request
from pydantic import Field
from starlette.responses import Response

from lockstep.coordinator.core.model import EventType
from lockstep.coordinator.core.records import EventFilter
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.web.answers import JsonAnswer, base_url
from lockstep.coordinator.web.desk import desk_of, sight_of
from lockstep.coordinator.web.operations import Operation
from lockstep.coordinator.web.rest.pages import (
    EventPage,
    PageQuery,
    ReleaseIdFilter,
    ServiceIdFilter,
    TaskIdFilter,
    page_answer,
)
from lockstep.coordinator.web.rest.shapes import EventShape, event_shape


class EventQuery(PageQuery):
    """Which events."""

    release: Annotated[ReleaseIdFilter, Field(description="Only events of this release.")] = ""
    task_service: Annotated[ServiceIdFilter, Field(description="Only events about this service.")] = ""
    task: Annotated[TaskIdFilter, Field(description="Only events about this task.")] = ""
    event_type: Annotated[Literal["", "info", "warning", "error"], Field(description="Only events of this type.")] = ""


async def list_events(request: Request, query: Annotated[EventQuery, Query()]) -> Response:
    """List events, newest first."""
    kind = EventType(query.event_type) if query.event_type else None
    which = EventFilter(query.release or None, query.task_service or None, query.task or None, kind)
    page = await desk_of(request).store.events(query.page_of(), which, sight_of(request))
    return page_answer(request, query, page, event_shape)


async def show_event(request: Request, event_id: str) -> Response:
    """Show an event."""
    return JsonAnswer(event_shape(await desk_of(request).store.event(event_id, sight_of(request)), base_url(request)))


OPERATIONS: Final = (
    Operation(method="GET", path="/events", act=Act.SEE_PUBLISHED, call=list_events, shape=EventPage),
    Operation(
        method="GET", path="/events/{event_id}", act=Act.SEE_PUBLISHED, call=show_event, shape=EventShape, also=(404,)
    ),
)
