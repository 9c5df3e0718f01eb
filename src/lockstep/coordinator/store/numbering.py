"""Which versions have been given so far, for those who want to know the next one before it is taken."""

from typing import Final

from sqlalchemy import Connection, bindparam, select

from lockstep.coordinator.core.versions import Numbers, Version
from lockstep.coordinator.store.tables import PUBLISHING, version_ledger

_NUMBER: Final = (version_ledger.c.major, version_ledger.c.minor, version_ledger.c.patch)
_GIVEN: Final = select(*_NUMBER).order_by(*(column.desc() for column in _NUMBER)).limit(1)
_PUBLISHED: Final = _GIVEN.where(version_ledger.c.kind == bindparam("kind"))


def numbers(connection: Connection) -> Numbers:
    """Return the highest version that was ever given, and the highest that any publishing took."""
    given = connection.execute(_GIVEN).one_or_none()
    published = connection.execute(_PUBLISHED, {"kind": PUBLISHING}).one_or_none()
    return Numbers(given and Version(*given), published and Version(*published))
