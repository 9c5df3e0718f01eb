"""`/task-services`: register, list, show, edit, delete."""

from typing import Annotated, Final

from fastapi import Query, Request
from pydantic import BeforeValidator, Field, WithJsonSchema
from starlette.responses import Response

from lockstep.coordinator.core.records import ServiceFilter
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.services.inputs import ServiceEdit, ServiceInput
from lockstep.coordinator.web.answers import JsonAnswer, base_url
from lockstep.coordinator.web.bodies import read
from lockstep.coordinator.web.callers import caller_of
from lockstep.coordinator.web.desk import desk_of
from lockstep.coordinator.web.operations import Operation
from lockstep.coordinator.web.rest.pages import PageQuery, ServicePage, page_answer
from lockstep.coordinator.web.rest.shapes import ServiceShape, service_shape

_WORDS: Final = {"": None, "true": True, "True": True, "false": False, "False": False}


def _enabled(word: object) -> bool | None:
    if isinstance(word, str) and word in _WORDS:
        return _WORDS[word]
    raise ValueError("This is neither true nor false.")


class ServiceQuery(PageQuery):
    """Which task services."""

    enabled: Annotated[
        bool | None,
        BeforeValidator(_enabled),
        WithJsonSchema({"type": "string", "enum": list(_WORDS)}),
        Field(description="Only services that take part in new releases, or only those that do not."),
    ] = None


async def list_task_services(request: Request, query: Annotated[ServiceQuery, Query()]) -> Response:
    """List task services, newest created first."""
    page = await desk_of(request).store.services(query.page_of(), ServiceFilter(query.enabled))
    return page_answer(request, query, page, service_shape)


async def register_task_service(request: Request) -> Response:
    """Register a task service, whose `/status` must answer."""
    new = await read(request, ServiceInput)
    base = base_url(request)
    service = await desk_of(request).commands.register_service(new, caller_of(request))
    return JsonAnswer(service_shape(service, base), 201, {"Location": f"{base}/task-services/{service.kf_id}"})


async def show_task_service(request: Request, service_id: str) -> Response:
    """Show a task service."""
    return JsonAnswer(service_shape(await desk_of(request).store.service(service_id), base_url(request)))


async def edit_task_service(request: Request, service_id: str) -> Response:
    """Change the given fields of a task service; if `url` is among them, its `/status` must answer."""
    edit = await read(request, ServiceEdit)
    base = base_url(request)
    return JsonAnswer(
        service_shape(await desk_of(request).commands.edit_service(service_id, edit, caller_of(request)), base)
    )


async def replace_task_service(request: Request, service_id: str) -> Response:
    """Set every field of a task service anew, those that are not given to what a new one has."""
    edit = await read(request, ServiceInput)
    base = base_url(request)
    return JsonAnswer(
        service_shape(await desk_of(request).commands.edit_service(service_id, edit, caller_of(request)), base)
    )


async def delete_task_service(request: Request, service_id: str) -> Response:
    """Take a task service off the list and out of new releases. Its tasks in old ones stay."""
    await desk_of(request).commands.delete_service(service_id, caller_of(request))
    return Response(status_code=204)


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
    Operation(method="GET", path=_ONE, act=Act.SEE_SERVICES, call=show_task_service, shape=ServiceShape, also=(404,)),
    Operation(
        method="PUT",
        path=_ONE,
        act=Act.EDIT_SERVICE,
        call=replace_task_service,
        shape=ServiceShape,
        also=(404,),
        body=ServiceInput,
    ),
    Operation(
        method="PATCH",
        path=_ONE,
        act=Act.EDIT_SERVICE,
        call=edit_task_service,
        shape=ServiceShape,
        also=(404,),
        body=ServiceEdit,
    ),
    Operation(method="DELETE", path=_ONE, act=Act.EDIT_SERVICE, call=delete_task_service, status=204, also=(404,)),
)
