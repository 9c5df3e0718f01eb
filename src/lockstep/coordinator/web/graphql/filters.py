"""What each list can be asked by: one table from the names that clients use to the conditions of the store.

A value that cannot be meant is an error that says so, since a filter that is dropped silently shows everything to those
who asked for a part. An empty text filters nothing. Times are seconds since 1970 in UTC, as numbers, which is the type
that clients in the field declare for them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import strawberry

from lockstep.coordinator.core.errors import Invalid
from lockstep.coordinator.core.graph import Comparison, Condition, Entity
from lockstep.coordinator.core.model import EventType
from lockstep.coordinator.core.versions import Version
from lockstep.coordinator.services.fields import release_state
from lockstep.coordinator.web.graphql.ids import read_id
from lockstep.protocol.errors import BadMessage
from lockstep.protocol.ids import Prefix, is_id
from lockstep.protocol.states import task_state

ORDERS: Final = ("created_at", "-created_at")
"""What `orderBy` can say; without it the newest come first."""

_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a list.

    Attributes:
        kind: its type in the schema.
        field: the field of the store's rows that it is about, and `test`, how it is compared.
        read: returns the value to compare with; raises `ValueError` with a sentence.
        about: what it does, for the documentation.
    """

    kind: Any
    field: str
    test: Comparison = Comparison.IS
    read: Callable[[Any], object] = lambda given: given
    about: str = ""


def text(given: str) -> str:
    """Return a text that a database can keep."""
    if "\0" in given or (not given.isascii() and any("\ud800" <= letter <= "\udfff" for letter in given)):
        raise ValueError("this text has a character in it that is none")
    return given


def moment(given: float) -> datetime:
    """Return the time of a number of seconds since 1970."""
    try:
        return datetime.fromtimestamp(given, UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{given:g} is no time; it is in seconds since 1970-01-01T00:00:00Z") from None


def _version(given: str) -> Version:
    parts = given.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdecimal() and len(part) < 10 for part in parts):  # noqa: PLR2004
        raise ValueError(f"{given[:_SHOWN]!r} is no version; one looks like 1.2.3")
    return Version(*map(int, parts))


def _task_state(given: str) -> object:
    try:
        return task_state(given)
    except BadMessage as error:
        raise ValueError(str(error)) from None


def _event_type(given: str) -> EventType:
    try:
        return EventType(given.lower())
    except ValueError:
        raise ValueError(f"{given[:_SHOWN]!r} is no type of event; the types are {', '.join(EventType)}") from None


def _kf_id(prefix: Prefix) -> Callable[[str], str]:
    def read(given: str) -> str:
        if not is_id(given, prefix):
            raise ValueError(f"{given[:_SHOWN]!r} is no id here; one looks like {prefix}_9ZXY8WVT")
        return given

    return read


def _node(type_name: str) -> Callable[[str], str]:
    def read(given: str) -> str:
        kind, key = read_id(given) or ("", "")
        if kind != type_name:
            raise ValueError(f"{given[:_SHOWN]!r} is not the id of a {type_name}")
        return key

    return read


_NAME: Final = {
    "name": Argument(str, "name", read=text),
    "name_contains": Argument(str, "name", Comparison.CONTAINS, text, "In any case of letters."),
}
_CREATED: Final = {
    "created_before": Argument(float, "created_at", Comparison.BEFORE, moment, "In seconds since 1970."),
    "created_after": Argument(float, "created_at", Comparison.AFTER, moment, "In seconds since 1970."),
}
_AUTHOR: Final = {"author": Argument(str, "author", read=text)}

ARGUMENTS: Final[Mapping[Entity, Mapping[str, Argument]]] = {
    Entity.RELEASE: {
        "version": Argument(str, "version", read=_version),
        "state": Argument(str, "state", read=release_state),
        **_AUTHOR,
        "name": _NAME["name"],
        "is_major": Argument(bool, "is_major"),
        "name_contains": _NAME["name_contains"],
        **_CREATED,
    },
    Entity.STUDY: {
        "kf_id": Argument(str, "kf_id", read=text),
        "visible": Argument(bool, "visible"),
        "deleted": Argument(bool, "deleted"),
        "name_contains": _NAME["name_contains"],
        **_CREATED,
    },
    Entity.TASK: {
        "kf_id": Argument(str, "kf_id", read=_kf_id(Prefix.TASK)),
        "state": Argument(str, "state", read=_task_state),
        "release": Argument(str, "release_id", read=_kf_id(Prefix.RELEASE), about="By its kfId."),
        "task_service": Argument(str, "service_id", read=_kf_id(Prefix.TASK_SERVICE), about="By its kfId."),
        **_CREATED,
    },
    Entity.SERVICE: {
        **_AUTHOR,
        "name": _NAME["name"],
        "url": Argument(str, "url", read=text),
        "description": Argument(str, "description", read=text),
        "enabled": Argument(bool, "enabled"),
        "name_contains": _NAME["name_contains"],
        **_CREATED,
    },
    Entity.EVENT: {
        "event_type": Argument(str, "event_type", read=_event_type),
        "release": Argument(strawberry.ID, "release_id", read=_node("ReleaseNode")),
        "task_service": Argument(strawberry.ID, "task_service_id", read=_node("TaskServiceNode")),
        "task": Argument(strawberry.ID, "task_id", read=_node("TaskNode")),
        "message_contains": Argument(str, "message", Comparison.CONTAINS, text, "In any case of letters."),
        **_CREATED,
    },
    Entity.NOTE: {
        "kf_id": Argument(str, "kf_id", read=_kf_id(Prefix.RELEASE_NOTE)),
        **_AUTHOR,
        "release": Argument(strawberry.ID, "release_id", read=_node("ReleaseNode")),
        "study": Argument(strawberry.ID, "study_id", read=_node("StudyNode")),
        **_CREATED,
    },
}
"""The arguments of each list, beside those of every list."""


def read_conditions(entity: Entity, asked: Mapping[str, Any]) -> tuple[Condition, ...]:
    """Return the conditions that a client asks for.

    Raises:
        Invalid: a value cannot be meant.
    """
    given = {name: value for name, value in asked.items() if value is not None and value != ""}
    return tuple(
        Condition(argument.field, argument.test, read(camel(name), argument.read, given[name]))
        for name, argument in ARGUMENTS[entity].items()
        if name in given
    )


def read_order(asked: Mapping[str, Any], orders: tuple[str, str] = ORDERS) -> bool:
    """Tell whether the oldest are to come first.

    Raises:
        Invalid: the list has no such order.
    """
    order = asked.get("order_by") or orders[1]
    if order not in orders:
        raise Invalid({"orderBy": [f"{order[:_SHOWN]!r} is no order of this list; {' and '.join(orders)} are."]})
    return bool(order == orders[0])


def read(name: str, how: Callable[[Any], object], given: object) -> object:
    """Return what a value means.

    Raises:
        Invalid: it cannot be meant.
    """
    try:
        return how(given)
    except ValueError as error:
        raise Invalid({name: [f"{str(error).rstrip('.')}."]}) from None


def camel(name: str) -> str:
    """Return a name as clients spell it."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
