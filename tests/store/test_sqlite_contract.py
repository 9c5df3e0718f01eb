from contextlib import AbstractAsyncContextManager
from pathlib import Path

from store_contract import RandomBits, StoreContract

from lockstep.coordinator.ports import Store
from lockstep.coordinator.store.opening import open_store


class TestSqliteStore(StoreContract):
    def opened(self, tmp_path: Path, random_bits: RandomBits) -> AbstractAsyncContextManager[Store]:
        return open_store(f"sqlite:///{tmp_path}/lockstep.db", random_bits=random_bits)
