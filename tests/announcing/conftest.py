"""The real Postgres of the tests of stores, for couriers of several processes."""

from tests.store.conftest import new_database, postgres

__all__ = ["new_database", "postgres"]
