"""Answers one question: executes its query on the schema, and puts the outcome as clients know it, to the last byte."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Final

from graphql import GraphQLError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from lockstep.coordinator.web.graphql.mistakes import sentence
from lockstep.coordinator.web.graphql.schema import schema
from lockstep.coordinator.web.graphql.visit import TOO_MUCH, Visit

_ASKING: Final = frozenset({OperationType.QUERY})
_ANYTHING: Final = frozenset({OperationType.QUERY, OperationType.MUTATION})


@dataclass(frozen=True, slots=True)
class Question:
    """What a client sent.

    Attributes:
        operation: which operation of the query is meant; None for the first.
        may_change: whether it came in a way by which things may be changed.
    """

    query: str
    variables: dict[str, Any]
    operation: str | None
    may_change: bool


async def answer(question: Question, visit: Visit) -> tuple[bytes, int]:
    """Return the answer to a question, as JSON, and its HTTP status."""
    executing = asyncio.create_task(
        schema().execute(
            question.query,
            variable_values=question.variables,
            operation_name=question.operation,
            context_value=visit,
            allowed_operation_types=_ANYTHING if question.may_change else _ASKING,
        )
    )
    visit.give_up = executing.cancel
    try:
        return _json(_shown(await executing)), 200
    except asyncio.CancelledError:
        if not visit.too_much:
            raise
        return _refusal(TOO_MUCH), 200
    except CannotGetOperationTypeError:
        return _refusal(f'Unknown operation named "{question.operation}".'), 200
    except InvalidOperationTypeError:
        return _refusal("Can only perform a mutation operation from a POST request."), 405


def _shown(result: ExecutionResult) -> dict[str, Any]:
    """Return a result as clients know it: with data, null at the worst, once anything of it was executed."""
    errors = result.errors or []
    shown: dict[str, Any] = {"errors": [_told(error) for error in errors]} if errors else {}
    if result.data is not None or any(error.path for error in errors):
        shown["data"] = result.data
    return shown


def _told(error: GraphQLError) -> dict[str, Any]:
    told: dict[str, Any] = {"message": sentence(error)}
    if error.locations:
        told["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path:
        told["path"] = error.path
    return told


def _refusal(sentence: str) -> bytes:
    return _json({"errors": [{"message": sentence}]})


def _json(content: object) -> bytes:
    """Return content as JSON in ASCII, since it may repeat whatever a client sent, half of a character included."""
    return json.dumps(content, check_circular=False, allow_nan=False, separators=(",", ":")).encode()
