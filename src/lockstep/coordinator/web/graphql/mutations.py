"""The root of all mutations: each asks whether the caller may, has a command do it, and shows what came of it.

A refusal, or a thing that is not there, is said in the sentences that clients in the field know; commands ask for
permission themselves too. What a caller leaves out of an input stays as it is.
"""

from collections.abc import Mapping
from typing import Any, cast

import strawberry

from lockstep.coordinator.core.errors import Conflict, Invalid, NotFound
from lockstep.coordinator.core.graph import Entity, Node
from lockstep.coordinator.core.records import ReleaseView
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.services.inputs import ReleaseEdit, ServiceEdit, check
from lockstep.coordinator.services.inputs import ReleaseInput as NewRelease
from lockstep.coordinator.services.inputs import ServiceInput as NewService
from lockstep.coordinator.web.graphql.connections import Connection, whole
from lockstep.coordinator.web.graphql.ids import read_id
from lockstep.coordinator.web.graphql.mistakes import Refused
from lockstep.coordinator.web.graphql.nodes import Info, ReleaseNode, StudyNode, TaskServiceNode, show
from lockstep.protocol.states import SETTLED_RELEASES

_NO_RELEASE = "The release was not found."


@strawberry.input(description="A release to be started.")
class ReleaseInput:
    """A release to be started."""

    name: str
    description: str | None = strawberry.UNSET
    is_major: bool | None = strawberry.UNSET
    studies: list[strawberry.ID | None]


@strawberry.input(description="What is to be said of a release from now on.")
class UpdateReleaseInput:
    """A change to a release."""

    name: str | None = strawberry.UNSET
    description: str | None = strawberry.UNSET


@strawberry.input(description="A task service, as it is to be.")
class TaskServiceInput:
    """A task service."""

    name: str
    url: str
    description: str | None = strawberry.UNSET
    enabled: bool | None = strawberry.UNSET


@strawberry.type
class StartReleaseMutation:
    """What came of starting a release."""

    release: ReleaseNode | None


@strawberry.type
class UpdateReleaseMutation:
    """What came of changing a release."""

    release: ReleaseNode | None


@strawberry.type
class PublishReleaseMutation:
    """What came of publishing a release."""

    release: ReleaseNode | None


@strawberry.type
class CancelReleaseMutation:
    """What came of canceling a release."""

    release: ReleaseNode | None


@strawberry.type
class CreateTaskServiceMutation:
    """What came of registering a task service."""

    task_service: TaskServiceNode | None


@strawberry.type
class UpdateTaskServiceMutation:
    """What came of changing a task service."""

    task_service: TaskServiceNode | None


@strawberry.type
class SyncStudiesMutation:
    """What came of a sync of the studies."""

    new: Connection[StudyNode]
    deleted: Connection[StudyNode]


def key(given: str) -> str:
    """Return the id that a global id is about; one that cannot be read is nobody's."""
    return (read_id(given) or ("", given[:40]))[1]


def fields_of(**given: object) -> Mapping[str, Any]:
    """Return what was given: neither what was left out, nor what is null."""
    return {name: value for name, value in given.items() if value is not strawberry.UNSET and value is not None}


async def start_release(info: Info, input: ReleaseInput) -> StartReleaseMutation:  # noqa: A002 - what clients call it
    """Start a release of some studies on every enabled task service."""
    visit = info.context
    studies = [key(study or "") for study in input.studies]
    visit.must(Act.CREATE_RELEASE, own=bool(studies) and visit.caller.groups.issuperset(studies))
    optional = fields_of(description=input.description, is_major=input.is_major)
    new = check(NewRelease, {"name": input.name, "studies": studies, "author": visit.caller.name, **optional})
    view = await visit.desk.commands.create_release(new.new_release(), visit.caller)
    return StartReleaseMutation(release=_shown(info, view))


async def update_release(info: Info, release: strawberry.ID, input: UpdateReleaseInput) -> UpdateReleaseMutation:  # noqa: A002
    """Change what is said of a release."""
    visit = info.context
    visit.must(Act.EDIT_RELEASE)
    edit = check(ReleaseEdit, fields_of(name=input.name, description=input.description))
    try:
        view = await visit.desk.commands.edit_release(key(release), edit, visit.caller)
    except NotFound:
        raise Refused(_NO_RELEASE) from None
    return UpdateReleaseMutation(release=_shown(info, view))


