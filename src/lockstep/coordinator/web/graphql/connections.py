"""Lists in the shape of Relay's connections: what they take (`first`, `after`, …) and what they give."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Generic, TypeVar

import strawberry

from lockstep.coordinator.core.errors import Invalid
from lockstep.coordinator.core.graph import Piece, Span
from lockstep.coordinator.web.graphql.ids import cursor, read_cursor
from lockstep.coordinator.web.graphql.mistakes import Refused

Item = TypeVar("Item")

LONGEST: Final = 100
"""Rows that `first` or `last` can ask for."""

UNLIMITED: Final = 1000
"""Rows that a list has which nobody limits: what a dashboard shows whole, and no more than can be answered at once."""


@strawberry.type(description="Where a page begins and ends, and whether there is more.")
class PageInfo:
    """Where a page begins and ends."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type(description="A thing in a list, and its place.")
class Edge(Generic[Item]):
    """A thing in a list."""

    node: Item | None
    cursor: str


@strawberry.type(description="Part of a list.")
class Connection(Generic[Item]):
    """Part of a list."""

    page_info: PageInfo
    edges: list[Edge[Item] | None]


def read_span(name: str, asked: Mapping[str, Any]) -> Span:
    """Return which part of a list is asked for; `name` is the list's, for the sentences.

    Raises:
        Refused, Invalid: a number is too large or below zero, or a cursor is none.
    """
    for word in ("first", "last"):
        number = asked.get(word)
        if number is not None and number > LONGEST:
            exceeds = f"exceeds the `{word}` limit of {LONGEST} records."
            raise Refused(f"Requesting {number} records on the `{name}` connection {exceeds}")
        if number is not None and number < 0:
            raise Refused(f"Argument '{word}' must be a non-negative integer.")
    after, before = (_place(word, asked.get(word)) for word in ("after", "before"))
    return Span(after, before, asked.get("first"), asked.get("last"))


def _place(word: str, text: str | None) -> int | None:
    if not text:
        return None
    place = read_cursor(text)
    if place is None:
        raise Invalid({word: [f"{text[:60]!r} is no cursor; a list gives one with each of its edges."]})
    return place


def connection(piece: Piece, span: Span, node: Callable[[Any], Item]) -> Connection[Item]:
    """Return part of a list as clients know it; `node` makes the thing that they are shown of each row."""
    earlier = span.last is not None and piece.start > span.low
    return whole(map(node, piece.nodes), piece.start, more=piece.more, earlier=earlier)


def whole(nodes: Iterable[Item], start: int = 0, *, more: bool = False, earlier: bool = False) -> Connection[Item]:
    """Return a list of things, the first of which has the place `start`."""
    edges: list[Edge[Item] | None] = [Edge(node=node, cursor=cursor(place)) for place, node in enumerate(nodes, start)]
    first, last = (cursor(start), cursor(start + len(edges) - 1)) if edges else (None, None)
    page_info = PageInfo(has_next_page=more, has_previous_page=earlier, start_cursor=first, end_cursor=last)
    return Connection(page_info=page_info, edges=edges)
