"""Task services and studies: what releases are made of.

Neither is ever removed. A service that was deleted is off every list and out of new releases, and the tasks that it
had keep its name and address; a study that the data service no longer has is marked, and unmarked when it comes back.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

from sqlalchemy import ColumnElement, Connection, bindparam, false, insert, select, update

from lockstep.coordinator.core.records import (
    TOLERATED_FAILURES,
    Page,
    PageOf,
    ServiceFilter,
    Study,
    StudyFacts,
    StudyFilter,
    SyncResult,
    TaskService,
)
from lockstep.coordinator.store.fresh import FreshIds
from lockstep.coordinator.store.lists import between, counted, equal, order_of, page_of
from lockstep.coordinator.store.promises import changed_since, check_editable, missing
from lockstep.coordinator.store.reading import found
from lockstep.coordinator.store.rows import SERVICE_COLUMNS, Values, from_facts, to_service, to_study
from lockstep.coordinator.store.tables import release, study, task_service
from lockstep.protocol.ids import Prefix

IN_SERVICE: Final = task_service.c.deleted == false()

_AT_ONCE: Final = 5000
"""Ids in one statement; databases take some thirty thousand values at most."""

_SERVICE: Final = select(*SERVICE_COLUMNS).where(IN_SERVICE, task_service.c.kf_id == bindparam("kf_id"))
_UPDATE_SERVICE: Final = update(task_service).where(IN_SERVICE, task_service.c.kf_id == bindparam("of_kf_id"))

SERVICE_ORDERS: Final = {
    "created_at": (task_service.c.position,),
    "name": (task_service.c.name, task_service.c.position),
    "author": (task_service.c.author, task_service.c.position),
}
STUDY_ORDERS: Final = {
    "created_at": (study.c.created_at, study.c.kf_id),
    "name": (study.c.name, study.c.kf_id),
    "kf_id": (study.c.kf_id,),
}

_NEWEST: Final = release.alias("newest")
_PUBLISHED: Final = release.alias("published")
_STUDIES: Final = select(
    study.c.kf_id,
    study.c.name,
    study.c.visible,
    study.c.deleted,
    study.c.created_at,
    _NEWEST.c.major,
    _NEWEST.c.minor,
    _NEWEST.c.patch,
    _PUBLISHED.c.major,
    _PUBLISHED.c.minor,
    _PUBLISHED.c.patch,
    _PUBLISHED.c.created_at,
    _PUBLISHED.c.published_at,
).select_from(
    study.outerjoin(_NEWEST, _NEWEST.c.position == study.c.newest_release).outerjoin(
        _PUBLISHED, _PUBLISHED.c.position == study.c.newest_published
    )
)
_FACTS: Final = select(study.c.kf_id, study.c.name, study.c.visible, study.c.deleted, study.c.created_at)
_UPDATE_STUDY: Final = update(study).where(study.c.kf_id == bindparam("of_kf_id"))
_KNOWN: Final = select(study.c.kf_id).where(study.c.kf_id.in_(bindparam("kf_ids", expanding=True)))


def add_service(connection: Connection, ids: FreshIds, service: TaskService) -> TaskService:
    """Store a new service under an id of its own."""
    kf_id = ids.kf_id(Prefix.TASK_SERVICE)
    row = {
        "kf_id": kf_id,
        "uuid": ids.uuid(),
        "name": service.name,
        "description": service.description,
        "url": service.url,
        "author": service.author,
        "created_at": service.created_at,
        "enabled": service.enabled,
        "last_ok_status": service.last_ok_status,
        "client_id": service.client_id,
        "deleted": False,
    }
    connection.execute(insert(task_service), row)
    return one_service(connection, kf_id)


def edit_service(
    connection: Connection, service_id: str, fields: Mapping[str, object], seen: TaskService | None
) -> TaskService:
    """Change some fields of a service."""
    check_editable(fields)
    _as_seen(connection, service_id, seen)
    if fields:
        connection.execute(_UPDATE_SERVICE, {"of_kf_id": service_id, **fields})
    return one_service(connection, service_id)


def delete_service(connection: Connection, service_id: str, seen: TaskService | None) -> None:
    """Take a service off the lists and out of new releases."""
    _as_seen(connection, service_id, seen)
    if connection.execute(_UPDATE_SERVICE, {"of_kf_id": service_id, "deleted": True}).rowcount == 0:
        raise missing("task service", service_id)


def one_service(connection: Connection, service_id: str) -> TaskService:
    """Return a service."""
    row = connection.execute(_SERVICE, {"kf_id": service_id}).one_or_none()
    return to_service(found(row, "task service", service_id))


def services(connection: Connection, page: PageOf, which: ServiceFilter) -> Page[TaskService]:
    """Return a page of services. There are few enough to look at all."""
    order = order_of(page, SERVICE_ORDERS)
    wanted = [
        *equal(
            (task_service.c.enabled, which.enabled),
            (task_service.c.author, which.author),
            (task_service.c.name, which.name),
            (task_service.c.description, which.description),
            (task_service.c.url, which.url),
        ),
        *between(task_service.c.created_at, which.created_after, which.created_before),
        *_contains(task_service.c.name, which.name_contains),
    ]
    if which.healthy is not None:
        wanted.append((task_service.c.last_ok_status <= TOLERATED_FAILURES) == which.healthy)
    listed = select(*SERVICE_COLUMNS).where(IN_SERVICE, *wanted)
    rows = connection.execute(page_of(listed.order_by(*order.by(order.columns)), page))
    return Page(tuple(map(to_service, rows)), counted(connection, listed, page))


def one_study(connection: Connection, study_id: str) -> Study:
    """Return a study."""
    row = connection.execute(_STUDIES.where(study.c.kf_id == study_id)).one_or_none()
    return to_study(found(row, "study", study_id))


def studies(connection: Connection, page: PageOf, which: StudyFilter) -> Page[Study]:
    """Return a page of studies, those of unknown age as the oldest. There are few enough to look at all."""
    order = order_of(page, STUDY_ORDERS)
    wanted = [
        *equal((study.c.kf_id, which.kf_id), (study.c.visible, which.visible), (study.c.deleted, which.deleted)),
        *between(study.c.created_at, which.created_after, which.created_before),
        *_contains(study.c.name, which.name_contains),
    ]
    listed = _STUDIES.where(*wanted).order_by(*order.by(order.columns))
    rows = connection.execute(page_of(listed, page))
    return Page(tuple(map(to_study, rows)), counted(connection, select(study.c.kf_id).where(*wanted), page))


def sync_studies(connection: Connection, facts: Sequence[StudyFacts]) -> SyncResult:
    """Make the mirrored studies the same as those given; write only what differs."""
    before = {row["kf_id"]: dict(row) for row in connection.execute(_FACTS).mappings()}
    given = {fact.kf_id: from_facts(fact) for fact in facts}
    new = [kf_id for kf_id in given if kf_id not in before]
    gone = sorted(kf_id for kf_id, row in before.items() if kf_id not in given and not row["deleted"])
    changed = [row for kf_id, row in given.items() if kf_id in before and row != before[kf_id]]
    if new:
        connection.execute(insert(study), [given[kf_id] for kf_id in new])
    _update_studies(connection, changed)
    _update_studies(connection, [{**before[kf_id], "deleted": True} for kf_id in gone])
    restored = tuple(row["kf_id"] for row in changed if before[row["kf_id"]]["deleted"])
    return SyncResult(tuple(new), tuple(gone), restored)


def facts_here(connection: Connection, study_ids: Sequence[str]) -> dict[str, Study]:
    """Return those of some studies that there are, by their ids, without what is known of their releases."""
    if not study_ids:
        return {}
    return {row.kf_id: Study(*row) for row in connection.execute(_FACTS.where(study.c.kf_id.in_(study_ids)))}


def known_studies(connection: Connection, study_ids: Sequence[str]) -> set[str]:
    """Return those of some ids that are studies."""
    known: set[str] = set()
    rest = iter(study_ids)
    while kf_ids := list(islice(rest, _AT_ONCE)):
        known.update(connection.execute(_KNOWN, {"kf_ids": kf_ids}).scalars())
    return known


def _update_studies(connection: Connection, rows: Sequence[Values]) -> None:
    if rows:
        connection.execute(_UPDATE_STUDY, [{**row, "of_kf_id": row["kf_id"]} for row in rows])


def _contains(column: ColumnElement[str], part: str | None) -> list[ColumnElement[bool]]:
    return [] if part is None else [column.icontains(part, autoescape=True)]


def _as_seen(connection: Connection, service_id: str, seen: TaskService | None) -> None:
    if seen is not None and one_service(connection, service_id) != seen:
        raise changed_since("task service", service_id)
