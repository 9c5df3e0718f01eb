"""`/task_services`: the addresses of the first description of the API, in its envelope and with its names of fields."""

from typing import Annotated, Final

from fastapi import Query, Request
from starlette.responses import Response

from lockstep.coordinator.services.access import Act
from lockstep.coordinator.web.answers import JsonAnswer, base_url
from lockstep.coordinator.web.desk import desk_of
from lockstep.coordinator.web.operations import Operation
from lockstep.coordinator.web.rest.pages import next_page
from lockstep.coordinator.web.rest.shapes import OlderOneShape, OlderServicesShape, older_service_shape
from lockstep.coordinator.web.rest.task_services import ServiceQuery


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