async def publish_release(info: Info, release: strawberry.ID) -> PublishReleaseMutation:
    """Publish a release that is staged."""
    visit = info.context
    visit.must(Act.PUBLISH_RELEASE)
    try:
        view = await visit.desk.commands.publish(key(release), visit.caller)
    except NotFound:
        raise Refused(_NO_RELEASE) from None
    return PublishReleaseMutation(release=_shown(info, view))


async def cancel_release(info: Info, release: strawberry.ID) -> CancelReleaseMutation:
    """Cancel a release on all of its services."""
    visit = info.context
    visit.must(Act.CANCEL_RELEASE)
    try:
        before = await visit.desk.store.release(key(release))
        if before.release.state in SETTLED_RELEASES:
            raise Conflict(f"The release in state {before.release.state} may not be canceled.")
        view = await visit.desk.commands.cancel(key(release), visit.caller)
    except NotFound:
        raise Refused(_NO_RELEASE) from None
    return CancelReleaseMutation(release=_shown(info, view))


async def sync_studies(info: Info) -> SyncStudiesMutation:
    """Make the studies here those of the data service."""
    visit = info.context
    visit.must(Act.SYNC_STUDIES)
    result = await visit.desk.commands.sync_studies(visit.caller)
    new, deleted = [await _studies(info, kf_ids) for kf_ids in (result.new, result.deleted)]
    return SyncStudiesMutation(new=new, deleted=deleted)


async def create_task_service(info: Info, input: TaskServiceInput) -> CreateTaskServiceMutation:  # noqa: A002
    """Register a task service, whose `/status` must answer."""
    visit = info.context
    visit.must(Act.REGISTER_SERVICE)
    optional = fields_of(description=input.description, enabled=input.enabled)
    author = visit.caller.name
    try:
        new = check(NewService, {"name": input.name, "url": input.url, "author": author, **optional})
        service = await visit.desk.commands.register_service(new, visit.caller)
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
        before = await visit.desk.store.service(service_id)
        edit = check(ServiceEdit, given)
        if edit.url == before.url:
            edit = check(ServiceEdit, {name: value for name, value in given.items() if name != "url"})
        await visit.desk.commands.edit_service(service_id, edit, visit.caller)
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


def _shown(info: Info, view: ReleaseView) -> ReleaseNode:
    return cast("ReleaseNode", show(Node(view.release, view.release.uuid), info.context))


async def _service(info: Info, service_id: str) -> TaskServiceNode | None:
    found = await info.context.desk.store.look_up(Entity.SERVICE, [service_id], info.context.sight)
    return cast("TaskServiceNode", show(found[service_id], info.context)) if service_id in found else None


async def _studies(info: Info, kf_ids: tuple[str, ...]) -> Connection[StudyNode]:
    found = await info.context.desk.store.look_up(Entity.STUDY, kf_ids, info.context.sight)
    return whole(cast("StudyNode", show(found[kf_id], info.context)) for kf_id in kf_ids if kf_id in found)


@strawberry.type(description="What can be done.")
class Mutation:
    """What can be done."""

    start_release: StartReleaseMutation | None = strawberry.mutation(
        resolver=start_release, description="Start a release of some studies on every enabled task service."
    )
    update_release: UpdateReleaseMutation | None = strawberry.mutation(
        resolver=update_release, description="Change the name or the description of a release."
    )
    cancel_release: CancelReleaseMutation | None = strawberry.mutation(
        resolver=cancel_release, description="Cancel a release on all of its services."
    )
    publish_release: PublishReleaseMutation | None = strawberry.mutation(
        resolver=publish_release, description="Publish a release that is staged."
    )
    sync_studies: SyncStudiesMutation | None = strawberry.mutation(
        resolver=sync_studies, description="Make the studies here those of the data service."
    )
    create_task_service: CreateTaskServiceMutation | None = strawberry.mutation(
        resolver=create_task_service, description="Register a task service, whose /status must answer."
    )
    update_task_service: UpdateTaskServiceMutation | None = strawberry.mutation(
        resolver=update_task_service, description="Change a task service; what is left out stays as it is."
    )
