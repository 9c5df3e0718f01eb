"""SQLite: how it is opened, how its transactions begin, and what its errors mean.

A transaction is one piece of work on one thread: the event loop hands it over and gets its outcome back. That is five
times quicker than a hop between threads for every statement, which is what an asynchronous driver makes of SQLite,
and it keeps a slow disk from holding up the loop. One thread writes, so that writers queue here and not at the
database's lock; a few read, each on the state that was committed last, and wait for nobody.

* WAL, so that readers and the writer do not wait for each other; `synchronous=FULL`, so that a commit outlives a loss
  of power and not only of the process.
* `BEGIN IMMEDIATE` for every transaction that writes: one that begins by reading and then writes would lose updates.
* A lock that another process holds is waited for as long as the busy time-out says.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError

from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.store.database import Work
from lockstep.coordinator.store.fresh import ATTEMPTS, no_free_id

T = TypeVar("T")

BUSY_TIMEOUT_S: Final = 5.0
"""How long a lock that another process holds is waited for: longer than a backup tool holds one."""

READERS: Final = 3
"""Threads that read. More would wait for the interpreter, not for the disk."""

_PRIMARY: Final = 0xFF
_KEY_TAKEN: Final = frozenset({"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"})

_REMEDIES: Final = {
    sqlite3.SQLITE_BUSY: "is locked by another process; end that process, or its transaction, and try again",
    sqlite3.SQLITE_LOCKED: "is locked by another process; end that process, or its transaction, and try again",
    sqlite3.SQLITE_READONLY: "may not be written; give this user the right to write the file and its folder",
    sqlite3.SQLITE_PERM: "may not be opened; give this user the right to read and write the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; its folder must exist, and this user must be allowed to write there",
    sqlite3.SQLITE_FULL: "cannot grow, since the disk is full; free some space and try again",
    sqlite3.SQLITE_IOERR: "cannot be read or written (disk I/O error); see that the disk has space and is sound",
    sqlite3.SQLITE_NOTADB: "is no SQLite database; name another file, or move this one away",
    sqlite3.SQLITE_CORRUPT: "is damaged; put a backup in its place",
}


def sqlite_path(database_url: str) -> Path | None:
    """Return the file that an URL such as `sqlite:///lockstep.db` names; None when it is no URL of a SQLite file."""
    try:
        url = make_url(database_url)
    except ArgumentError:
        return None
    if url.get_backend_name() != "sqlite" or url.database in {None, "", ":memory:"}:
        return None
    return Path(str(url.database))


def sqlite_engine(path: Path, *, begin: str, setup: tuple[str, ...], connections: int, busy_timeout_s: float) -> Engine:
    """Return an engine whose transactions begin with `begin` and whose connections are set up with some statements."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        connect_args={
            "timeout": busy_timeout_s,
            "isolation_level": None,
            "check_same_thread": False,
            "cached_statements": 512,
        },
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _: object) -> None:
        try:
            for statement in setup:
                connection.execute(statement)
        except sqlite3.Error:
            connection.close()
            raise

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def writing_engine(path: Path, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Engine:
    """Return the engine for whatever writes: the store's one writer, and the migrations."""
    return sqlite_engine(
        path,
        begin="BEGIN IMMEDIATE",
        setup=(
            "PRAGMA journal_mode=WAL",
            "PRAGMA synchronous=FULL",
            "PRAGMA foreign_keys=ON",
            "PRAGMA cache_size=-16384",
        ),
        connections=1,
        busy_timeout_s=busy_timeout_s,
    )


def in_transaction(engine: Engine, path: Path, work: Work[T]) -> T:
    """Run work in a transaction of an engine and commit; translate what SQLite says about its file.

    Raises:
        Unavailable: the file cannot be used; the sentence says what to do.
    """
    try:
        with engine.begin() as connection:
            return work(connection)
    except (DBAPIError, sqlite3.Error) as error:
        if (sentence := _sentence(error, path)) is None:
            raise
        engine.dispose()
        raise Unavailable(sentence) from error


class SqliteDatabase:
    """A SQLite file that this process has open, with one thread that writes and a few that read."""

    def __init__(self, path: Path, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._path = path
        self._writer = writing_engine(path, busy_timeout_s)
        self._reader = sqlite_engine(
            path,
            begin="BEGIN",
            setup=("PRAGMA query_only=ON", "PRAGMA cache_size=-4096"),
            connections=READERS,
            busy_timeout_s=busy_timeout_s,
        )
        self._writing = ThreadPoolExecutor(1, "store-writer")
        self._reading = ThreadPoolExecutor(READERS, "store-reader")

    async def read(self, work: Work[T]) -> T:
        """Run work on the state that was committed last."""
        return await _on(self._reading, lambda: in_transaction(self._reader, self._path, work))

    async def write(self, work: Work[T], *, repeatable: bool = False) -> T:  # noqa: ARG002 - a file is not lost so
        """Run work alone, and commit."""
        return await _on(self._writing, lambda: self._write(work))

    async def close(self) -> None:
        """Finish what is running and close the file."""
        for executor, engine in ((self._writing, self._writer), (self._reading, self._reader)):
            await asyncio.to_thread(executor.shutdown)
            engine.dispose()

    def _write(self, work: Work[T]) -> T:
        for _ in range(ATTEMPTS):
            try:
                return in_transaction(self._writer, self._path, work)
            except IntegrityError as error:
                if _original(error).sqlite_errorname not in _KEY_TAKEN:
                    raise
        raise no_free_id()


async def _on(executor: ThreadPoolExecutor, call: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(executor, call)


def _original(error: BaseException) -> Any:  # noqa: ANN401 - the stubs do not know the error's code
    return error.orig if isinstance(error, DBAPIError) else error


def _sentence(error: DBAPIError | sqlite3.Error, path: Path) -> str | None:
    code = getattr(_original(error), "sqlite_errorcode", None)
    remedy = None if code is None else _REMEDIES.get(code & _PRIMARY)
    return None if remedy is None else f"The database {path} {remedy}."
