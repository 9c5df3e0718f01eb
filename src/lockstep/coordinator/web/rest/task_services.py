"""`/task-services`: register, list, show, edit, delete, and look at their health."""

from typing import Annotated, Final, Literal

from fastapi import Query, Request
from pydantic import Field
from starlette.responses import Response

from lockstep.coordinator.core.records import SERVICE_ORDERS, ServiceFilter, TaskService
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.services.inputs import ServiceEdit, ServiceInput, ServiceReplacement
from lockstep.coordinator.web.answers import JsonAnswer, base_url
from lockstep.coordinator.web.bodies import read
from lockstep.coordinator.web.callers import caller_of
from lockstep.coordinator.web.conditional import check_seen, expects, one
from lockstep.coordinator.web.desk import desk_of
from lockstep.coordinator.web.operations import Operation
from lockstep.coordinator.web.rest.pages import (
    ORDERING,
    After,
    Before,
    Flag,
    PageQuery,
    ServicePage,
    Words,
    orders,
    page_answer,
)
from lockstep.coordinator.web.rest.shapes import HealthCheckedShape, ServiceShape, service_shape


class ServiceQuery(PageQuery):
    """Which task services."""

    enabled: Annotated[Flag, Field(description="Only those that take part in new releases, or only others.")] = None
    author: Annotated[Words, Field(description="Only services of this author.")] = ""
    name: Annotated[Words, Field(description="Only services of this name.")] = ""
    search: Annotated[Words, Field(description="Only services whose name contains this, in any case of letters.")] = ""
    url: Annotated[Words, Field(description="Only services at this address.")] = ""
    health_status: Annotated[Literal["", "ok", "down"], Field(description="Only services in this health.")] = ""
    created_before: Before = None
    created_after: After = None
    ordering: Annotated[str, orders(SERVICE_ORDERS), ORDERING] = ""

    def which(self) -> ServiceFilter:
        """Return the filter as the store knows it."""
        return ServiceFilter(
            enabled=self.enabled,
            author=self.author or None,
            name=self.name or None,
            name_contains=self.search or None,
            url=self.url or None,
            healthy=self.health_status == "ok" if self.health_status else None,
            created_before=self.created_before,
            created_after=self.created_after,
        )


async def list_task_services(request: Request, query: Annotated[ServiceQuery, Query()]) -> Response:
    """List task services, newest created first."""
    page = await desk_of(request).store.services(query.page_of(), query.which())
    return page_answer(request, query, page, service_shape)


async def register_task_service(request: Request) -> Response:
    """Register a task service, whose `/status` must answer."""
    new = await read(request, ServiceInput)
    base = base_url(request)
    service = await desk_of(request).commands.register_service(new, caller_of(request))
    return JsonAnswer(service_shape(service, base), 201, {"Location": f"{base}/task-services/{service.kf_id}"})


async def show_task_service(request: Request, service_id: str) -> Response:
    """Show a task service."""
    return _shown(request, await desk_of(request).store.service(service_id))


async def edit_task_service(request: Request, service_id: str) -> Response:
    """Change the given fields of a task service; if `url` is among them, its `/status` must answer."""
    return await _edit(request, service_id, await read(request, ServiceEdit))


async def replace_task_service(request: Request, service_id: str) -> Response:
    """Change a task service by sending all of it; what is left out stays as it is."""
    return await _edit(request, service_id, await read(request, ServiceReplacement))


async def delete_task_service(request: Request, service_id: str) -> Response:
    """Take a task service off the list and out of new releases. Its tasks in old ones stay."""
    seen = await _seen(request, service_id)
    await desk_of(request).commands.delete_service(service_id, caller_of(request), seen)
    return Response(status_code=204)


async def check_task_services(request: Request) -> Response:
    """Look at the `/status` of every task service now, disabled ones too."""
    await desk_of(request).commands.check_health(caller_of(request))
    return JsonAnswer({"status": "ok"})


async def _edit(request: Request, service_id: str, edit: ServiceEdit) -> Response:
    base_url(request)
    seen = await _seen(request, service_id)
    return _shown(request, await desk_of(request).commands.edit_service(service_id, edit, caller_of(request), seen))


async def _seen(request: Request, service_id: str) -> TaskService | None:
    """Return what the caller has seen, if it asks that only this be changed; None if it does not ask."""
    if not expects(request):
        return None
    service = await desk_of(request).store.service(service_id)
    check_seen(request, service_shape(service, base_url(request)))
    return service


def _shown(request: Request, service: TaskService) -> Response:
    return one(request, service_shape(service, base_url(request)))


_ALL: Final = "/task-services"
_ONE: Final = "/task-services/{service_id}"

OPERATIONS: Final = (
    Operation(method="GET", path=_ALL, act=Act.SEE_SERVICES, call=list_task_services, shape=ServicePage),
    Operation(
        method="POST",
        path=_ALL,
        act=Act.REGISTER_SERVICE,
        call=register_task_service,
        status=201,
        shape=ServiceShape,
        body=ServiceInput,
    ),
    Operation(
        method="POST",
        path=f"{_ALL}/health_checks",
        act=Act.CHECK,
        call=check_task_services,
        shape=HealthCheckedShape,
    ),
    Operation(
        method="GET",
        path=_ONE,
        act=Act.SEE_SERVICES,
        call=show_task_service,
        shape=ServiceShape,
        also=(404,),
        conditional=True,
    ),
    Operation(
        method="PUT",
        path=_ONE,
        act=Act.EDIT_SERVICE,
        call=replace_task_service,
        shape=ServiceShape,
        also=(404,),
        body=ServiceReplacement,
        conditional=True,
    ),
    Operation(
        method="PATCH",
        path=_ONE,
        act=Act.EDIT_SERVICE,
        call=edit_task_service,
        shape=ServiceShape,
        also=(404,),
        body=ServiceEdit,
        conditional=True,
    ),
    Operation(
        method="DELETE",
        path=_ONE,
        act=Act.EDIT_SERVICE,
        call=delete_task_service,
        status=204,
        also=(404,),
        conditional=True,
    ),
)
