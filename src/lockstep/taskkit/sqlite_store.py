"""Tasks in an SQLite file: the store that a task service has unless it is given another.

A commit is on the disk before it counts (WAL with `synchronous=FULL`), and every writing transaction takes the write
lock at its beginning (`BEGIN IMMEDIATE`), without which SQLite can lose an update. The file may be read by anybody at
any time. To *work* from it is for one process only: two would run every function twice. So `open` holds a lock on a
file beside it, `<path>.lock`, which the operating system takes back when the process ends, however it ends.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import fields
from pathlib import Path
from threading import Lock
from typing import Any, Final, Literal

from lockstep.protocol.states import TaskState
from lockstep.taskkit.store import StoredTask, StoreUnavailable

_COLUMNS: Final = [field.name for field in fields(StoredTask)]
_ALL: Final = ", ".join(_COLUMNS)

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS lockstep_task (
  task_id TEXT PRIMARY KEY,
  release_id TEXT NOT NULL,
  state TEXT NOT NULL,
  progress INTEGER NOT NULL,
  studies TEXT NOT NULL,
  urls TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  cleanup_due INTEGER NOT NULL,
  error TEXT,
  epoch INTEGER,
  retryable INTEGER,
  metrics TEXT,
  preview TEXT,
  callback_token TEXT,
  holder TEXT,
  beat INTEGER
)
"""
_ADDED: Final = {
    "epoch": "INTEGER",
    "retryable": "INTEGER",
    "metrics": "TEXT",
    "preview": "TEXT",
    "callback_token": "TEXT",
    "holder": "TEXT",
    "beat": "INTEGER",
}
"""Columns that files made by earlier versions do not have. They may be null, so that an earlier version can go on."""

_GET: Final = f"SELECT {_ALL} FROM lockstep_task WHERE task_id = ?"  # noqa: S608 - our own column names
_DUE: Final = f"SELECT {_ALL} FROM lockstep_task WHERE cleanup_due OR state IN ('running', 'publishing')"  # noqa: S608
_STAGED: Final = f"SELECT {_ALL} FROM lockstep_task WHERE state = 'staged'"  # noqa: S608
_ADD: Final = f"INSERT OR IGNORE INTO lockstep_task ({_ALL}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608
_REPLACE: Final = (
    f"UPDATE lockstep_task SET {', '.join(f'{name} = ?' for name in _COLUMNS)} "  # noqa: S608
    "WHERE task_id = ? AND state = ? AND attempt = ? AND epoch IS ?"
)


class SqliteStore:
    """Tasks in the file `path`, which is made, with its folders, when there is none.

    `busy_timeout_s` is how long to wait for another process: one that writes to the file, or one that is just ending.
    """

    lease_s: float | None = None

    def __init__(self, path: str | Path, *, busy_timeout_s: float = 5.0) -> None:
        self.path = Path(path)
        self._busy_timeout_s = busy_timeout_s
        self._use = Lock()
        self._connection: sqlite3.Connection | None = None
        self._give_back = ExitStack()

    def open(self) -> None:
        """Claim the file and make its table.

        Raises:
            StoreUnavailable: the file cannot be used, or a process that is alive works from it.
        """
        with self._use, self._border():
            if self._connection is not None:
                return
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with ExitStack() as undo:
                undo.enter_context(closing(self._claimed()))
                connection = undo.enter_context(closing(self._connect(self.path, "IMMEDIATE")))
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                _make_table(connection)
                self._give_back, self._connection = undo.pop_all(), connection

    def close(self) -> None:
        """Give the file back."""
        with self._use, self._border():
            self._connection = None
            self._give_back.close()

    def get(self, task_id: str) -> StoredTask | None:
        """Return a task, or None when it is not known."""
        with self._opened() as connection:
            row = connection.execute(_GET, (task_id,)).fetchone()
        return None if row is None else _from_row(row)

    def add(self, task: StoredTask) -> bool:
        """Keep a new task; False when its id is taken."""
        with self._opened() as connection:
            return connection.execute(_ADD, _to_row(task)).rowcount == 1

    def replace(self, seen: StoredTask, new: StoredTask) -> bool:
        """Put `new` in the place of `seen` unless its state, attempt or epoch changed."""
        condition = (seen.task_id, seen.state.value, seen.attempt, seen.epoch)
        with self._opened() as connection:
            return connection.execute(_REPLACE, (*_to_row(new), *condition)).rowcount == 1

    def due(self) -> Sequence[StoredTask]:
        """Return the tasks for which a function has to run."""
        with self._opened() as connection:
            return [_from_row(row) for row in connection.execute(_DUE)]

    def staged(self) -> Sequence[StoredTask]:
        """Return the tasks that wait for a decision."""
        with self._opened() as connection:
            return [_from_row(row) for row in connection.execute(_STAGED)]

    def _claimed(self) -> sqlite3.Connection:
        """Return the connection whose open transaction is the lock on the file beside ours."""
        connection = self._connect(self.path.with_name(f"{self.path.name}.lock"), None)
        try:
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            connection.close()
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise StoreUnavailable(
                    f"another process is working on the tasks in {self.path}; stop it first"
                ) from None
            raise
        return connection

    def _connect(self, path: Path, isolation_level: Literal["IMMEDIATE"] | None) -> sqlite3.Connection:
        return sqlite3.connect(
            path, timeout=self._busy_timeout_s, isolation_level=isolation_level, check_same_thread=False
        )

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection to one thread for one transaction, which is committed at the end."""
        with self._use, self._border():
            if self._connection is None:
                raise StoreUnavailable(f"the tasks in {self.path} are not open")
            with self._connection:
                yield self._connection

    @contextmanager
    def _border(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"the tasks in {self.path} cannot be used: {error}") from error


def _make_table(connection: sqlite3.Connection) -> None:
    """Make the table, or bring one that an earlier version made to what it is today."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_SCHEMA)
        there = {name for _, name, *_ in connection.execute("PRAGMA table_info(lockstep_task)")}
        for name, kind in _ADDED.items():
            if name not in there:
                connection.execute(f"ALTER TABLE lockstep_task ADD COLUMN {name} {kind}")


def _to_row(task: StoredTask) -> tuple[Any, ...]:
    return (
        task.task_id,
        task.release_id,
        task.state.value,
        task.progress,
        json.dumps(task.studies),
        json.dumps(task.urls),
        task.attempt,
        task.cleanup_due,
        task.error,
        task.epoch,
        task.retryable,
        None if task.metrics is None else json.dumps(dict(task.metrics)),
        task.preview,
        task.callback_token,
        task.holder,
        task.beat,
    )


def _from_row(row: Sequence[Any]) -> StoredTask:
    columns = dict(zip(_COLUMNS, row, strict=True))
    columns["state"] = TaskState(columns["state"])
    columns["studies"] = tuple(json.loads(columns["studies"]))
    columns["urls"] = tuple(json.loads(columns["urls"]))
    columns["cleanup_due"] = bool(columns["cleanup_due"])
    columns["retryable"] = None if columns["retryable"] is None else bool(columns["retryable"])
    columns["metrics"] = None if columns["metrics"] is None else json.loads(columns["metrics"])
    columns["beat"] = columns["beat"] or 0
    return StoredTask(**columns)
