"""The proof that this process is the only one at work on a SQLite file.

A lock file lies beside the database. Whoever holds its lock is alone, and may take over at once what a process that
was killed left behind, instead of waiting until its lease has run out. The lock belongs to the open file: the kernel
releases it with the process, however that ends. The file itself stays where it is and means nothing.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lockstep.coordinator.core.errors import Unavailable


@contextmanager
def sqlite_alone(path: Path | str) -> Iterator[None]:
    """Be the only process at work on a SQLite file for as long as the context is open.

    Args:
        path: the database; another name or a symbolic link for the same file means the same lock.

    Raises:
        Unavailable: another process is at work on it, or the lock file cannot be made.
    """
    database = Path(path).resolve()
    lock = database.with_name(f"{database.name}.lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise Unavailable(
            f"The lock file {lock} cannot be made ({error.strerror}); the folder of the database must exist, "
            "and this user must be allowed to write there."
        ) from error
    try:
        _lock(descriptor, database)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, database: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        raise Unavailable(
            f"Another process (id {holder or 'unknown'}) is at work on the database {database}; "
            "end it, or give this one a database of its own."
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
