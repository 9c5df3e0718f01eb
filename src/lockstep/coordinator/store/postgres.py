"""Postgres: how it is reached, how its transactions run, and what its errors mean.

The statements are the same functions of a connection that run on SQLite; here they run on the event loop, over an
asynchronous driver that gives control back while an answer is awaited. Many transactions write at once; what must not
is kept apart by row locks and by `store/turns.py`.

A transaction that Postgres itself gives up (a deadlock, a key that was taken meanwhile) is run again, and so is one
whose connection broke before its commit: the server was restarted, or another one has taken over. A connection that
breaks during the commit leaves it open whether the transaction was stored; it is run again only where the caller says
that doing it twice does no harm, and otherwise it is said.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.store.database import Work
from lockstep.coordinator.store.fresh import ATTEMPTS, no_free_id

T = TypeVar("T")

CONNECTIONS: Final = 20
"""Connections of one process; further transactions wait for one. Keep processes times this below `max_connections`."""

CONNECT_TIMEOUT_S: Final = 5.0
COMMAND_TIMEOUT_S: Final = 15.0
"""How long one statement may take: a server that does not answer any more must not hold a release for ever."""

IDLE_LIMIT_S: Final = 5.0
"""How long the server waits for the next statement of a transaction before it ends it: a process that hangs, or whose
cable is cut, must not keep the others from the rows that it has locked."""

PATIENCE_S: Final = 10.0
"""How long a server that is not there is tried again before a request is answered with that: a restart is shorter."""

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0

_KEY_TAKEN: Final = "23505"
_IDLE_TOO_LONG: Final = "25P03"
_RUN_AGAIN: Final = frozenset({"40001", "40P01", _KEY_TAKEN})
"""A serialisation failure, a deadlock, and a key that was taken meanwhile: the transaction is run again."""

_AWAY: Final = frozenset({"57P01", "57P02", "57P03", "57P05", "25006", _IDLE_TOO_LONG})
"""Shutting down, crashed, starting up, tired of us, and read-only as a standby is until it has taken over."""

_REMEDIES: Final = {
    "28": "refused our name or password; see the user and the password in LOCKSTEP_DATABASE_URL",
    "3D": "has no such database; create it, or name another in LOCKSTEP_DATABASE_URL",
    "42501": "does not let us do that; give our user the rights on its tables",
    "53100": "has no space left on its disk; free some",
    "53300": "has no connection left; raise its max_connections, or run fewer processes",
    "53": "has run out of something (memory, disk or connections); its log says of what",
}
"""What to do, by the code of an error or its first two characters, which are its class."""


def postgres_engine(url: URL, connections: int = CONNECTIONS) -> AsyncEngine:
    """Return the engine for a database.

    The connection that was used last is used next: it knows the statements already, which one that has rested must
    have parsed anew.
    """
    return create_async_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=PATIENCE_S,
        pool_use_lifo=True,
        connect_args={
            "timeout": CONNECT_TIMEOUT_S,
            "command_timeout": COMMAND_TIMEOUT_S,
            "prepared_statement_cache_size": 500,
            "server_settings": {
                "application_name": "lockstep",
                "timezone": "UTC",
                "jit": "off",
                "idle_in_transaction_session_timeout": f"{IDLE_LIMIT_S:g}s",
            },
        },
    )


class PostgresDatabase:
    """A Postgres database that this process has connections to."""

    def __init__(self, url: URL, *, connections: int = CONNECTIONS, patience_s: float = PATIENCE_S) -> None:
        self._where = f"{url.host or 'localhost'}:{url.port or 5432}/{url.database}"
        self._patience_s = patience_s
        self._engine = postgres_engine(url, connections)
        self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    async def read(self, work: Work[T]) -> T:
        """Run work on one consistent state of everything."""
        return await self._persistently(self._reader, work, repeatable=True)

    async def write(self, work: Work[T], *, repeatable: bool = False) -> T:
        """Run work, with the rows that it locks to itself, and commit."""
        return await self._persistently(self._engine, work, repeatable=repeatable)

    async def close(self) -> None:
        """Close the connections."""
        await self._engine.dispose()

    async def _persistently(self, engine: AsyncEngine, work: Work[T], *, repeatable: bool) -> T:
        """Run a transaction until it is done; again, where that can help, while the patience with its failing lasts."""
        until: float | None = None
        pause_s, keys_taken = _FIRST_PAUSE_S, 0
        while True:
            transaction = _Transaction(work)
            try:
                outcome: T = await transaction.run(engine)
            except (DBAPIError, PoolTimeout, OSError) as error:
                if transaction.work_broke:
                    raise
                now = time.monotonic()
                until = until or now + self._patience_s
                late = now > until or isinstance(error, PoolTimeout)
                self._refuse(error, in_doubt=transaction.committing and not repeatable, late=late)
                keys_taken += _code(error) == _KEY_TAKEN
                if keys_taken == ATTEMPTS:
                    raise no_free_id() from error
            else:
                return outcome
            await asyncio.sleep(0 if keys_taken else pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _refuse(self, error: Exception, *, in_doubt: bool, late: bool) -> None:
        """Raise what an error means, unless the transaction is to be run again."""
        code = _code(error)
        if _is_away(error):
            if in_doubt:
                raise Unavailable(
                    f"The database {self._where} was lost during a commit; look whether it was stored."
                ) from error
            if late:
                raise self._away(error) from error
        elif code not in _RUN_AGAIN:
            if remedy := _REMEDIES.get(code, _REMEDIES.get(code[:2])):
                raise Unavailable(f"The database {self._where} {remedy}.") from error
            raise error

    def _away(self, error: Exception) -> Unavailable:
        cause = " ".join(str(getattr(error, "orig", None) or error).split())[:200] or type(error).__name__
        return Unavailable(f"The database {self._where} does not answer ({cause}); start it, or see what keeps it.")


class _Transaction:
    """One attempt; knows how far it came, and whether it was the work that broke and not the way to the server."""

    def __init__(self, work: Callable[[Connection], Any]) -> None:
        self.committing = False
        self.work_broke = False
        self._work = work

    async def run(self, engine: AsyncEngine) -> Any:  # noqa: ANN401 - whatever the work returns
        async with engine.connect() as connection:
            transaction = await connection.begin()
            try:
                outcome = await connection.run_sync(self._work)
            except OSError as error:
                driver = (await connection.get_raw_connection()).driver_connection
                self.work_broke = not isinstance(error, TimeoutError) and driver is not None and not driver.is_closed()
                raise
            self.committing = True
            await transaction.commit()
            return outcome


def _code(error: Exception) -> str:
    """Return the SQLSTATE of an error, the five characters by which Postgres names it; empty when it has none."""
    original = error.orig if isinstance(error, DBAPIError) else error
    return getattr(original, "sqlstate", None) or ""


def _is_away(error: Exception) -> bool:
    """Tell whether an error means that the server is not there, or the way to it, and may be again soon."""
    if not isinstance(error, DBAPIError):
        return True
    code = _code(error)
    lost = error.connection_invalidated or isinstance(error, InterfaceError) or isinstance(error.__cause__, OSError)
    return lost or code in _AWAY or code.startswith("08")
