"""Databases for the tests of stores."""

import signal
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from lockstep.coordinator.store.migrating import migrate
from lockstep.stack.engines import Postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real Postgres server, one for each process of tests, with a migrated database to copy."""
    with TemporaryDirectory(prefix="lockstep-postgres-") as folder:
        Path(folder).chmod(0o755)
        server = Postgres(Path(folder) / "server", settings={"fsync": "off", "full_page_writes": "off"})
        server.start()
        migrate(server.create_database("migrated"))
        yield server
        server.stop(signal.SIGQUIT)


@pytest.fixture(scope="session")
def new_database(postgres: Postgres) -> Callable[[], str]:
    """Make an empty store's database; return its address."""
    numbers = count()
    return lambda: postgres.create_database(f"test_{next(numbers)}", "migrated")


@pytest.fixture
def postgres_database(new_database: Callable[[], str]) -> str:
    """The address of a database of the test's own, with nothing in it."""
    return new_database()
