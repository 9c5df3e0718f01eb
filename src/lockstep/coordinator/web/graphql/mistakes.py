"""What a client is told when something goes wrong: a sentence of ours, and never one of Python or a database."""

from typing import Final

import structlog
from graphql import GraphQLError

from lockstep.coordinator.core.errors import CoordinatorError

log = structlog.get_logger("lockstep.web.graphql")

OUR_MISTAKE: Final = "Something broke here. It is in the coordinator's log, and is not the fault of the request."


class Refused(CoordinatorError):
    """Something that is not done, in the words that clients in the field know."""


def sentence(error: GraphQLError) -> str:
    """Return what a client is told of an error; one that is our mistake is logged whole."""
    cause = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    if cause is None:
        return error.message
    if isinstance(cause, CoordinatorError):
        return str(cause)
    if isinstance(cause, RecursionError):
        return "This query is nested too deeply."
    log.error("graphql_broke", path=error.path, exc_info=cause)
    return OUR_MISTAKE
