"""The real Postgres of the tests of stores, for those of a worker."""

from tests.store.conftest import new_database, postgres

__all__ = ["new_database", "postgres"]
