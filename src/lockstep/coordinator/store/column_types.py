"""Column types that mean the same on every database."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, String, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_WORD_LENGTH: Final = 20
_REMEMBERED: Final = 4096
"""Times that are translated once: the tasks of a release share most of theirs."""


class UtcDateTime(TypeDecorator[datetime]):
    """A time with its zone, in UTC, to the microsecond.

    SQLite has no type for it and keeps whole microseconds since 1970, which compare and index as they should;
    Postgres keeps its own `timestamptz`. A time without a zone is a `ValueError`: nobody knows when it was.
    """

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type that the database is told."""
        stored: TypeEngine[Any] = BigInteger() if dialect.name == "sqlite" else DateTime(timezone=True)
        return dialect.type_descriptor(stored)

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], int | datetime | None]:
        """Return the function from a time to what is stored of it."""
        return _to_microseconds if dialect.name == "sqlite" else _checked

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:  # noqa: ARG002
        """Return the function from what is stored to the time."""
        return _from_microseconds if dialect.name == "sqlite" else _in_utc


@lru_cache(_REMEMBERED)
def _to_microseconds(time: datetime | None) -> int | None:
    return None if time is None else (_with_zone(time) - _EPOCH) // _MICROSECOND


def _checked(time: datetime | None) -> datetime | None:
    return None if time is None else _with_zone(time)


@lru_cache(_REMEMBERED)
def _from_microseconds(stored: int | None) -> datetime | None:
    return None if stored is None else _EPOCH + timedelta(microseconds=stored)


def _with_zone(time: datetime) -> datetime:
    if time.tzinfo is None:
        raise ValueError(f"{time} has no time zone; a time in UTC has one")
    return time


def _in_utc(stored: datetime | None) -> datetime | None:
    return None if stored is None else stored.astimezone(UTC)


class Word(TypeDecorator[StrEnum]):
    """One of the words of an enumeration, kept as text; what may stand there is said by a constraint of the table."""

    impl = String
    cache_ok = True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__(_WORD_LENGTH)
        self.words = words

    def bind_processor(self, dialect: Dialect) -> Callable[[StrEnum | None], str | None]:  # noqa: ARG002
        """Return the function from a word to its text, a plain one, which drivers take without looking twice."""
        return _text

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], StrEnum | None]:  # noqa: ARG002
        """Return the function from a text to the word."""
        return {word.value: word for word in self.words}.get


def _text(word: StrEnum | None) -> str | None:
    return None if word is None else str(word)


POSITION: Final = BigInteger().with_variant(Integer(), "sqlite")
"""The number of a row in its table, given by the database and rising: the order of creation."""

UNLIMITED: Final = Text().with_variant(String(256), "sqlite")
"""A text of any length that others decide. SQLite, where the column is called by its first name, knows no lengths."""
