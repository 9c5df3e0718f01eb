"""How mutations take what they are given: ids of things, and fields that may be left out."""

from collections.abc import Mapping
from typing import Any

import strawberry

from lockstep.coordinator.web.graphql.ids import read_id

_SHOWN = 40


def key(given: str) -> str:
    """Return the id that a global id is about; one that cannot be read is nobody's."""
    return (read_id(given) or ("", given[:_SHOWN]))[1]


def fields_of(**given: object) -> Mapping[str, Any]:
    """Return what was given: neither what was left out, nor what is null."""
    return {name: value for name, value in given.items() if value is not strawberry.UNSET and value is not None}
