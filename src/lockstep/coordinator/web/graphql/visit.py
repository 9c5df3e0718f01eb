"""One request's way through the data: who asks, what they may see, and what they may do.

Everything is read through here, batched by the place in the query that asks for it. What is shown is counted as it is,
each thing as often as it is shown: a query that wants too much is given up, for an answer of millions of things can be
asked for in a few lines about a hundred.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Mapping, Sequence
from typing import Any, Final, TypeVar

from lockstep.coordinator.core.callers import Caller, Sight
from lockstep.coordinator.core.graph import Entity, Node, Piece, Wanted
from lockstep.coordinator.services.access import Act, graphql_refusal
from lockstep.coordinator.web.desk import Desk
from lockstep.coordinator.web.graphql.apart import run_on
from lockstep.coordinator.web.graphql.batching import Batching
from lockstep.coordinator.web.graphql.mistakes import Refused

T = TypeVar("T")

THINGS_LIMIT: Final = 20_000
"""Things that one request is shown at the most: a thousand releases with their studies and notes, and more."""

TOO_MUCH: Final = (
    f"This query asks for more than {THINGS_LIMIT} things; ask for fewer with `first`, or in several queries."
)


class Visit:
    """One request.

    Attributes:
        desk: what the application works with.
        caller: who asks.
        sight: which releases they see.
        give_up: called once when the query wants too much.
    """

    def __init__(self, desk: Desk, caller: Caller, home: asyncio.AbstractEventLoop) -> None:
        self.desk = desk
        self._home = home
        self.caller = caller
        self.sight: Sight = desk.access.sight(caller)
        self.give_up: Callable[[], object] = bool
        self._batching = Batching()
        self._shown = 0

    @property
    def too_much(self) -> bool:
        """Tell whether the query wanted too much."""
        return self._shown > THINGS_LIMIT

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

    async def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """Have the store or a command do something, on the loop where they live."""
        return await run_on(self._home, work)

    async def one(self, place: Hashable, entity: Entity, kf_id: str) -> Node | None:
        """Return a row, if it is there and may be seen; `place` is where the query asks for it."""

        async def read(kf_ids: Sequence[str]) -> Mapping[str, Node]:
            return await self.ask(self.desk.store.look_up(entity, kf_ids, self.sight))

        node: Node | None = await self._batching.read(place, kf_id, read)
        self.count(1)
        return node

    async def listed(self, wanted: Wanted) -> Piece:
        """Return part of a whole list."""
        piece = await self.ask(self.desk.store.listed(wanted, self.sight))
        self.count(len(piece.nodes))
        return piece

    async def listed_of(self, place: Hashable, wanted: Wanted, parent_id: str) -> Piece:
        """Return part of the list of a parent; `place` is where the query asks for it."""

        async def read(parent_ids: Sequence[str]) -> Mapping[str, Piece]:
            room = max(1, THINGS_LIMIT - self._shown + 1)
            return await self.ask(self.desk.store.listed_of(wanted, parent_ids, self.sight, room))

        piece: Piece | None = await self._batching.read(place, parent_id, read)
        if piece is None:
            return Piece()
        self.count(len(piece.nodes))
        return piece

    def count(self, things: int) -> None:
        """Take note of what is shown.

        Raises:
            Refused: it is too much; the whole query is given up.
        """
        before, self._shown = self._shown, self._shown + things
        if self._shown <= THINGS_LIMIT:
            return
        if before <= THINGS_LIMIT:
            self.give_up()
        raise Refused(TOO_MUCH)
