"""New ids for new rows, from an injected source of chance.

Forty random bits meet now and then among millions of rows. Whoever stores an id finds out and asks for another; a
source that keeps giving what is taken (a broken one, or a test's) is not asked for ever.
"""

import secrets
from collections.abc import Callable, Container
from typing import Final

from lockstep.coordinator.core.errors import Unavailable
from lockstep.protocol.ids import Prefix, make_id

RandomBits = Callable[[int], int]
"""Gives a number of that many uniformly random bits."""

ATTEMPTS: Final = 10
"""How often a row is given a new id before the source of chance counts as broken."""

_UUID_BITS: Final = 128
_UUID_CHANCE: Final = 0xFFFFFFFF_FFFF_0FFF_3FFFFFFFFFFFFFFF
_UUID_VERSION_4: Final = 0x00000000_0000_4000_8000000000000000


class FreshIds:
    """Makes ids and hidden uuids from `random_bits`."""

    def __init__(self, random_bits: RandomBits = secrets.randbits) -> None:
        self._random_bits = random_bits

    def kf_id(self, prefix: Prefix) -> str:
        """Return an id that is free in all likelihood."""
        return make_id(prefix, self._random_bits)

    def free_kf_id(self, prefix: Prefix, *taken: Container[str]) -> str:
        """Return an id that is in none of the collections of ids that are taken.

        Raises:
            Unavailable: the source of chance gives only ids that are taken.
        """
        for _ in range(ATTEMPTS):
            kf_id = self.kf_id(prefix)
            if not any(kf_id in ids for ids in taken):
                return kf_id
        raise no_free_id()

    def uuid(self) -> str:
        """Return a uuid of version 4 as 32 hexadecimal digits."""
        return f"{self._random_bits(_UUID_BITS) & _UUID_CHANCE | _UUID_VERSION_4:032x}"


def no_free_id() -> Unavailable:
    """Return the error for a row that could not be given an id or a version of its own."""
    return Unavailable(
        f"No free id or version was found in {ATTEMPTS} attempts; nothing was stored. "
        "Random numbers that repeat are the likely cause."
    )
