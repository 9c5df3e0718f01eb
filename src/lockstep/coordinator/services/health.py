"""Whether the coordinator is well: its database, its queue, and whoever works on it.

The database is well when it answers; the queue, when no release has been due for long, for whatever is due is the
queue; the worker of this process, when it has lately looked for what is due. A worker elsewhere is judged by the queue.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.ports import Clock, Store

LONGEST_LAG_S: Final = 60.0
"""How long a release may be due before the queue counts as stuck: a busy worker takes seconds."""

LONGEST_SILENCE_S: Final = 30.0
"""How long the worker may not have looked: it looks every five seconds."""

OK: Final = "ok"

Pulse = Callable[[], datetime]
"""When the worker of this process last looked for what is due; one that is only just starting has looked just now."""

Check = Callable[[], Awaitable[None]]
"""Raises `Unavailable` with a sentence when something does not answer."""


@dataclass(frozen=True, slots=True)
class Wellness:
    """How everything is: `ok`, or a sentence."""

    database: str
    queue: str
    worker: str

    @property
    def well(self) -> bool:
        """Tell whether all is well."""
        return self.sentence == ""

    @property
    def sentence(self) -> str:
        """Return what is not well, the cause of the others alone if it is the database; empty when all is."""
        if self.database != OK:
            return self.database
        return " ".join(part for part in (self.queue, self.worker) if part != OK)


async def examine(store: Store, clock: Clock, pulse: Pulse | None, check_queue: Check | None = None) -> Wellness:
    """Look at everything.

    Args:
        store: the database.
        clock: the time.
        pulse: of the worker of this process; None where there is none.
        check_queue: asks the queue between processes; None where there is none.
    """
    now = clock.now()
    worker = OK if pulse is None else _worker(pulse(), now)
    try:
        await store.check()
        next_look = await store.next_look()
    except Unavailable as error:
        return Wellness(str(error), "It cannot be seen while the database does not answer.", worker)
    lag_s = 0.0 if next_look is None else (now - next_look).total_seconds()
    try:
        await (check_queue or _in_process)()
    except Unavailable as error:
        return Wellness(OK, str(error), worker)
    queue = OK if lag_s <= LONGEST_LAG_S else f"A release has been due for {lag_s:.0f} s, and nobody has looked at it."
    return Wellness(OK, queue, worker)


async def _in_process() -> None:
    """Nothing can be wrong with a queue within a process."""


def _worker(looked_at: datetime, now: datetime) -> str:
    silent_s = (now - looked_at).total_seconds()
    return OK if silent_s <= LONGEST_SILENCE_S else f"The worker has not looked for work for {silent_s:.0f} s."
