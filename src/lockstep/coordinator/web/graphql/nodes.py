"""The things that can be asked for, each with the lists and the single things that it leads to.

What hangs on a release is seen by those who see the release, by whichever way they come to it: every list and every
link goes through the visit, which asks the store for what the caller may see. Of a task service, which only those who
run releases may see whole, others are shown the name and how it does, never its address.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Final
from uuid import UUID

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.extensions import FieldExtension
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.field import StrawberryField

from lockstep.coordinator.core.graph import Entity, Node, Wanted
from lockstep.coordinator.core.model import EventType, Release
from lockstep.coordinator.core.records import Event, ReleaseNote, Study, TaskService, TaskView
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.web.graphql.connections import UNLIMITED, Connection, connection, read_span, whole
from lockstep.coordinator.web.graphql.filters import ARGUMENTS, read_conditions, read_order
from lockstep.coordinator.web.graphql.ids import global_id, read_id
from lockstep.coordinator.web.graphql.mistakes import Refused
from lockstep.coordinator.web.graphql.visit import Visit

Info = strawberry.Info[Visit, None]

TYPE_NAMES: Final[Mapping[Entity, str]] = {
    Entity.RELEASE: "ReleaseNode",
    Entity.STUDY: "StudyNode",
    Entity.TASK: "TaskNode",
    Entity.SERVICE: "TaskServiceNode",
    Entity.EVENT: "EventNode",
    Entity.NOTE: "ReleaseNoteNode",
}
"""What each kind of thing is called in the schema, and in its ids."""

strawberry.enum(EventType, name="EventEventType", description="How much attention an event asks for.")


def argument(name: str, kind: Any, about: str = "", spelt: str | None = None) -> StrawberryArgument:  # noqa: ANN401 - any type of a schema
    """Return an argument that may be left out; `spelt` is its name for clients, if that is not as usual."""
    annotation = StrawberryAnnotation(kind | None)
    return StrawberryArgument(name, spelt, annotation, default=strawberry.UNSET, description=about or None)


PAGING: Final = (
    argument("before", str),
    argument("after", str),
    argument("first", int),
    argument("last", int),
    argument("order_by", str),
)
"""What every list can be asked by."""


class ListOf(FieldExtension):
    """Makes a field a list of things of one kind: the whole list at the root, that of a thing below it."""

    def __init__(self, entity: Entity) -> None:
        self._entity = entity

    def apply(self, field: StrawberryField) -> None:
        """Give the field its arguments."""
        own = ARGUMENTS[self._entity].items()
        field.arguments = [*PAGING, *(argument(name, each.kind, each.about) for name, each in own)]

    async def resolve_async(self, next_: Any, source: Any, info: Info, **asked: Any) -> Connection[Any]:  # noqa: ANN401, ARG002
        """Return the list."""
        span = read_span(info.field_name, asked)
        parent: Entity | None = None if source is None else source.entity
        conditions, oldest_first = read_conditions(self._entity, asked), read_order(asked)
        wanted = Wanted(self._entity, parent, conditions, oldest_first, span, UNLIMITED)
        visit = info.context
        if self._entity is Entity.SERVICE and not visit.may(Act.SEE_SERVICES):
            return whole(())
        piece = await (visit.listed(wanted) if parent is None else visit.listed_of(_place(info), wanted, source.kf_id))
        return connection(piece, span, lambda node: show(node, visit))


class OneOf(FieldExtension):
    """Makes a field the one thing of a kind that an id names; nothing if it is nobody's, or what may not be seen."""

    def __init__(self, entity: Entity) -> None:
        self._entity = entity

    def apply(self, field: StrawberryField) -> None:
        """Give the field its argument."""
        field.arguments = [StrawberryArgument("id", None, StrawberryAnnotation(strawberry.ID))]

    async def resolve_async(self, next_: Any, source: Any, info: Info, **asked: Any) -> "AnyNode | None":  # noqa: ANN401, ARG002
        """Return the thing.

        Raises:
            Refused: it is the id of a thing of another kind.
        """
        type_name = TYPE_NAMES[self._entity]
        kind, kf_id = read_id(asked["id"]) or (type_name, "")
        if kind != type_name:
            raise Refused(f"Must receive a {type_name} id.")
        hidden = self._entity is Entity.SERVICE and not info.context.may(Act.SEE_SERVICES)
        return None if hidden or not kf_id else await _linked(info, self._entity, kf_id)


