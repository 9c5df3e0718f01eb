"""Creating a release: its ids, its version and its tasks come into being in one transaction, or not at all."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, func, insert, select, true, update

from lockstep.coordinator.core.model import Release, Task
from lockstep.coordinator.core.records import NewRelease, ReleaseView, RequestKey
from lockstep.coordinator.core.versions import Version, candidate_version
from lockstep.coordinator.store.bulk import insert_many
from lockstep.coordinator.store.catalogue import IN_SERVICE, known_studies
from lockstep.coordinator.store.changing import add_to_tallies
from lockstep.coordinator.store.found_by import made_by, remember, store_tags
from lockstep.coordinator.store.fresh import FreshIds
from lockstep.coordinator.store.promises import unknown_studies, without_repeats
from lockstep.coordinator.store.reading import release_view
from lockstep.coordinator.store.rows import from_release
from lockstep.coordinator.store.tables import (
    CANDIDATE,
    release,
    release_study,
    releases_in,
    study,
    task,
    task_service,
    tasks_in,
    version_ledger,
)
from lockstep.coordinator.store.turns import Turn, take_turns
from lockstep.protocol.ids import Prefix

_HIGHEST_GIVEN: Final = (
    select(version_ledger.c.major, version_ledger.c.minor, version_ledger.c.patch)
    .order_by(version_ledger.c.major.desc(), version_ledger.c.minor.desc(), version_ledger.c.patch.desc())
    .limit(1)
)
_ENABLED_SERVICES: Final = (
    select(task_service.c.kf_id, task_service.c.name, task_service.c.url)
    .where(IN_SERVICE, task_service.c.enabled == true())
    .order_by(task_service.c.position)
)
_INSERT_RELEASE: Final = insert(release).returning(release.c.position)
_POINT_STUDIES_AT_NEWEST: Final = (
    update(study)
    .where(
        study.c.kf_id.in_(
            select(release_study.c.study_id).where(release_study.c.release_position == bindparam("newest"))
        ),
        func.coalesce(study.c.newest_release, 0) < bindparam("newest"),
    )
    .values(newest_release=bindparam("newest"))
)


def create_release(
    connection: Connection, ids: FreshIds, new: NewRelease, now: datetime, key: RequestKey | None
) -> ReleaseView:
    """Create a release, due to be looked at, with one task for every enabled service, or give what the key has made.

    Raises:
        Invalid: a study is not known.
        KeyReused: the key was sent with another request before.
    """
    if key is not None and (made := made_by(connection, key)) is not None:
        return release_view(connection, made)
    studies = without_repeats(new.studies)
    known = known_studies(connection, studies)
    if unknown := [study_id for study_id in studies if study_id not in known]:
        raise unknown_studies(unknown)
    take_turns(connection, Turn.VERSIONS)
    highest = connection.execute(_HIGHEST_GIVEN).one_or_none()
    version = candidate_version(highest and Version(*highest))
    created = new.created(ids.kf_id(Prefix.RELEASE), ids.uuid(), version, studies, now)
    tasks = tuple(
        Task(ids.kf_id(Prefix.TASK), *service, created_at=now, state_since=now, life_at=now)
        for service in connection.execute(_ENABLED_SERVICES)
    )
    _store(connection, ids, created, tasks)
    if key is not None:
        remember(connection, key, created.kf_id, now)
    return ReleaseView(created, tasks)


def _store(connection: Connection, ids: FreshIds, created: Release, tasks: Sequence[Task]) -> None:
    position = connection.execute(_INSERT_RELEASE, from_release(created)).scalar_one()
    major, minor, patch = created.version.major, created.version.minor, created.version.patch
    given = {"major": major, "minor": minor, "patch": patch, "kind": CANDIDATE, "release_id": created.kf_id}
    connection.execute(insert(version_ledger), given)
    if created.studies:
        held = [{"study_id": study_id, "release_position": position} for study_id in created.studies]
        connection.execute(insert(release_study), held)
        connection.execute(_POINT_STUDIES_AT_NEWEST, {"newest": position})
    store_tags(connection, position, created.tags)
    if tasks:
        _store_tasks(connection, ids, created.kf_id, tasks)
    add_to_tallies(connection, Counter([releases_in(created.state), *(tasks_in(row.state) for row in tasks)]))


def _store_tasks(connection: Connection, ids: FreshIds, release_id: str, tasks: Sequence[Task]) -> None:
    columns = dict(zip(Task._fields, zip(*tasks, strict=True), strict=True))
    for name in ("service_name", "service_url"):
        del columns[name]
    uuids = [ids.uuid() for _ in tasks]
    insert_many(connection, task, {**columns, "uuid": uuids, "release_id": [release_id] * len(tasks)})
