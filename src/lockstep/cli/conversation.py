"""The frame of every client command: open a connection to the coordinator, do the work, close it."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from lockstep.cli.endings import Interrupted

if TYPE_CHECKING:
    from lockstep.cli.client import Api

T = TypeVar("T")


def talk(server: str, work: Callable[["Api"], Awaitable[T]]) -> T:
    """Do work with the coordinator at an address, and return what came of it.

    Raises:
        Ending: it could not be done.
    """
    import asyncio

    from lockstep.cli.client import Api
    from lockstep.cli.tokens import token_for

    async def conversation() -> T:
        async with Api(server, token=await token_for(server)) as coordinator:
            return await work(coordinator)

    try:
        return asyncio.run(conversation())
    except KeyboardInterrupt:
        raise Interrupted("Interrupted. What the coordinator was asked to do goes on.") from None