def _place(info: Info) -> tuple[str, ...]:
    """Return the place in the query that is being answered, whichever things of the lists on the way it is about."""
    return tuple(name for name in info.path.as_list() if isinstance(name, str))


async def _nothing() -> None:
    """Stand for what `ListOf` and `OneOf` do."""


def listing(entity: Entity, about: str) -> Any:  # noqa: ANN401 - the field's type is its annotation
    """Return a field that is a list."""
    return strawberry.field(resolver=_nothing, extensions=[ListOf(entity)], description=about)


def single(entity: Entity, about: str) -> Any:  # noqa: ANN401 - the field's type is its annotation
    """Return a field that is one thing, by its id."""
    return strawberry.field(resolver=_nothing, extensions=[OneOf(entity)], description=about)


@strawberry.interface(name="Node", description="Something with an id of its own among all things.")
class AnyNode:
    """Something with an id."""

    id: strawberry.ID


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
    return await _linked(info, Entity.RELEASE, root.release_id)


async def _task_service(root: Any, info: Info) -> Any:  # noqa: ANN401
    return await _linked(info, Entity.SERVICE, root.service_id)


async def _task(root: Any, info: Info) -> Any:  # noqa: ANN401
    return await _linked(info, Entity.TASK, root.task_id)


async def _study(root: Any, info: Info) -> Any:  # noqa: ANN401
    return await _linked(info, Entity.STUDY, root.study_id)


async def _linked(info: Info, entity: Entity, kf_id: str | None) -> AnyNode | None:
    found = None if kf_id is None else await info.context.one(_place(info), entity, kf_id)
    return None if found is None else show(found, info.context)


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


def show(node: Node, visit: Visit) -> AnyNode:
    """Return a row as the caller is shown it."""
    record = node.record
    if isinstance(record, TaskService):
        return _service_node(record, node.uuid, whole=visit.may(Act.SEE_SERVICES))
    shown: AnyNode = _SHOWN[type(record)](record, node.uuid)
    return shown


def _id(entity: Entity, kf_id: str) -> strawberry.ID:
    return strawberry.ID(global_id(TYPE_NAMES[entity], kf_id))


def _release_node(release: Release, uuid: str) -> ReleaseNode:
    return ReleaseNode(
        id=_id(Entity.RELEASE, release.kf_id),
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


def _study_node(study: Study, _: str) -> StudyNode:
    return StudyNode(
        id=_id(Entity.STUDY, study.kf_id),
        kf_id=study.kf_id,
        name=study.name,
        visible=study.visible,
        deleted=study.deleted,
        created_at=study.created_at,
    )


def _task_node(view: TaskView, uuid: str) -> TaskNode:
    task = view.task
    return TaskNode(
        id=_id(Entity.TASK, task.kf_id),
        kf_id=task.kf_id,
        uuid=UUID(uuid),
        state=task.state.value,
        progress=task.progress,
        created_at=task.created_at,
        release_id=view.release_id,
        service_id=task.service_id,
    )


def _service_node(service: TaskService, uuid: str, *, whole: bool) -> TaskServiceNode:
    return TaskServiceNode(
        id=_id(Entity.SERVICE, service.kf_id),
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


def _event_node(event: Event, uuid: str) -> EventNode:
    return EventNode(
        id=_id(Entity.EVENT, event.kf_id),
        kf_id=event.kf_id,
        uuid=UUID(uuid),
        event_type=event.event_type,
        message=event.message,
        created_at=event.created_at,
        release_id=event.release_id,
        service_id=event.task_service_id,
        task_id=event.task_id,
    )


def _note_node(note: ReleaseNote, uuid: str) -> ReleaseNoteNode:
    return ReleaseNoteNode(
        id=_id(Entity.NOTE, note.kf_id),
        kf_id=note.kf_id,
        uuid=UUID(uuid),
        author=note.author,
        description=note.description,
        created_at=note.created_at,
        release_id=note.release_id,
        study_id=note.study_id,
    )


_SHOWN: Final[Mapping[type, Any]] = {
    Release: _release_node,
    Study: _study_node,
    TaskView: _task_node,
    Event: _event_node,
    ReleaseNote: _note_node,
}
