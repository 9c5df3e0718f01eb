"""Ids that the shell completes: the newest ones of the coordinator that a command would speak to.

It is asked for a moment only, and when nothing comes of it nothing is completed: a shell that waits, or that shows an
error in the middle of a line, is worse than one that knows nothing.
"""

from collections.abc import Callable
from typing import Any, Final

from lockstep.cli.tables import clean

_PATIENCE_S: Final = 1.5
_MOST: Final = 100

Found = list[tuple[str, str]]


def ids_of(collection: str) -> Callable[[str], Found]:
    """Return what completes an id: each with what it is the id of."""

    def complete(incomplete: str) -> Found:
        import asyncio

        from lockstep.cli.endings import Ending

        try:
            rows = asyncio.run(_newest(collection))
        except Ending:
            return []
        return [row for row in rows if row[0].startswith(incomplete.upper())]

    return complete


async def _newest(collection: str) -> Found:
    import os

    from lockstep.cli.client import Api
    from lockstep.cli.profiles import SERVER_VARIABLE, server_address
    from lockstep.cli.tokens import token_for

    server = server_address(os.environ.get(SERVER_VARIABLE, ""))
    async with Api(server, token=await token_for(server), timeout_s=_PATIENCE_S) as coordinator:
        page = await coordinator.rows(collection, most=_MOST)
    return [(row["kf_id"], _words(row)) for row in page["results"]]


def _words(row: dict[str, Any]) -> str:
    named = next((row[name] for name in ("name", "service_name", "url", "description") if row.get(name)), "")
    return f"{clean(named)} {row.get('state', '')}".rstrip()
