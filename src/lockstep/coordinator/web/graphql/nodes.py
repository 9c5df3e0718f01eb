"""The things that can be asked for, each with what it leads to, and how each is shown.

Of a task service, which only those who run releases may see whole, others are shown the name and how it does, never its
address.
"""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import strawberry

from lockstep.coordinator.core.graph import Entity
from lockstep.coordinator.core.model import EventType, Release
from lockstep.coordinator.core.records import Event, ReleaseNote, Study, TaskService, TaskView
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.web.graphql.connections import Connection
from lockstep.coordinator.web.graphql.fields import AnyNode, Info, linked, listing, shows, thing_id
from lockstep.coordinator.web.graphql.visit import Visit

strawberry.enum(EventType, name="EventEventType", description="How much attention an event asks for.")


@strawberry.type(description="A set of studies on its way to every task service.")
class ReleaseNode(AnyNode):
    """A release."""

    entity: ClassVar = Entity.RELEASE
    kf_id: str
    uuid: UUID
    author: str
    name: str
    description: str
    state: str
    tags: list[str | None]
    version: str
    is_major: bool
    created_at: datetime
    studies: Connection["StudyNode"] = listing(Entity.STUDY, "The studies in it.")
    tasks: Connection["TaskNode"] = listing(Entity.TASK, "Its tasks, one for each service.")
    events: Connection["EventNode"] = listing(Entity.EVENT, "What happened to it.")
    notes: Connection["ReleaseNoteNode"] = listing(Entity.NOTE, "What is new, by study.")


@strawberry.type(description="A study of the data service.")
class StudyNode(AnyNode):
    """A study."""

    entity: ClassVar = Entity.STUDY
    kf_id: str
    name: str
    visible: bool
    deleted: bool
    created_at: datetime | None
    notes: Connection["ReleaseNoteNode"] = listing(Entity.NOTE, "Notes on it, of any release.")
    releases: Connection["ReleaseNode"] | None = listing(Entity.RELEASE, "The releases that hold it.")


async def _release(root: Any, info: Info) -> Any:  # noqa: ANN401 - the fields' types are their annotations
    return await linked(info, Entity.RELEASE, root.release_id)


async def _task_service(root: Any, info: Info) -> Any:  # noqa: ANN401
    return await linked(info, Entity.SERVICE, root.service_id)


async def _task(root: Any, info: Info) -> Any:  # noqa: ANN401
    return await linked(info, Entity.TASK, root.task_id)


async def _study(root: Any, info: Info) -> Any:  # noqa: ANN401
    return await linked(info, Entity.STUDY, root.study_id)


@strawberry.type(description="One task service's part in one release.")
class TaskNode(AnyNode):
    """A task."""

    entity: ClassVar = Entity.TASK
    release_id: strawberry.Private[str]
    service_id: strawberry.Private[str]
    kf_id: str
    uuid: UUID
    state: str
    progress: int
    created_at: datetime
    release: ReleaseNode = strawberry.field(resolver=_release)
    task_service: "TaskServiceNode" = strawberry.field(resolver=_task_service)
    events: Connection["EventNode"] = listing(Entity.EVENT, "What happened to it.")


@strawberry.type(description="A service that releases are brought to. Its address is for those who may see it.")
class TaskServiceNode(AnyNode):
    """A task service."""

    entity: ClassVar = Entity.SERVICE
    kf_id: str
    uuid: UUID
    name: str
    description: str
    url: str
    author: str
    last_ok_status: int
    enabled: bool
    created_at: datetime
    health_status: str | None
    tasks: Connection[TaskNode] = listing(Entity.TASK, "Its tasks, of any release.")
    events: Connection["EventNode"] = listing(Entity.EVENT, "What happened to its tasks.")


@strawberry.type(description="Something that happened.")
class EventNode(AnyNode):
    """An event."""

    entity: ClassVar = Entity.EVENT
    release_id: strawberry.Private[str | None]
    service_id: strawberry.Private[str | None]
    task_id: strawberry.Private[str | None]
    kf_id: str
    uuid: UUID
    event_type: EventType
    message: str
    created_at: datetime
    release: ReleaseNode | None = strawberry.field(resolver=_release)
    task_service: TaskServiceNode | None = strawberry.field(resolver=_task_service)
    task: TaskNode | None = strawberry.field(resolver=_task)


@strawberry.type(description="What is new in a release, or for one study in it, in Markdown.")
class ReleaseNoteNode(AnyNode):
    """A release note."""

    entity: ClassVar = Entity.NOTE
    release_id: strawberry.Private[str]
    study_id: strawberry.Private[str | None]
    kf_id: str
    uuid: UUID
    author: str
    description: str
    created_at: datetime
    release: ReleaseNode = strawberry.field(resolver=_release)
    study: StudyNode | None = strawberry.field(resolver=_study)


@shows(Release)
def _release_node(release: Release, uuid: str, _: Visit) -> ReleaseNode:
    return ReleaseNode(
        id=thing_id(Entity.RELEASE, release.kf_id),
        kf_id=release.kf_id,
        uuid=UUID(uuid),
        author=release.author,
        name=release.name,
        description=release.description,
        state=release.state.value,
        tags=list(release.tags),
        version=str(release.version),
        is_major=release.is_major,
        created_at=release.created_at,
    )


@shows(Study)
def _study_node(study: Study, _: str, __: Visit) -> StudyNode:
    return StudyNode(
        id=thing_id(Entity.STUDY, study.kf_id),
        kf_id=study.kf_id,
        name=study.name,
        visible=study.visible,
        deleted=study.deleted,
        created_at=study.created_at,
    )


@shows(TaskView)
def _task_node(view: TaskView, uuid: str, _: Visit) -> TaskNode:
    task = view.task
    return TaskNode(
        id=thing_id(Entity.TASK, task.kf_id),
        kf_id=task.kf_id,
        uuid=UUID(uuid),
        state=task.state.value,
        progress=task.progress,
        created_at=task.created_at,
        release_id=view.release_id,
        service_id=task.service_id,
    )


@shows(TaskService)
def _service_node(service: TaskService, uuid: str, visit: Visit) -> TaskServiceNode:
    whole = visit.may(Act.SEE_SERVICES)
    return TaskServiceNode(
        id=thing_id(Entity.SERVICE, service.kf_id),
        kf_id=service.kf_id,
        uuid=UUID(uuid),
        name=service.name,
        description=service.description if whole else "",
        url=service.url if whole else "",
        author=service.author if whole else "",
        last_ok_status=service.last_ok_status,
        enabled=service.enabled,
        created_at=service.created_at,
        health_status=service.health_status,
    )


@shows(Event)
def _event_node(event: Event, uuid: str, _: Visit) -> EventNode:
    return EventNode(
        id=thing_id(Entity.EVENT, event.kf_id),
        kf_id=event.kf_id,
        uuid=UUID(uuid),
        event_type=event.event_type,
        message=event.message,
        created_at=event.created_at,
        release_id=event.release_id,
        service_id=event.task_service_id,
        task_id=event.task_id,
    )


@shows(ReleaseNote)
def _note_node(note: ReleaseNote, uuid: str, _: Visit) -> ReleaseNoteNode:
    return ReleaseNoteNode(
        id=thing_id(Entity.NOTE, note.kf_id),
        kf_id=note.kf_id,
        uuid=UUID(uuid),
        author=note.author,
        description=note.description,
        created_at=note.created_at,
        release_id=note.release_id,
        study_id=note.study_id,
    )
