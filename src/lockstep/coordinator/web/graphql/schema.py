"""The schema, put together: what can be asked, what can be done, and how much of it at once."""

from functools import cache
from typing import Final

import strawberry
from graphql import GraphQLError
from strawberry.extensions import AddValidationRules, MaxTokensLimiter, ParserCache, ValidationCache
from strawberry.types import ExecutionContext

from lockstep.coordinator.web.graphql.limits import TOKENS_LIMIT, WithinLimits
from lockstep.coordinator.web.graphql.mutations import Mutation
from lockstep.coordinator.web.graphql.queries import Query

_REMEMBERED: Final = 100
"""Queries whose text is read and checked once: a dashboard asks the same few again and again."""


class _Schema(strawberry.Schema):
    """A schema that leaves it to `mistakes` to tell and to log what went wrong."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Do nothing."""


@cache
def schema() -> strawberry.Schema:
    """Return the schema."""
    return _Schema(
        query=Query,
        mutation=Mutation,
        extensions=[
            lambda: MaxTokensLimiter(TOKENS_LIMIT),
            lambda: AddValidationRules([WithinLimits]),
            lambda: ParserCache(_REMEMBERED),
            lambda: ValidationCache(_REMEMBERED),
        ],
    )
