"""Bringing a database to the current schema, all of it or nothing, in one transaction.

The migrations are part of the package. A database that is current already is recognised by one query, so that a start
does not pay for loading Alembic; its stamp is written anew, so that one that cannot be written is found out now.
"""

from pathlib import Path
from threading import Lock
from typing import Final

from sqlalchemy import Connection, column, inspect, select, table, update

from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.store.sqlite import BUSY_TIMEOUT_S, in_transaction, sqlite_path, writing_engine
from lockstep.coordinator.store.tables import SCHEMA

_STAMP: Final = "alembic_version"
_ALEMBIC: Final = Lock()
"""Alembic keeps what it is doing in its own modules, so that one thread at a time can ask it."""


def migrate(database_url: str, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
    """Bring a database to the current schema, creating it if there is none.

    Raises:
        Unavailable: the database cannot be opened or written, is not ours, or was made by a newer Lockstep.
    """
    path = sqlite_file(database_url)
    engine = writing_engine(path, busy_timeout_s)
    try:
        if not in_transaction(engine, path, lambda connection: _is_current(connection, path)):
            import alembic.command  # noqa: PLC0415, F401 - takes a while, so not while the database is locked

            in_transaction(engine, path, lambda connection: _upgrade(connection, path))
    finally:
        engine.dispose()


def sqlite_file(database_url: str) -> Path:
    """Return the file that an URL names.

    Raises:
        Unavailable: it names none.
    """
    if (path := sqlite_path(database_url)) is None:
        raise Unavailable("The database URL does not name a SQLite file; sqlite:///lockstep.db does.")
    return path


def _is_current(connection: Connection, path: Path) -> bool:
    """Tell whether a database has the current schema; if it has, see that it can be written."""
    if _stamp(connection, path) != SCHEMA:
        return False
    # Of a file that may not be written, SQLite says so only when something is written.
    connection.execute(update(table(_STAMP, column("version_num"))).values(version_num=SCHEMA))
    return True


def _upgrade(connection: Connection, path: Path) -> None:
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "lockstep.coordinator.store:migrations")
    config.attributes["connection"] = connection
    stamp = _stamp(connection, path)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if stamp is not None and stamp not in known:
        raise Unavailable(
            f"The database {path} has schema {stamp}, which this version of Lockstep does not know "
            f"(it knows {SCHEMA} and older); start the version that last used it, or name another database."
        )
    with _ALEMBIC:
        command.upgrade(config, "head")


def _stamp(connection: Connection, path: Path) -> str | None:
    """Return the schema that a database has, None for an empty one."""
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    if _STAMP not in tables:
        raise Unavailable(f"The database {path} holds tables of something else ({tables[0]}); name another file.")
    return connection.execute(select(column("version_num")).select_from(table(_STAMP))).scalar_one_or_none()
