"""What releases are found by, kept beside them: their tags, what is public of each study, and the keys of requests.

Whoever stores a release calls these in the same transaction, so that none of it can be behind.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select

from lockstep.coordinator.core.records import RequestKey
from lockstep.coordinator.store.column_types import POSITION, UtcDateTime
from lockstep.coordinator.store.promises import key_reused
from lockstep.coordinator.store.tables import release_study, release_tag, request_key, study_published

_FORGET_TAGS: Final = delete(release_tag).where(release_tag.c.release_position == bindparam("position"))
_KEY: Final = select(request_key.c.fingerprint, request_key.c.release_id).where(
    request_key.c.caller == bindparam("caller"), request_key.c.key == bindparam("key")
)
_PUBLISH: Final = insert(study_published).from_select(
    ["study_id", "published_at", "release_position"],
    select(
        release_study.c.study_id,
        bindparam("published_at", type_=UtcDateTime()),
        release_study.c.release_position,
    ).where(release_study.c.release_position == bindparam("position", type_=POSITION)),
)


def store_tags(connection: Connection, position: int, tags: Sequence[str], before: Sequence[str] = ()) -> None:
    """Have a release found by its tags, and no longer by those that it had before."""
    if before:
        connection.execute(_FORGET_TAGS, {"position": position})
    if tags:
        rows = [{"tag": tag, "release_position": position} for tag in dict.fromkeys(tags)]
        connection.execute(insert(release_tag), rows)


def publish_studies(connection: Connection, position: int, published_at: datetime) -> None:
    """Point the studies of a release at it: it is what is public of them now."""
    connection.execute(_PUBLISH, {"position": position, "published_at": published_at})


def made_by(connection: Connection, key: RequestKey) -> str | None:
    """Return the release that a key has created, None when it has created none yet.

    Raises:
        KeyReused: the key was sent with another request.
    """
    row = connection.execute(_KEY, {"caller": key.caller, "key": key.key}).one_or_none()
    if row is None:
        return None
    if row.fingerprint != key.fingerprint:
        raise key_reused(key.key)
    release_id: str = row.release_id
    return release_id


def remember(connection: Connection, key: RequestKey, release_id: str, now: datetime) -> None:
    """Keep what a key has created, for as long as the release is kept."""
    row = {"caller": key.caller, "key": key.key, "fingerprint": key.fingerprint}
    connection.execute(insert(request_key), {**row, "release_id": release_id, "created_at": now})
