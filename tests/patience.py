"""How tests wait: until something is there, never for a fixed time, and longer than a slow and busy machine needs.

What has not come after `PATIENCE_S` does not come; the complaint then says what was waited for.
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

T = TypeVar("T")

PATIENCE_S: Final = 120.0
_PAUSE_S: Final = 0.01


async def until(condition: Callable[[], Any]) -> Any:
    """Wait until a condition, which may be awaitable, gives something true; return that."""
    end = time.monotonic() + PATIENCE_S
    while True:
        found = condition()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        assert time.monotonic() < end, f"nothing came of it within {PATIENCE_S:g} s"
        await asyncio.sleep(_PAUSE_S)


def wait_until(
    condition: Callable[[], T | None], complaint: Callable[[], str] | None = None, patience_s: float = PATIENCE_S
) -> T:
    """Wait in a thread until a condition gives something true; return that."""
    end = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < end, complaint() if complaint else f"nothing came of it within {patience_s:g} s"
        time.sleep(_PAUSE_S)
    return found


def takes_connections(port: int) -> bool:
    """Tell whether somebody listens at a port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
