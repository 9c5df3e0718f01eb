"""Turns: what transactions of different releases must not do at the same time.

SQLite has one writer, and all of this is nothing there. On Postgres each turn is an advisory lock, held to the end of
the transaction. A transaction that needs several takes them in the order in which they stand here, after its rows.
"""

from enum import IntEnum

from sqlalchemy import Connection, func, select


class Turn(IntEnum):
    """What is done by one transaction at a time."""

    SCHEMA = 0
    """Bringing the database to the current schema."""

    VERSIONS = 1
    """Giving a version, and deciding who publishes before whom."""

    EVENTS = 2
    """Adding to the log: events are committed in the order of their positions, so that whoever has read up to one has
    missed none before it."""


_FAMILY = 0x4C6F636B
"""Keeps these locks apart from those of other programs in the same database; the letters "Lock"."""


def take_turns(connection: Connection, turn: Turn) -> None:
    """Wait until no other transaction has this turn, and hold it until the end of this one."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_FAMILY, turn.value)))
