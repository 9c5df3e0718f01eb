"""What the store needs of a database: transactions to read in, and transactions to write in.

The statements are plain functions of a SQLAlchemy connection and know neither threads nor an event loop; an
implementation of this port decides how they run without keeping the loop from its work.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError

T = TypeVar("T")

Work = Callable[[Connection], T]
"""What is done in a transaction. It may be done again from the start, so it changes nothing but the database."""


class Database(Protocol):
    """A database, open."""

    async def read(self, work: Work[T]) -> T:
        """Run work that only reads, on one consistent state of everything. It never waits for a writer.

        Raises:
            Unavailable: the database cannot be read; the sentence says what to do.
        """
        ...

    async def write(self, work: Work[T], *, repeatable: bool = False) -> T:
        """Run work that writes, alone, and commit; when it raises, nothing was done.

        It is run again when the database refuses a row because its key is taken; and, if it is `repeatable`, when the
        database was lost during the commit, so that nobody knows whether it was stored: to do it twice comes to the
        same as to do it once.

        Raises:
            Unavailable: the database cannot be written, or no free key was found; the sentence says what to do.
        """
        ...

    async def close(self) -> None:
        """Finish what is running and let go of the database."""
        ...


def postgres_url(database_url: str) -> URL | None:
    """Return what `postgresql://…` means to the driver; None when it is the URL of something else."""
    try:
        url = make_url(database_url)
    except ArgumentError:
        return None
    if url.get_backend_name() not in {"postgresql", "postgres"} or not url.database:
        return None
    if mode := url.query.get("sslmode"):
        url = url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
    return url.set(drivername="postgresql+asyncpg")
