"""The three kinds of stores that every contract is tried on; a contract is a class of tests that asks for `opened`."""

import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lockstep.coordinator.store.memory import MemoryStore
from lockstep.coordinator.store.opening import open_store

RandomBits = Callable[[int], int]


class Opens:
    """Something that opens a store of its kind."""

    def opened(self, folder: Path, random_bits: RandomBits = secrets.randbits) -> AbstractAsyncContextManager[Any]:
        """Open the store that belongs to a folder; what is stored there stays, if the kind keeps anything."""
        raise NotImplementedError


class InMemory(Opens):
    """A store that needs no closing, and is another one each time."""

    @asynccontextmanager
    async def opened(self, folder: Path, random_bits: RandomBits = secrets.randbits) -> AsyncIterator[MemoryStore]:
        yield MemoryStore(random_bits)


class OnSqlite(Opens):
    """SQLite in a file."""

    def opened(self, folder: Path, random_bits: RandomBits = secrets.randbits) -> AbstractAsyncContextManager[Any]:
        return open_store(f"sqlite:///{folder}/lockstep.db", random_bits=random_bits)


class OnPostgres(Opens):
    """Postgres, with a database for each folder."""

    @pytest.fixture(autouse=True)
    def on_databases_of_its_own(self, new_database: Callable[[], str]) -> None:
        self.urls = defaultdict[Path, str](new_database)

    def opened(self, folder: Path, random_bits: RandomBits = secrets.randbits) -> AbstractAsyncContextManager[Any]:
        return open_store(self.urls[folder], random_bits=random_bits)
