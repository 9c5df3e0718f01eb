"""What can be done to releases and studies."""

from typing import cast

import strawberry

from lockstep.coordinator.core.errors import Conflict, NotFound
from lockstep.coordinator.core.graph import Entity, Node
from lockstep.coordinator.core.records import ReleaseView
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.services.inputs import ReleaseEdit, check
from lockstep.coordinator.services.inputs import ReleaseInput as NewRelease
from lockstep.coordinator.web.graphql.connections import Connection, whole
from lockstep.coordinator.web.graphql.fields import Info, show
from lockstep.coordinator.web.graphql.given import fields_of, key
from lockstep.coordinator.web.graphql.mistakes import Refused
from lockstep.coordinator.web.graphql.nodes import ReleaseNode, StudyNode
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
class SyncStudiesMutation:
    """What came of a sync of the studies."""

    new: Connection[StudyNode]
    deleted: Connection[StudyNode]


async def start_release(info: Info, input: ReleaseInput) -> StartReleaseMutation:  # noqa: A002 - what clients call it
    """Start a release of some studies on every enabled task service."""
    visit = info.context
    studies = [key(study or "") for study in input.studies]
    visit.must(Act.CREATE_RELEASE, own=bool(studies) and visit.caller.groups.issuperset(studies))
    optional = fields_of(description=input.description, is_major=input.is_major)
    new = check(NewRelease, {"name": input.name, "studies": studies, "author": visit.caller.name, **optional})
    view = await visit.ask(visit.desk.commands.create_release(new.new_release(), visit.caller))
    return StartReleaseMutation(release=_shown(info, view))


async def update_release(info: Info, release: strawberry.ID, input: UpdateReleaseInput) -> UpdateReleaseMutation:  # noqa: A002
    """Change what is said of a release."""
    visit = info.context
    visit.must(Act.EDIT_RELEASE)
    edit = check(ReleaseEdit, fields_of(name=input.name, description=input.description))
    try:
        view = await visit.ask(visit.desk.commands.edit_release(key(release), edit, visit.caller))
    except NotFound:
        raise Refused(_NO_RELEASE) from None
    return UpdateReleaseMutation(release=_shown(info, view))


async def publish_release(info: Info, release: strawberry.ID) -> PublishReleaseMutation:
    """Publish a release that is staged."""
    visit = info.context
    visit.must(Act.PUBLISH_RELEASE)
    try:
        view = await visit.ask(visit.desk.commands.publish(key(release), visit.caller))
    except NotFound:
        raise Refused(_NO_RELEASE) from None
    return PublishReleaseMutation(release=_shown(info, view))


async def cancel_release(info: Info, release: strawberry.ID) -> CancelReleaseMutation:
    """Cancel a release on all of its services."""
    visit = info.context
    visit.must(Act.CANCEL_RELEASE)
    try:
        before = await visit.ask(visit.desk.store.release(key(release)))
        if before.release.state in SETTLED_RELEASES:
            raise Conflict(f"The release in state {before.release.state} may not be canceled.")
        view = await visit.ask(visit.desk.commands.cancel(key(release), visit.caller))
    except NotFound:
        raise Refused(_NO_RELEASE) from None
    return CancelReleaseMutation(release=_shown(info, view))


async def sync_studies(info: Info) -> SyncStudiesMutation:
    """Make the studies here those of the data service."""
    visit = info.context
    visit.must(Act.SYNC_STUDIES)
    result = await visit.ask(visit.desk.commands.sync_studies(visit.caller))
    new, deleted = [await _studies(info, kf_ids) for kf_ids in (result.new, result.deleted)]
    return SyncStudiesMutation(new=new, deleted=deleted)


def _shown(info: Info, view: ReleaseView) -> ReleaseNode:
    return cast("ReleaseNode", show(Node(view.release, view.release.uuid), info.context))


async def _studies(info: Info, kf_ids: tuple[str, ...]) -> Connection[StudyNode]:
    found = await info.context.ask(info.context.desk.store.look_up(Entity.STUDY, kf_ids, info.context.sight))
    return whole(cast("StudyNode", show(found[kf_id], info.context)) for kf_id in kf_ids if kf_id in found)
