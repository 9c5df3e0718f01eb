"""What can be done to task services."""

from typing import cast

import strawberry

from lockstep.coordinator.core.errors import Invalid, NotFound
from lockstep.coordinator.core.graph import Entity
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.services.inputs import ServiceEdit, check
from lockstep.coordinator.services.inputs import ServiceInput as NewService
from lockstep.coordinator.web.graphql.fields import Info, show
from lockstep.coordinator.web.graphql.given import fields_of, key
from lockstep.coordinator.web.graphql.mistakes import Refused
from lockstep.coordinator.web.graphql.nodes import TaskServiceNode


@strawberry.input(description="A task service, as it is to be.")
class TaskServiceInput:
    """A task service."""

    name: str
    url: str
    description: str | None = strawberry.UNSET
    enabled: bool | None = strawberry.UNSET


@strawberry.type
class CreateTaskServiceMutation:
    """What came of registering a task service."""

    task_service: TaskServiceNode | None


@strawberry.type
class UpdateTaskServiceMutation:
    """What came of changing a task service."""

    task_service: TaskServiceNode | None


async def create_task_service(info: Info, input: TaskServiceInput) -> CreateTaskServiceMutation:  # noqa: A002
    """Register a task service, whose `/status` must answer."""
    visit = info.context
    visit.must(Act.REGISTER_SERVICE)
    optional = fields_of(description=input.description, enabled=input.enabled)
    author = visit.caller.name
    try:
        new = check(NewService, {"name": input.name, "url": input.url, "author": author, **optional})
        service = await visit.ask(visit.desk.commands.register_service(new, visit.caller))
    except Invalid as error:
        raise _of_service(error) from error
    return CreateTaskServiceMutation(task_service=await _service(info, service.kf_id))


async def update_task_service(
    info: Info,
    task_service: strawberry.ID,
    input: TaskServiceInput,  # noqa: A002
) -> UpdateTaskServiceMutation:
    """Change a task service; if its address changes, its `/status` must answer."""
    visit = info.context
    visit.must(Act.EDIT_SERVICE)
    service_id = key(task_service)
    given = fields_of(name=input.name, url=input.url, description=input.description, enabled=input.enabled)
    try:
        before = await visit.ask(visit.desk.store.service(service_id))
        edit = check(ServiceEdit, given)
        if edit.url == before.url:
            edit = check(ServiceEdit, {name: value for name, value in given.items() if name != "url"})
        await visit.ask(visit.desk.commands.edit_service(service_id, edit, visit.caller))
    except NotFound:
        raise Refused("TaskService matching query does not exist.") from None
    except Invalid as error:
        raise _of_service(error) from error
    return UpdateTaskServiceMutation(task_service=await _service(info, service_id))


def _of_service(error: Invalid) -> Exception:
    """Return what is said of a wrong task service: clients know a sentence of their own for its address."""
    if "url" not in error.fields:
        return error
    return Refused(f"There was a problem with the service url: {error.fields['url']}")


async def _service(info: Info, service_id: str) -> TaskServiceNode | None:
    found = await info.context.ask(info.context.desk.store.look_up(Entity.SERVICE, [service_id], info.context.sight))
    return cast("TaskServiceNode", show(found[service_id], info.context)) if service_id in found else None
