"""Gathers what is wanted at the same place of a query, and reads it at once.

Every place where a query follows a link is read once, for all the things that have come there together: however much
there is, a query costs as many readings as it has links. Things come to a place within a few turns of the event loop,
more or fewer of them depending on how many neighbours each has, so a reading begins only when for some turns nobody
has wanted anything more.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Read = Callable[[Sequence[str]], Awaitable[Mapping[str, Any]]]
"""Reads what belongs to some ids; what has nothing may be left out."""

QUIET_TURNS: Final = 10
"""Turns of the event loop: between two links a query goes down four levels, each of which may take two."""


@dataclass(slots=True)
class _Batch:
    read: Read
    wanted: dict[str, asyncio.Future[Any]] = field(default_factory=dict)


class Batching:
    """The readings of one request."""

    def __init__(self) -> None:
        self._batches: dict[Hashable, _Batch] = {}
        self._calls = 0
        self._gathering: asyncio.Task[None] | None = None
        self._reading: set[asyncio.Task[None]] = set()

    async def read(self, place: Hashable, kf_id: str, read: Read) -> Any:  # noqa: ANN401 - whatever is read there
        """Return what belongs to an id, if anything, read together with whatever else is wanted at the same place."""
        batch = self._batches.setdefault(place, _Batch(read))
        if kf_id not in batch.wanted:
            batch.wanted[kf_id] = asyncio.get_running_loop().create_future()
        self._calls += 1
        if self._gathering is None:
            self._gathering = asyncio.create_task(self._gather())
        return await batch.wanted[kf_id]

    async def _gather(self) -> None:
        while self._batches:
            calls, quiet = self._calls, 0
            while quiet < QUIET_TURNS:
                await asyncio.sleep(0)
                quiet = quiet + 1 if calls == self._calls else 0
                calls = self._calls
            batches, self._batches = self._batches, {}
            for batch in batches.values():
                task = asyncio.create_task(_answer(batch))
                self._reading.add(task)
                task.add_done_callback(self._reading.discard)
        self._gathering = None


async def _answer(batch: _Batch) -> None:
    """Read, and tell everybody who waits; one who has gone away is told nothing."""
    waiting = batch.wanted.items()
    try:
        found = await batch.read(list(batch.wanted))
    except Exception as error:  # noqa: BLE001 - it is passed on to those who wait
        for _, future in waiting:
            if not future.done():
                future.set_exception(error)
        return
    for kf_id, future in waiting:
        if not future.done():
            future.set_result(found.get(kf_id))
