"""Identifiers of the Kids First family: two capital letters, `_`, eight characters of Crockford's base 32.

The eight characters are a 40-bit number without the letters that look like digits (no I, L, O, U), so that an id can
be read out over the telephone. Forty bits do meet by chance among millions of rows: whoever stores an id that was
made here must be ready to make another.
"""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ID_BITS: Final = 40
_PAIR_BITS: Final = 10
_PAIRS: Final = tuple(first + second for first in ALPHABET for second in ALPHABET)
"""Every two digits by their number, since ids are made by the hundred in one commit."""
_PATTERN: Final = re.compile(rf"[A-Z]{{2}}_[{ALPHABET}]{{8}}")


class Prefix(StrEnum):
    """What a kind of thing is called in its ids."""

    RELEASE = "RE"
    TASK = "TA"
    TASK_SERVICE = "TS"
    EVENT = "EV"
    RELEASE_NOTE = "RN"
    STUDY = "SD"
    WEBHOOK = "WH"


def make_id(prefix: Prefix, random_bits: Callable[[int], int]) -> str:
    """Make an id; `random_bits(40)` gives a number of that many uniformly random bits."""
    number = random_bits(ID_BITS)
    shifts = range(ID_BITS - _PAIR_BITS, -1, -_PAIR_BITS)
    return f"{prefix}_" + "".join([_PAIRS[number >> shift & 1023] for shift in shifts])


def is_id(text: object, prefix: Prefix | None = None) -> bool:
    """Tell whether a text is a well-formed id, of one kind if a prefix is given."""
    if not isinstance(text, str) or not _PATTERN.fullmatch(text):
        return False
    return prefix is None or text.startswith(f"{prefix}_")
