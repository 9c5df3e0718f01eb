"""`/task_services`: the addresses of the first description of the API, in its envelope and with its names of fields."""

from typing import Annotated, Final

from fastapi import Query, Request
from pydantic import Field
from starlette.responses import Response
from typing_extensions import TypedDict

from lockstep.coordinator.core.records import TaskService
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.web.answers import JsonAnswer, base_url, time
from lockstep.coordinator.web.desk import desk_of
from lockstep.coordinator.web.operations import Operation
from lockstep.coordinator.web.rest.pages import next_page
from lockstep.coordinator.web.rest.shapes import Link, ServiceId, Time
from lockstep.coordinator.web.rest.task_services import ServiceQuery


class OlderServiceShape(TypedDict):
    """A task service, as the first description of the API has it."""

    kf_id: ServiceId
    name: str
    url: Link
    health_status: Annotated[str, Field(json_schema_extra={"enum": ["good", "down"]})]
    date_submitted: Time


class _EnvelopeStatusShape(TypedDict):
    code: int
    message: str


class OlderServicesShape(TypedDict):
    """Task services in the envelope of the first description of the API."""

    _links: Annotated[dict[str, str], Field(description="The address of this answer, and of the next page.")]
    _status: _EnvelopeStatusShape
    results: list[OlderServiceShape]


class OlderOneShape(TypedDict):
    """A task service in the envelope of the first description of the API."""

    _links: Annotated[dict[str, str], Field(description="The address of this answer.")]
    _status: _EnvelopeStatusShape
    results: OlderServiceShape


def older_service_shape(service: TaskService) -> OlderServiceShape:
    """Return a task service as the first description of the API has it."""
    return {
        "kf_id": service.kf_id,
        "name": service.name,
        "url": service.url,
        "health_status": "good" if service.health_status == "ok" else "down",
        "date_submitted": time(service.created_at),
    }


async def list_older_task_services(request: Request, query: Annotated[ServiceQuery, Query()]) -> Response:
    """List task services, newest created first, in the older envelope."""
    page = await desk_of(request).store.services(query.page_of(), query.which())
    following = next_page(request, query, page)
    links = {"next": following} if following else {}
    return _enveloped(request, [older_service_shape(service) for service in page.rows], links)


async def show_older_task_service(request: Request, service_id: str) -> Response:
    """Show a task service in the older envelope."""
    return _enveloped(request, older_service_shape(await desk_of(request).store.service(service_id)), {})


def _enveloped(request: Request, results: object, links: dict[str, str]) -> Response:
    here = f"{base_url(request)}{request.scope['path']}"
    status = {"code": 200, "message": "success"}
    return JsonAnswer({"_links": {"self": here, **links}, "_status": status, "results": results})


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/task_services",
        act=Act.SEE_SERVICES,
        call=list_older_task_services,
        shape=OlderServicesShape,
    ),
    Operation(
        method="GET",
        path="/task_services/{service_id}",
        act=Act.SEE_SERVICES,
        call=show_older_task_service,
        shape=OlderOneShape,
        also=(404,),
    ),
)
