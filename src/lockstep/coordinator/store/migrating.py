"""Bringing a database to the current schema, all of it or nothing, in one transaction.

The migrations are part of the package. A database that is current already is recognised by one query, so that a start
does not pay for loading Alembic; its stamp is written anew, so that one that cannot be written is found out now.
"""

import asyncio
from pathlib import Path
from threading import Lock
from typing import Final

from sqlalchemy import URL, Connection, column, inspect, select, table, update

from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.store.database import postgres_url
from lockstep.coordinator.store.sqlite import BUSY_TIMEOUT_S, in_transaction, sqlite_path, writing_engine
from lockstep.coordinator.store.tables import SCHEMA
from lockstep.coordinator.store.turns import Turn, take_turns

_STAMP: Final = "alembic_version"
_ALEMBIC: Final = Lock()
"""Alembic keeps what it is doing in its own modules, so that one thread at a time can ask it."""


def migrate(database_url: str, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
    """Bring a database to the current schema, creating it if there is none; not to be called on an event loop.

    Processes that do so at the same time do it one after the other, and all but the first find it done.

    Raises:
        Unavailable: the database cannot be opened or written, is not ours, or was made by a newer Lockstep.
    """
    if url := postgres_url(database_url):
        asyncio.run(_migrate_postgres(url))
    else:
        _migrate_sqlite(sqlite_file(database_url), busy_timeout_s)


def _migrate_sqlite(path: Path, busy_timeout_s: float) -> None:
    engine = writing_engine(path, busy_timeout_s)
    try:
        if not in_transaction(engine, path, lambda connection: _is_current(connection, path)):
            import alembic.command  # noqa: PLC0415, F401 - takes a while, so not while the database is locked

            in_transaction(engine, path, lambda connection: _upgrade(connection, path))
    finally:
        engine.dispose()


async def _migrate_postgres(url: URL) -> None:
    from lockstep.coordinator.store.postgres import PostgresDatabase  # noqa: PLC0415 - takes a while to load

    def work(connection: Connection) -> None:
        take_turns(connection, Turn.SCHEMA)
        if not _is_current(connection, url.database or ""):
            _upgrade(connection, url.database or "")

    database = PostgresDatabase(url, connections=1)
    try:
        await database.write(work)
    finally:
        await database.close()


def sqlite_file(database_url: str) -> Path:
    """Return the file that an URL names.

    Raises:
        Unavailable: it names none.
    """
    if (path := sqlite_path(database_url)) is None:
        raise Unavailable(
            "The database URL names neither a SQLite file nor a Postgres database; "
            "sqlite:///lockstep.db and postgresql://user:password@host/lockstep would."
        )
    return path


def _is_current(connection: Connection, path: Path | str) -> bool:
    """Tell whether a database has the current schema; if it has, see that it can be written."""
    if schema_of(connection, path) != SCHEMA:
        return False
    # Of a file that may not be written, SQLite says so only when something is written.
    connection.execute(update(table(_STAMP, column("version_num"))).values(version_num=SCHEMA))
    return True


def _upgrade(connection: Connection, path: Path | str) -> None:
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "lockstep.coordinator.store:migrations")
    config.attributes["connection"] = connection
    stamp = schema_of(connection, path)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if stamp is not None and stamp not in known:
        raise Unavailable(
            f"The database {path} has schema {stamp}, which this version of Lockstep does not know "
            f"(it knows {SCHEMA} and older); start the version that last used it, or name another database."
        )
    with _ALEMBIC:
        command.upgrade(config, "head")


def schema_of(connection: Connection, path: Path | str) -> str | None:
    """Return the schema that a database has, None for an empty one."""
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    if _STAMP not in tables:
        raise Unavailable(f"The database {path} holds tables of something else ({tables[0]}); name another one.")
    return connection.execute(select(column("version_num")).select_from(table(_STAMP))).scalar_one_or_none()
