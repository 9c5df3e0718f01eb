"""All that the coordinator remembers, in one port."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from lockstep.coordinator.core.callers import Sight
from lockstep.coordinator.core.graph import Entity, Node, Piece, Wanted
from lockstep.coordinator.core.history import History, Sorted
from lockstep.coordinator.ports.announcing import Outbox
from lockstep.coordinator.ports.catalogue import Catalogue
from lockstep.coordinator.ports.people import People
from lockstep.coordinator.ports.releases import Releases, ReleaseStore
from lockstep.coordinator.ports.story import Story


class Batches(Protocol):
    """Reading for those who follow links from thing to thing: each method is one question, whatever it is asked for."""

    async def look_up(self, entity: Entity, kf_ids: Sequence[str], sight: Sight) -> Mapping[str, Node]:
        """Return those of some rows that are there and may be seen, by their ids.

        Task services are found also when they were deleted, and by everybody; who may see what of them is not known
        here. Everybody sees the studies that the data service shows.
        """
        ...

    async def listed(self, wanted: Wanted, sight: Sight) -> Piece:
        """Return part of a whole list."""
        ...

    async def listed_of(
        self, wanted: Wanted, parent_ids: Sequence[str], sight: Sight, limit: int
    ) -> Mapping[str, Piece]:
        """Return part of the list of each parent that has one, and at most `limit` rows of all of them together.

        At the limit, which rows are left out is not said: a caller who gets so many knows that there may be more.
        """
        ...


class Store(ReleaseStore, Releases, Story, Catalogue, Batches, Protocol):
    """All that the coordinator remembers."""

    @property
    def people(self) -> People:
        """Return who uses it."""
        ...

    @property
    def outbox(self) -> Outbox:
        """Return whom its events are announced to."""
        ...

    async def claim(self, chore: str, now: datetime, until: datetime) -> bool:
        """Claim a piece of periodic work if it is due, and put it off until some time for whoever else would do it.

        Return whether it was due. What was never claimed is due.
        """
        ...

    async def bring(self, given: History, now: datetime, *, rehearse: bool = False) -> Sorted:
        """Store part of another coordinator's history as it is given; or, to rehearse, only say what would be stored.

        What is here already is left, or made the same again where it has changed over there. Its releases have ended,
        so that no engine will look at them; every number that they have is given, and its events are announced to
        nobody. What it links to is here already, or comes with it.
        """
        ...

    async def tallies(self) -> Mapping[str, int]:
        """Return how many releases and tasks are in each state, and events of each type, as `releases:staged`."""
        ...

    async def check(self) -> None:
        """Do the least that shows the database answers.

        Raises:
            Unavailable: it does not.
        """
        ...
