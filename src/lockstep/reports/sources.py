"""Where counts come from: the port, and the data service behind it. `count_all` asks a source for everything at once.

A source answers every question with a count, known or unknown. A question that fails is asked again by the source
itself, and if it stays without an answer, that is an unknown count with a reason, not an exception: one dead entity
of one study must not cost the rest of the report. The reason is shown in public, so it names no address.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from itertools import product
from typing import Final, Protocol

from lockstep.dataservice.client import DataService, DataServiceError
from lockstep.dataservice.entities import REPORTED
from lockstep.dataservice.patience import Patience
from lockstep.reports.counting import Count, Known, Unknown

NOT_PUBLISHED: Final = "not published by the source"


class CountSource(Protocol):
    """The port."""

    async def count(self, entity: str, study_id: str) -> Count:
        """Return how many visible rows of an entity a study has, or why nobody knows."""


OpenSource = Callable[[], AbstractAsyncContextManager[CountSource]]
"""Opens a source for the length of one counting, in the event loop that does it."""


class DataServiceSource:
    """Counts by the totals of a data service's lists. `service` has to be open."""

    name: Final = "data service"

    def __init__(self, service: DataService, patience: Patience) -> None:
        self._service = service
        self._patience = patience

    async def count(self, entity: str, study_id: str) -> Count:
        """Return the total of an entity's list for a study."""
        try:
            total = await self._patience.insist(lambda: self._service.count(entity, study_id))
        except DataServiceError as error:
            return Unknown(f"the data service {error.fault}", self.name)
        return Unknown(NOT_PUBLISHED, self.name, withheld=True) if total is None else Known(total, self.name)


async def count_all(
    source: CountSource, studies: Iterable[str], *, connections: int, on_count: Callable[[int, int], None]
) -> dict[str, dict[str, Count]]:
    """Return all counts of some studies, having asked for as many at once as there are connections.

    Args:
        source: answers the questions.
        studies: the ids of the studies.
        connections: questions under way at the same time.
        on_count: told after each count how many there are, and how many there will be.
    """
    counts: dict[str, dict[str, Count]] = {study_id: {} for study_id in studies}
    of, done = len(counts) * len(REPORTED), 0
    questions = iter(list(product(counts, REPORTED)))

    async def ask() -> None:
        nonlocal done
        for study_id, entity in questions:
            counts[study_id][entity] = await source.count(entity, study_id)
            done += 1
            on_count(done, of)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(connections, of)):
            group.create_task(ask())
    return {study_id: _in_order(found) for study_id, found in counts.items()}


def _in_order(found: Mapping[str, Count]) -> dict[str, Count]:
    return {entity: found[entity] for entity in REPORTED}
