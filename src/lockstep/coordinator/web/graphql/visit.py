"""One request's way through the data: who asks, what they may see, and readings that wait for each other.

While an answer is put together, everything of one kind that is wanted at the same moment is asked for in one statement:
the tasks of all the releases of a page, the services of all those tasks. So the number of statements follows from what
a query asks for and not from how much there is. Rows are counted as they come; a query that wants too many is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from strawberry.dataloader import DataLoader

from lockstep.coordinator.core.callers import Caller, Sight
from lockstep.coordinator.core.graph import Entity, Node, Piece, Wanted
from lockstep.coordinator.services.access import Access, Act, graphql_refusal
from lockstep.coordinator.web.desk import Desk
from lockstep.coordinator.web.graphql.mistakes import Refused

ROWS_LIMIT: Final = 20_000
"""Rows that one request is answered with at the most: some seconds of work."""


@dataclass
class Visit:
    """One request: its caller, and what was read for it so far."""

    desk: Desk
    caller: Caller
    _rows: int = 0
    _ones: dict[Entity, DataLoader[str, Node | None]] = field(default_factory=dict)
    _lists: dict[Wanted, DataLoader[str, Piece]] = field(default_factory=dict)

    @property
    def access(self) -> Access:
        """Return the deployment's table of who may do what."""
        return self.desk.commands.access

    @property
    def sight(self) -> Sight:
        """Return which releases the caller sees."""
        return self.access.sight(self.caller)

    def may(self, act: Act, *, own: bool = False) -> bool:
        """Tell whether the caller may do something."""
        return self.access.allows(self.caller, act, own=own)

    def must(self, act: Act, *, own: bool = False) -> None:
        """Let a caller pass who may do something.

        Raises:
            Refused: they may not.
        """
        if not self.may(act, own=own):
            raise Refused(graphql_refusal(act))

    async def one(self, entity: Entity, kf_id: str) -> Node | None:
        """Return a row, if it is there and may be seen."""
        if entity not in self._ones:

            async def load(kf_ids: list[str]) -> list[Node | None]:
                found = await self.desk.store.look_up(entity, kf_ids, self.sight)
                self._count(len(found))
                return [found.get(kf_id) for kf_id in kf_ids]

            self._ones[entity] = DataLoader(load_fn=load)
        return await self._ones[entity].load(kf_id)

    async def listed(self, wanted: Wanted) -> Piece:
        """Return part of a whole list."""
        piece = await self.desk.store.listed(wanted, self.sight)
        self._count(len(piece.nodes))
        return piece

    async def listed_of(self, wanted: Wanted, parent_id: str) -> Piece:
        """Return part of the list of a parent."""
        if wanted not in self._lists:

            async def load(parent_ids: Sequence[str]) -> list[Piece]:
                room = ROWS_LIMIT - self._rows + 1
                found = await self.desk.store.listed_of(wanted, parent_ids, self.sight, room)
                self._count(sum(len(piece.nodes) for piece in found.values()))
                return [found.get(parent_id, Piece()) for parent_id in parent_ids]

            self._lists[wanted] = DataLoader(load_fn=load)
        return await self._lists[wanted].load(parent_id)

    def forget(self) -> None:
        """Read everything anew from now on, since something was changed."""
        self._ones.clear()
        self._lists.clear()

    def _count(self, rows: int) -> None:
        self._rows += rows
        if self._rows > ROWS_LIMIT:
            raise Refused(
                f"This query asks for more than {ROWS_LIMIT} things; ask for fewer with `first`, or in several queries."
            )
