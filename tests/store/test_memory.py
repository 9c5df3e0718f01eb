from contextlib import AbstractAsyncContextManager
from pathlib import Path

from store_contract import RandomBits, StoreContract, held

from lockstep.coordinator.ports import Store
from lockstep.coordinator.store.memory import MemoryStore


class TestMemoryStore(StoreContract):
    def opened(self, tmp_path: Path, random_bits: RandomBits) -> AbstractAsyncContextManager[Store]:
        return held(MemoryStore(random_bits))
