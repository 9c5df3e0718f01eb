"""The root of all queries: single things by their ids, and whole lists."""

import strawberry

from lockstep import __version__
from lockstep.coordinator.core.graph import Entity
from lockstep.coordinator.web.graphql.connections import Connection
from lockstep.coordinator.web.graphql.fields import Info, listing, single
from lockstep.coordinator.web.graphql.nodes import (
    EventNode,
    ReleaseNode,
    ReleaseNoteNode,
    StudyNode,
    TaskNode,
    TaskServiceNode,
)
from lockstep.coordinator.web.graphql.users import ALL_USERS, UserNode, my_profile


@strawberry.type(description="Who answers here.")
class Status:
    """Who answers here."""

    name: str
    version: str
    commit: str


def _status(info: Info) -> Status:
    return Status(name="Lockstep", version=__version__, commit=info.context.desk.commit)


@strawberry.type(description="What can be asked.")
class Query:
    """What can be asked."""

    status: Status | None = strawberry.field(resolver=_status, description="Who answers here.")

    release: ReleaseNode | None = single(Entity.RELEASE, "One release.")
    study: StudyNode | None = single(Entity.STUDY, "One study.")
    task: TaskNode | None = single(Entity.TASK, "One task.")
    task_service: TaskServiceNode | None = single(Entity.SERVICE, "One task service, for developers.")
    event: EventNode | None = single(Entity.EVENT, "One event.")
    release_note: ReleaseNoteNode | None = single(Entity.NOTE, "One release note.")

    all_releases: Connection[ReleaseNode] | None = listing(Entity.RELEASE, "Releases.")
    all_studies: Connection[StudyNode] | None = listing(Entity.STUDY, "Studies.")
    all_tasks: Connection[TaskNode] | None = listing(Entity.TASK, "Tasks.")
    all_task_services: Connection[TaskServiceNode] | None = listing(Entity.SERVICE, "Task services, for developers.")
    all_events: Connection[EventNode] | None = listing(Entity.EVENT, "Events.")
    all_release_notes: Connection[ReleaseNoteNode] | None = listing(Entity.NOTE, "Release notes.")

    all_users: Connection[UserNode] | None = ALL_USERS
    my_profile: UserNode | None = strawberry.field(resolver=my_profile, description="The caller's own profile.")
