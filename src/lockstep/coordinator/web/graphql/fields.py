"""How a query leads from thing to thing: the fields that are lists, single things by their ids, and links.

Whichever way somebody comes to a thing, it is through the visit, which asks the store for what the caller may see. How
a record is shown is told by the module that has the types (`shows`), and found here by the record's kind.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.extensions import FieldExtension
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.field import StrawberryField

from lockstep.coordinator.core.graph import Entity, Node, Wanted
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


@strawberry.interface(name="Node", description="Something with an id of its own among all things.")
class AnyNode:
    """Something with an id."""

    id: strawberry.ID


def thing_id(entity: Entity, kf_id: str) -> strawberry.ID:
    """Return the id of a thing among all things."""
    return strawberry.ID(global_id(TYPE_NAMES[entity], kf_id))


Shows = TypeVar("Shows", bound=Callable[[Any, str, Visit], AnyNode])

_SHOWN: Final[dict[type, Callable[[Any, str, Visit], AnyNode]]] = {}


def shows(kind: type) -> Callable[[Shows], Shows]:
    """Have a function show records of a kind: it is given the record, its uuid and the visit."""

    def register(function: Shows) -> Shows:
        _SHOWN[kind] = function
        return function

    return register


def show(node: Node, visit: Visit) -> AnyNode:
    """Return a row as the caller is shown it."""
    return _SHOWN[type(node.record)](node.record, node.uuid, visit)


async def linked(info: Info, entity: Entity, kf_id: str | None) -> AnyNode | None:
    """Return the thing that another one leads to; nothing if it leads to none, or to what may not be seen."""
    found = None if kf_id is None else await info.context.one(_place(info), entity, kf_id)
    return None if found is None else show(found, info.context)


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

    async def resolve_async(self, next_: Any, source: Any, info: Info, **asked: Any) -> AnyNode | None:  # noqa: ANN401, ARG002
        """Return the thing.

        Raises:
            Refused: it is the id of a thing of another kind.
        """
        type_name = TYPE_NAMES[self._entity]
        kind, kf_id = read_id(asked["id"]) or (type_name, "")
        if kind != type_name:
            raise Refused(f"Must receive a {type_name} id.")
        hidden = self._entity is Entity.SERVICE and not info.context.may(Act.SEE_SERVICES)
        return None if hidden or not kf_id else await linked(info, self._entity, kf_id)


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
