"""The ids and cursors that clients keep, byte for byte: base64 of `ReleaseNode:RE_…` and of `arrayconnection:0`.

Clients build such ids themselves from the ids in their own addresses, so that they are no secret and part of the
contract. What cannot be read is nobody's id; it is up to the caller whether that is an error.
"""

import binascii
from base64 import b64decode, b64encode
from typing import Final

_CURSOR: Final = "arrayconnection"
_LONGEST: Final = 200
_DIGITS: Final = 15


def global_id(type_name: str, key: object) -> str:
    """Return the id of a thing among all things."""
    return b64encode(f"{type_name}:{key}".encode()).decode()


def read_id(text: str) -> tuple[str, str] | None:
    """Return the type and the key that a global id names; None when it is none."""
    try:
        type_name, colon, key = b64decode(text[:_LONGEST], validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    sound = colon and type_name and key.isprintable() and key and global_id(type_name, key) == text
    return (type_name, key) if sound else None


def cursor(place: int) -> str:
    """Return the cursor of a place in a list."""
    return global_id(_CURSOR, place)


def read_cursor(text: str) -> int | None:
    """Return the place that a cursor names; None when it is no cursor."""
    kind, place = read_id(text) or ("", "")
    return int(place) if kind == _CURSOR and place.isdecimal() and place.isascii() and len(place) <= _DIGITS else None
