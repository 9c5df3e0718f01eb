"""Opening the store that a database URL names."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.store.database import Database, postgres_url
from lockstep.coordinator.store.examining import ask_schema, open_to_look
from lockstep.coordinator.store.fresh import RandomBits
from lockstep.coordinator.store.memory import MemoryStore
from lockstep.coordinator.store.migrating import migrate, sqlite_file
from lockstep.coordinator.store.sql import SqlStore
from lockstep.coordinator.store.sqlite import BUSY_TIMEOUT_S, SqliteDatabase
from lockstep.coordinator.store.tables import SCHEMA


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


@asynccontextmanager
async def open_to_read(database_url: str) -> AsyncIterator[SqlStore | MemoryStore]:
    """Keep a store open that is only read, whoever is at work on it; an empty one where there is no database yet.

    Raises:
        Unavailable: the database cannot be read, or has the schema of another version.
    """
    if postgres_url(database_url) is None and not sqlite_file(database_url).exists():
        yield MemoryStore()
        return
    database = open_to_look(database_url)
    try:
        schema, _ = await database.read(ask_schema)
        if schema not in {None, SCHEMA}:
            raise Unavailable(
                f"The database has schema {schema}, and this version of Lockstep reads {SCHEMA}; `lockstep migrate` "
                "brings it there."
            )
        yield SqlStore(database) if schema else MemoryStore()
    finally:
        await database.close()


def _database(database_url: str, busy_timeout_s: float) -> Database:
    if url := postgres_url(database_url):
        from lockstep.coordinator.store.postgres import PostgresDatabase  # noqa: PLC0415 - takes a while to load

        return PostgresDatabase(url)
    return SqliteDatabase(sqlite_file(database_url), busy_timeout_s)
