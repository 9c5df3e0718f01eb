"""Storing the releases of another coordinator, and what hangs on each: studies, tags, its number, what is public.

`history` says which releases are new here and which have changed, and calls this for them, within its transaction.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Final

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from lockstep.coordinator.core.model import Release
from lockstep.coordinator.core.versions import Version
from lockstep.coordinator.store.found_by import publish_studies, store_tags
from lockstep.coordinator.store.rows import (
    Values,
    differing,
    from_release,
)
from lockstep.coordinator.store.tables import (
    CANDIDATE,
    PUBLISHING,
    release,
    release_study,
    study,
    study_published,
    task,
    version_ledger,
)
from lockstep.protocol.states import ReleaseState

_LAST_ORDER: Final = select(func.coalesce(func.max(release.c.publish_order), 0))
_IS_NUMBER: Final = (
    version_ledger.c.major == bindparam("of_major"),
    version_ledger.c.minor == bindparam("of_minor"),
    version_ledger.c.patch == bindparam("of_patch"),
)
_GIVEN_AS: Final = select(version_ledger.c.kind).where(*_IS_NUMBER)
_PUBLISHED_AS: Final = update(version_ledger).where(*_IS_NUMBER).values(kind=PUBLISHING)
_SAME_VERSION: Final = (
    select(release.c.kf_id)
    .where(
        release.c.major == bindparam("of_major"),
        release.c.minor == bindparam("of_minor"),
        release.c.patch == bindparam("of_patch"),
        release.c.state == ReleaseState.PUBLISHED,
        release.c.kf_id != bindparam("of_kf_id"),
    )
    .order_by(release.c.position)
    .limit(1)
)
_OF_STUDY: Final = (
    select(release.c.position)
    .join_from(release_study, release, release.c.position == release_study.c.release_position)
    .where(release_study.c.study_id == study.c.kf_id)
    .order_by(release.c.created_at.desc(), release.c.position.desc())
    .limit(1)
)
_POINT_AT_NEWEST: Final = (
    update(study)
    .where(study.c.kf_id.in_(bindparam("study_ids", expanding=True)))
    .values(
        newest_release=_OF_STUDY.scalar_subquery(),
        newest_published=_OF_STUDY.where(release.c.state == ReleaseState.PUBLISHED).scalar_subquery(),
    )
)
_TIMED: Final = select(release.c.position, release.c.kf_id, release.c.state, release.c.step_since)
_SET_TIME: Final = update(release).where(release.c.position == bindparam("at_position"))
_SET_PUBLIC_SINCE: Final = (
    update(study_published)
    .where(study_published.c.release_position == bindparam("at_position"))
    .values(published_at=bindparam("at"))
)
_SET_TASK_TIME: Final = update(task).values(state_since=bindparam("at"), life_at=bindparam("at"))
_ITS_TIME: Final = _SET_TASK_TIME.where(task.c.kf_id == bindparam("of_kf_id"))
_TIME_OF_RELEASE: Final = _SET_TASK_TIME.where(
    task.c.release_id == bindparam("of_kf_id"), task.c.state_since == task.c.created_at
)
"""A task of which no event tells came to its state with its release."""


def with_same_version(connection: Connection, new: Release) -> str | None:
    """Return the id of another published release that has the version of one, None when there is none."""
    return connection.execute(_SAME_VERSION, {**_number(new.version), "of_kf_id": new.kf_id}).scalar()


def insert_releases(connection: Connection, new: Sequence[Release], uuids: Callable[[str], str]) -> None:
    """Store releases that are not here yet; `uuids` gives the hidden name of each."""
    order = count(1 + connection.execute(_LAST_ORDER).scalar_one())
    for each in new:
        values = {**from_release(each), "uuid": uuids(each.kf_id)}
        if each.state is ReleaseState.PUBLISHED:
            values |= {"publish_order": next(order), "published_at": each.published_at or each.created_at}
        inserted = insert(release).values(values).returning(release.c.position)
        position = connection.execute(inserted).scalar_one()
        _hang_on(connection, position, each, values["published_at"])
        store_tags(connection, position, each.tags)


def update_release(connection: Connection, position: int, before: Release, after: Release) -> None:
    """Make a release that is here the same again."""
    this = update(release).where(release.c.position == position)
    connection.execute(this, differing(from_release, before, after))
    if before.tags != after.tags:
        store_tags(connection, position, after.tags, before.tags)
    if set(before.studies) != set(after.studies):
        for table in (release_study, study_published):
            connection.execute(delete(table).where(table.c.release_position == position))
        _hang_on(connection, position, after, before.published_at)
    if before.version != after.version:
        _give(connection, after)


def point_studies(connection: Connection, study_ids: Collection[str]) -> None:
    """Point studies at their newest releases anew."""
    if study_ids:
        connection.execute(_POINT_AT_NEWEST, {"study_ids": sorted(study_ids)})


def set_times(connection: Connection, moments: Mapping[str, datetime]) -> None:
    """Set when releases and tasks came to the state that they are in."""
    if not moments:
        return
    connection.execute(_ITS_TIME, [{"of_kf_id": kf_id, "at": at} for kf_id, at in moments.items()])
    for row in connection.execute(_TIMED.where(release.c.kf_id.in_(list(moments)))).all():
        at = moments[row.kf_id]
        if at != row.step_since:
            is_public = row.state is ReleaseState.PUBLISHED
            values = {"step_since": at, **({"published_at": at} if is_public else {})}
            connection.execute(_SET_TIME.values(values), {"at_position": row.position})
            connection.execute(_SET_PUBLIC_SINCE, {"at_position": row.position, "at": at})
        connection.execute(_TIME_OF_RELEASE, {"of_kf_id": row.kf_id, "at": at})


def _hang_on(connection: Connection, position: int, stored: Release, published_at: datetime | None) -> None:
    """Store what hangs on a release: its studies, what is public of them, and its number."""
    if stored.studies:
        held = [{"study_id": study_id, "release_position": position} for study_id in stored.studies]
        connection.execute(insert(release_study), held)
    if published_at is not None:
        publish_studies(connection, position, published_at)
    _give(connection, stored)


def _give(connection: Connection, stored: Release) -> None:
    number = _number(stored.version)
    kind = PUBLISHING if stored.state is ReleaseState.PUBLISHED else CANDIDATE
    given = connection.execute(_GIVEN_AS, number).scalar_one_or_none()
    if given is None:
        row = {name.removeprefix("of_"): value for name, value in number.items()}
        connection.execute(insert(version_ledger), {**row, "kind": kind, "release_id": stored.kf_id})
    elif given != kind and kind == PUBLISHING:
        connection.execute(_PUBLISHED_AS, number)


def _number(version: Version) -> Values:
    return {"of_major": version.major, "of_minor": version.minor, "of_patch": version.patch}
