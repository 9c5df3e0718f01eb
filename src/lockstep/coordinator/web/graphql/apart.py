"""A thread with an event loop of its own, on which GraphQL is executed.

Putting a large answer together takes the processor for seconds, and nobody else's turn comes on a loop meanwhile: not
the engine's, whose leases run out, and not a task service's that reports. Here it holds up other GraphQL requests only.
What is asked of the coordinator on the way, its store and its commands, goes back to the loop that they live on.
"""

import asyncio
from collections.abc import Coroutine
from functools import cache
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


@cache
def apart() -> asyncio.AbstractEventLoop:
    """Return the loop, which runs for as long as the process does."""
    loop = asyncio.new_event_loop()
    Thread(target=loop.run_forever, name="graphql", daemon=True).start()
    return loop


async def run_on(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    """Run work on another loop than this one, and return what came of it; if this is given up, so is the work."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))
