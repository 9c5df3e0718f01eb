"""Periodic work, claimed by one process at a time: a row says when each piece is due next."""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, insert, select, update

from lockstep.coordinator.store.tables import chore

_NEXT: Final = select(chore.c.due_at).where(chore.c.name == bindparam("chore")).with_for_update()
_PUT_OFF: Final = update(chore).where(chore.c.name == bindparam("chore")).values(due_at=bindparam("until"))


def claim(connection: Connection, name: str, now: datetime, until: datetime) -> bool:
    """Claim a piece of work that is due, and put it off for everybody until some time; tell whether it was due."""
    due_at = connection.execute(_NEXT, {"chore": name}).scalar_one_or_none()
    if due_at is None:
        connection.execute(insert(chore), {"name": name, "due_at": until})
    elif due_at > now:
        return False
    else:
        connection.execute(_PUT_OFF, {"chore": name, "until": until})
    return True
