"""Postgres for backups and upgrades: the server of the stores' tests, with empty databases too."""

from collections.abc import Callable
from itertools import count

import pytest

from lockstep.stack.engines import Postgres
from tests.store.conftest import new_database, postgres, postgres_database

__all__ = ["new_database", "postgres", "postgres_database"]


@pytest.fixture(scope="session")
def empty_database(postgres: Postgres) -> Callable[[], str]:
    """Make a database without a schema; return its address."""
    numbers = count()
    return lambda: postgres.create_database(f"empty_{next(numbers)}")
