"""Answers one question: executes its query on the schema, and puts the outcome as clients know it."""

from dataclasses import dataclass
from typing import Any, Final

from graphql import GraphQLError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from lockstep.coordinator.core.callers import Caller
from lockstep.coordinator.web.desk import Desk
from lockstep.coordinator.web.graphql.mistakes import sentence
from lockstep.coordinator.web.graphql.schema import schema
from lockstep.coordinator.web.graphql.visit import Visit

_ASKING: Final = frozenset({OperationType.QUERY})
_ANYTHING: Final = frozenset({OperationType.QUERY, OperationType.MUTATION})


class OnlyByPost(Exception):
    """Something was to be changed in a way that only asks."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a client sent.

    Attributes:
        operation: which operation of the query is meant; None when it has only one.
        may_change: whether it came in a way by which things may be changed.
    """

    query: str
    variables: dict[str, Any]
    operation: str | None
    may_change: bool


async def execute(question: Question, desk: Desk, caller: Caller) -> dict[str, Any]:
    """Return the answer to a question.

    Raises:
        OnlyByPost: it would change something and may not.
    """
    try:
        result = await schema().execute(
            question.query,
            variable_values=question.variables,
            operation_name=question.operation,
            context_value=Visit(desk, caller),
            allowed_operation_types=_ANYTHING if question.may_change else _ASKING,
        )
    except CannotGetOperationTypeError:
        return {"errors": [{"message": _no_operation(question.operation)}]}
    except InvalidOperationTypeError as error:
        raise OnlyByPost("Can only perform a mutation operation from a POST request.") from error
    if result.errors is None:
        return {"data": result.data}
    errors = [_told(error) for error in result.errors]
    return (
        {"errors": errors}
        if result.data is None and not _began(result.errors)
        else {"errors": errors, "data": result.data}
    )


def _told(error: GraphQLError) -> dict[str, Any]:
    told: dict[str, Any] = {"message": sentence(error)}
    if error.locations:
        told["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path:
        told["path"] = error.path
    return told


def _began(errors: list[GraphQLError]) -> bool:
    """Tell whether the query was executed: an error that has a path came of a field."""
    return any(error.path for error in errors)


def _no_operation(name: str | None) -> str:
    if name is None:
        return "Must provide operation name if query contains multiple operations."
    return f'Unknown operation named "{name}".'
