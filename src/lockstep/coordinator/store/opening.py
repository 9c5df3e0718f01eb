"""Opening the store that a database URL names."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lockstep.coordinator.store.database import Database, postgres_url
from lockstep.coordinator.store.fresh import RandomBits
from lockstep.coordinator.store.migrating import migrate, sqlite_file
from lockstep.coordinator.store.sql import SqlStore
from lockstep.coordinator.store.sqlite import BUSY_TIMEOUT_S, SqliteDatabase


@asynccontextmanager
async def open_store(
    database_url: str, *, random_bits: RandomBits = secrets.randbits, busy_timeout_s: float = BUSY_TIMEOUT_S
) -> AsyncIterator[SqlStore]:
    """Bring a database to the current schema and keep a store open on it.

    Args:
        database_url: such as `sqlite:///lockstep.db` or `postgresql://lockstep@db/lockstep`.
        random_bits: the source of ids.
        busy_timeout_s: how long another process's lock is waited for.

    Raises:
        Unavailable: the database cannot be used; the sentence says what to do.
    """
    await asyncio.to_thread(migrate, database_url, busy_timeout_s)
    store = SqlStore(_database(database_url, busy_timeout_s), random_bits)
    try:
        yield store
    finally:
        await store.close()


def _database(database_url: str, busy_timeout_s: float) -> Database:
    if url := postgres_url(database_url):
        from lockstep.coordinator.store.postgres import PostgresDatabase  # noqa: PLC0415 - takes a while to load

        return PostgresDatabase(url)
    return SqliteDatabase(sqlite_file(database_url), busy_timeout_s)
