"""`/events`: what happened. Those who may can add to it what happened elsewhere; nobody changes what has happened."""

from typing import Annotated, Final, Literal

from fastapi import Query, Request
from pydantic import Field
from starlette.responses import Response

from lockstep.coordinator.core.model import EventType
from lockstep.coordinator.core.records import EVENT_ORDERS, EventFilter
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.services.inputs import EventInput
from lockstep.coordinator.services.writing import write_event
from lockstep.coordinator.web.answers import JsonAnswer, base_url
from lockstep.coordinator.web.bodies import read
from lockstep.coordinator.web.callers import caller_of
from lockstep.coordinator.web.conditional import one
from lockstep.coordinator.web.desk import desk_of, sight_of
from lockstep.coordinator.web.operations import Operation
from lockstep.coordinator.web.rest.pages import (
    ORDERING,
    After,
    Before,
    EventPage,
    PageQuery,
    ReleaseIdFilter,
    ServiceIdFilter,
    TaskIdFilter,
    Words,
    orders,
    page_answer,
)
from lockstep.coordinator.web.rest.shapes import EventShape, event_shape


class EventQuery(PageQuery):
    """Which events."""

    release: Annotated[ReleaseIdFilter, Field(description="Only events of this release.")] = ""
    task_service: Annotated[ServiceIdFilter, Field(description="Only events about this service.")] = ""
    task: Annotated[TaskIdFilter, Field(description="Only events about this task.")] = ""
    event_type: Annotated[Literal["", "info", "warning", "error"], Field(description="Only events of this type.")] = ""
    search: Annotated[Words, Field(description="Only events whose message contains this, in any case.")] = ""
    created_before: Before = None
    created_after: After = None
    ordering: Annotated[str, orders(EVENT_ORDERS), ORDERING] = ""


async def list_events(request: Request, query: Annotated[EventQuery, Query()]) -> Response:
    """List events, newest first."""
    kind = EventType(query.event_type) if query.event_type else None
    which = EventFilter(
        query.release or None,
        query.task_service or None,
        query.task or None,
        kind,
        query.search or None,
        query.created_before,
        query.created_after,
    )
    page = await desk_of(request).store.events(query.page_of(), which, sight_of(request))
    return page_answer(request, query, page, event_shape)


async def show_event(request: Request, event_id: str) -> Response:
    """Show an event."""
    event = await desk_of(request).store.event(event_id, sight_of(request))
    return one(request, event_shape(event, base_url(request)))


async def add_event(request: Request) -> Response:
    """Write down what happened elsewhere. An event about a task is about its release and service too."""
    new = await read(request, EventInput)
    base = base_url(request)
    event = await write_event(desk_of(request).commands, new.new_event(), caller_of(request))
    return JsonAnswer(event_shape(event, base), 201, {"Location": f"{base}/events/{event.kf_id}"})


OPERATIONS: Final = (
    Operation(method="GET", path="/events", act=Act.SEE_PUBLISHED, call=list_events, shape=EventPage),
    Operation(
        method="POST",
        path="/events",
        act=Act.WRITE_EVENT,
        call=add_event,
        status=201,
        shape=EventShape,
        body=EventInput,
    ),
    Operation(
        method="GET",
        path="/events/{event_id}",
        act=Act.SEE_PUBLISHED,
        call=show_event,
        shape=EventShape,
        also=(404,),
        conditional=True,
    ),
)
