"""One request's way through the data: who asks, what they may see, and what they may do.

Everything is read through here, batched by the place in the query that asks for it. Rows are counted as they come; a
query that wants too many is refused.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Final

from lockstep.coordinator.core.callers import Caller, Sight
from lockstep.coordinator.core.graph import Entity, Node, Piece, Wanted
from lockstep.coordinator.services.access import Act, graphql_refusal
from lockstep.coordinator.web.desk import Desk
from lockstep.coordinator.web.graphql.batching import Batching
from lockstep.coordinator.web.graphql.mistakes import Refused

ROWS_LIMIT: Final = 20_000
"""Rows that one request is answered with at the most: some seconds of work."""


class Visit:
    """One request.

    Attributes:
        desk: what the application works with.
        caller: who asks.
        sight: which releases they see.
    """

    def __init__(self, desk: Desk, caller: Caller) -> None:
        self.desk = desk
        self.caller = caller
        self.sight: Sight = desk.access.sight(caller)
        self._batching = Batching()
        self._rows = 0

    def may(self, act: Act, *, own: bool = False) -> bool:
        """Tell whether the caller may do something."""
        return self.desk.access.allows(self.caller, act, own=own)

    def must(self, act: Act, *, own: bool = False) -> None:
        """Let a caller pass who may do something.

        Raises:
            Refused: they may not.
        """
        if not self.may(act, own=own):
            raise Refused(graphql_refusal(act))

    async def one(self, place: Hashable, entity: Entity, kf_id: str) -> Node | None:
        """Return a row, if it is there and may be seen; `place` is where the query asks for it."""

        async def read(kf_ids: Sequence[str]) -> Mapping[str, Node]:
            found = await self.desk.store.look_up(entity, kf_ids, self.sight)
            self._count(len(found))
            return found

        node: Node | None = await self._batching.read(place, kf_id, read)
        return node

    async def listed(self, wanted: Wanted) -> Piece:
        """Return part of a whole list."""
        piece = await self.desk.store.listed(wanted, self.sight)
        self._count(len(piece.nodes))
        return piece

    async def listed_of(self, place: Hashable, wanted: Wanted, parent_id: str) -> Piece:
        """Return part of the list of a parent; `place` is where the query asks for it."""

        async def read(parent_ids: Sequence[str]) -> Mapping[str, Piece]:
            room = ROWS_LIMIT - self._rows + 1
            found = await self.desk.store.listed_of(wanted, parent_ids, self.sight, room)
            self._count(sum(len(piece.nodes) for piece in found.values()))
            return found

        piece: Piece | None = await self._batching.read(place, parent_id, read)
        return piece or Piece()

    def _count(self, rows: int) -> None:
        self._rows += rows
        if self._rows > ROWS_LIMIT:
            raise Refused(
                f"This query asks for more than {ROWS_LIMIT} things; ask for fewer with `first`, or in several queries."
            )
