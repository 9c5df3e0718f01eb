"""An event loop whose time jumps to the next timer whenever there is nothing to do."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class Deadlock(Exception):
    """Nothing is ready and no timer is set: the simulated world would stand still for ever."""


class _Jump(selectors.BaseSelector):
    """Waits for no file and skips the time that the loop would wait."""

    def __init__(self) -> None:
        self.skipped_s = 0.0
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = self._keys[fileobj] = selectors.SelectorKey(fileobj, 0, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock("nothing is ready and no timer is set")
        self.skipped_s += max(0.0, timeout)
        return []

    def get_map(self) -> dict[Any, selectors.SelectorKey]:
        return self._keys


class SimulatedLoop(asyncio.SelectorEventLoop):
    """A loop that begins at time 0 and never waits."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.skipped_s


def run(world: Coroutine[Any, Any, None]) -> None:
    """Run a simulated world to its end."""
    loop = SimulatedLoop()
    try:
        loop.run_until_complete(world)
    finally:
        loop.run_until_complete(_end_all())
        loop.close()


async def _end_all() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
