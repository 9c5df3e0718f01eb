"""Tasks in a table of Postgres, for the processes of one service on any number of machines.

A change is one statement that names what it expects, so the database lets one of many through. asyncpg wants an event
loop; the store has one in a thread of its own, since it is called from the threads of the work and of the requests.
Every wait has a limit, shorter than what a lease leaves to a holder that cannot beat: a database that does not answer
is `StoreUnavailable`, and whoever asked comes back. Importing this module loads asyncpg, which the extra `postgres`
brings.
"""

import asyncio
import re
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any, Final, TypeAlias, TypeVar

import asyncpg

from lockstep.taskkit.lease import DEFAULT_LEASE_S
from lockstep.taskkit.store import StoredTask, StoreUnavailable
from lockstep.taskkit.task_document import from_document, to_document
from lockstep.taskkit.threads import make_loop, start_thread

T = TypeVar("T")

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

_CONNECTIONS: Final = 4
_TIMEOUT_S: Final = 3.0
_LIMIT_S: Final = 5.0
_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,63}")

_CREATE: Final = """
CREATE TABLE IF NOT EXISTS "{table}" (
  task_id text PRIMARY KEY,
  state text NOT NULL,
  attempt integer NOT NULL,
  epoch bigint,
  is_due boolean NOT NULL,
  task text NOT NULL
)
"""
_GET: Final = 'SELECT task FROM "{table}" WHERE task_id = $1'
_DUE: Final = 'SELECT task FROM "{table}" WHERE is_due'
_STAGED: Final = "SELECT task FROM \"{table}\" WHERE state = 'staged'"
_ADD: Final = """
INSERT INTO "{table}" (task_id, state, attempt, epoch, is_due, task) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING RETURNING task_id
"""
_REPLACE: Final = """
UPDATE "{table}" SET state = $2, attempt = $3, epoch = $4, is_due = $5, task = $6
WHERE task_id = $1 AND task_id = $7 AND state = $8 AND attempt = $9 AND epoch IS NOT DISTINCT FROM $10
RETURNING task_id
"""


class PostgresStore:
    """Tasks in a table of a Postgres database, which many processes of one service may share, and no two services.

    Args:
        url: the database, such as `postgresql://user@host/database`.
        table: the table, which is made when there is none.
        lease_s: how long a process may stay silent before others take over its tasks, in seconds.

    Raises:
        ValueError: the table cannot be called so.
    """

    def __init__(self, url: str, *, table: str = "lockstep_task", lease_s: float = DEFAULT_LEASE_S) -> None:
        if not _NAME.fullmatch(table):
            raise ValueError(f"{table!r} is not the name of a table; up to 63 letters, digits and _ would be")
        self.table = table
        self.lease_s: float | None = lease_s
        self._url = url
        self._opening = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: Pool | None = None

    def open(self) -> None:
        """Connect, and make the table unless it is there.

        Raises:
            StoreUnavailable: the database cannot be used.
        """
        with self._opening:
            if self._pool is not None:
                return
            if self._loop is None:
                self._loop = make_loop()
                start_thread(self._loop.run_forever, "lockstep postgres")
            self._pool = _waited(self._loop, self._connect())

    def close(self) -> None:
        """Disconnect."""
        with self._opening:
            loop, pool, self._loop, self._pool = self._loop, self._pool, None, None
            if loop is not None and pool is not None:
                with suppress(StoreUnavailable):
                    _waited(loop, pool.close())
            if loop is not None:
                loop.call_soon_threadsafe(loop.stop)

    def get(self, task_id: str) -> StoredTask | None:
        """Return a task, or None when it is not known."""
        return next(iter(self._tasks(_GET, task_id)), None)

    def add(self, task: StoredTask) -> bool:
        """Keep a new task; False when its id is taken."""
        return bool(self._rows(_ADD, *_columns(task)))

    def replace(self, seen: StoredTask, new: StoredTask) -> bool:
        """Put `new` in the place of `seen` unless its state, attempt or epoch changed."""
        expected = (seen.task_id, seen.state.value, seen.attempt, seen.epoch)
        return bool(self._rows(_REPLACE, *_columns(new), *expected))

    def due(self) -> Sequence[StoredTask]:
        """Return the tasks for which a function has to run."""
        return self._tasks(_DUE)

    def staged(self) -> Sequence[StoredTask]:
        """Return the tasks that wait for a decision."""
        return self._tasks(_STAGED)

    def _tasks(self, statement: str, *values: object) -> list[StoredTask]:
        return [from_document(row["task"]) for row in self._rows(statement, *values)]

    def _rows(self, statement: str, *values: object) -> list[asyncpg.Record]:
        loop, pool = self._loop, self._pool
        if loop is None or pool is None:
            raise StoreUnavailable("the tasks in Postgres are not open")
        return _waited(loop, self._fetch(pool, statement, values))

    async def _fetch(self, pool: Pool, statement: str, values: Sequence[object]) -> list[asyncpg.Record]:
        async with pool.acquire(timeout=_TIMEOUT_S) as connection:
            return await connection.fetch(statement.format(table=self.table), *values)

    async def _connect(self) -> Pool:
        pool = await asyncpg.create_pool(
            self._url,
            min_size=1,
            max_size=_CONNECTIONS,
            timeout=_TIMEOUT_S,
            command_timeout=_TIMEOUT_S,
            statement_cache_size=0,  # what stands between may give each statement another connection
        )
        try:
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock(hashtext($1))", self.table)
                if await connection.fetchval("SELECT to_regclass($1)", f'"{self.table}"') is None:
                    await connection.execute(_CREATE.format(table=self.table))
        except BaseException:
            pool.terminate()
            raise
        return pool


def _columns(task: StoredTask) -> tuple[Any, ...]:
    return task.task_id, task.state.value, task.attempt, task.epoch, task.is_due, to_document(task)


def _waited(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    """Have something done in the store's loop and wait for it.

    Raises:
        StoreUnavailable: the database could not do it, or not in time.
    """
    try:
        return asyncio.run_coroutine_threadsafe(_in_time(work), loop).result()
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        reason = str(error) or "it does not answer"
        raise StoreUnavailable(f"the tasks in Postgres cannot be used: {reason}") from error


async def _in_time(work: Coroutine[Any, Any, T]) -> T:
    async with asyncio.timeout(_LIMIT_S):
        return await work
