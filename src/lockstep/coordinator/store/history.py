"""Storing what another coordinator remembers, with its ids and times, beside what is here.

The import calls this with a page at a time; each is one transaction. What is new is inserted in the order of its
creation, what has changed over there is made the same, and the rest is left as it is. What hangs on releases is kept in
step as everywhere: the counts, the ledger of versions, what is current of each study, and how far announcements are.
No release in flight comes this way, and none is given a time to look at it: the engine has nothing to do with them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any, Final

from sqlalchemy import Connection, Table, bindparam, delete, func, insert, select, true, update

from lockstep.coordinator.core.history import History, Record, Sorted
from lockstep.coordinator.core.model import Release, Task
from lockstep.coordinator.core.records import Study, TaskService
from lockstep.coordinator.core.versions import Version
from lockstep.coordinator.store.catalogue import facts_here
from lockstep.coordinator.store.changing import add_to_tallies
from lockstep.coordinator.store.delivering import end_of_log, pass_over
from lockstep.coordinator.store.found_by import publish_studies, store_tags
from lockstep.coordinator.store.fresh import FreshIds
from lockstep.coordinator.store.rows import (
    EVENT_COLUMNS,
    NOTE_COLUMNS,
    RELEASE_COLUMNS,
    SERVICE_COLUMNS,
    TASK_COLUMNS,
    AnyRow,
    Values,
    from_release,
    to_event,
    to_note,
    to_release,
    to_service,
    to_task,
)
from lockstep.coordinator.store.tables import (
    CANDIDATE,
    PUBLISHING,
    event,
    events_of,
    release,
    release_note,
    release_study,
    releases_in,
    study,
    study_published,
    task,
    task_service,
    tasks_in,
    version_ledger,
)
from lockstep.coordinator.store.turns import Turn, take_turns
from lockstep.protocol.states import ReleaseState

_AT_ONCE: Final = 5000
"""Ids in one statement; databases take some thirty thousand values at most."""

_TASKS_HERE: Final = select(*TASK_COLUMNS).join_from(task, task_service, task.c.service_id == task_service.c.kf_id)
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


def sorted_out(connection: Connection, given: History) -> Sorted:
    """Say what would be stored, and store nothing."""
    return _Bringing(connection, given).sorted


def bring(connection: Connection, ids: FreshIds, given: History, now: datetime) -> Sorted:
    """Store part of another coordinator's history."""
    if given.releases:
        take_turns(connection, Turn.VERSIONS)
    if given.events:
        take_turns(connection, Turn.EVENTS)
    bringing = _Bringing(connection, given)
    bringing.store(ids, now)
    return bringing.sorted


class _Bringing:
    """What is given, beside what is here of it."""

    def __init__(self, connection: Connection, given: History) -> None:
        self._connection = connection
        self._given = given
        self.sorted = Sorted()
        sort = self.sorted.sort
        self.studies = sort(given.studies, facts_here(connection, [each.kf_id for each in given.studies]))
        services = self._here(task_service, SERVICE_COLUMNS, to_service, given.services)
        left = self._deleted_of(services) | (given.gone & services.keys())
        self.services = sort((each for each in given.services if each.kf_id not in left), services)
        self._releases_here = self._rows(select(*RELEASE_COLUMNS), release, given.releases)
        self.releases = sort(given.releases, {kf_id: to_release(row) for kf_id, row in self._releases_here.items()})
        taken = self.sorted.taken
        views = [view for view in given.tasks if view.release_id not in taken]
        self.release_of = {view.task.kf_id: view.release_id for view in views}
        tasks = self._rows(_TASKS_HERE, task, [view.task for view in views])
        self.tasks = sort((view.task for view in views), {kf_id: to_task(row) for kf_id, row in tasks.items()})
        notes = self._here(release_note, NOTE_COLUMNS, to_note, given.notes)
        self.notes = sort((note for note in given.notes if note.release_id not in taken), notes)
        self.events = sort(given.events, self._here(event, EVENT_COLUMNS, to_event, given.events))
        self._find_same_versions()

    def store(self, ids: FreshIds, now: datetime) -> None:
        """Store what is new and what has changed."""
        self._ids = ids
        self._insert(study, self.studies[0], _study_values, named=False)
        self._update(study, self.studies[1], _study_values)
        self._insert(task_service, self.services[0], self._service_values)
        self._update(task_service, self.services[1], self._service_values)
        if back := [after.kf_id for _, after in self.services[1]]:
            self._connection.execute(update(task_service).where(task_service.c.kf_id.in_(back)).values(deleted=False))
        self._store_releases()
        self._insert(task, self.tasks[0], self._task_values)
        self._update(task, self.tasks[1], self._task_values)
        self._insert(release_note, self.notes[0], _plain)
        self._update(release_note, self.notes[1], _plain)
        if self.events[0]:
            before = end_of_log(self._connection)
            self._insert(event, self.events[0], _without_position)
            pass_over(self._connection, before, now)
        self._update(event, self.events[1], _without_position)
        self._count()
        self._set_times()

    def _rows(self, query: Any, table: Table, given: Sequence[Any]) -> dict[str, AnyRow]:  # noqa: ANN401 - any select
        """Return the rows that there are of what is given, by their ids."""
        kf_ids = [each.kf_id for each in given]
        rows: dict[str, AnyRow] = {}
        for start in range(0, len(kf_ids), _AT_ONCE):
            part = query.where(table.c.kf_id.in_(kf_ids[start : start + _AT_ONCE]))
            rows.update((row.kf_id, row) for row in self._connection.execute(part))
        return rows

    def _here(
        self, table: Table, columns: Iterable[Any], to_value: Callable[[AnyRow], Record], given: Sequence[Record]
    ) -> dict[str, Record]:
        return {kf_id: to_value(row) for kf_id, row in self._rows(select(*columns), table, given).items()}

    def _deleted_of(self, services: Mapping[str, TaskService]) -> set[str]:
        """Return those of some services that were deleted here, and not only missing over there for a while."""
        known = select(task_service.c.kf_id).where(
            task_service.c.deleted == true(), task_service.c.url != "", task_service.c.kf_id.in_(list(services))
        )
        return set(self._connection.execute(known).scalars()) if services else set()

    def _find_same_versions(self) -> None:
        published = [each for each in self._new_releases if each.state is ReleaseState.PUBLISHED]
        first: dict[Version, str] = {}
        for each in published:
            with_it = self._connection.execute(
                _SAME_VERSION, {**_number(each.version), "of_kf_id": each.kf_id}
            ).scalar()
            if other := with_it or first.get(each.version):
                self.sorted.same_version[each.kf_id] = other
            first.setdefault(each.version, each.kf_id)

    @property
    def _new_releases(self) -> list[Release]:
        return self.releases[0]

    def _store_releases(self) -> None:
        order = count(1 + self._connection.execute(_LAST_ORDER).scalar_one())
        touched: set[str] = set()
        for each in self._new_releases:
            values = {**from_release(each), "uuid": self._uuid(each.kf_id)}
            if each.state is ReleaseState.PUBLISHED:
                values |= {"publish_order": next(order), "published_at": each.published_at or each.created_at}
            inserted = insert(release).values(values).returning(release.c.position)
            position = self._connection.execute(inserted).scalar_one()
            self._hang_on(position, each, values["published_at"])
            store_tags(self._connection, position, each.tags)
            touched.update(each.studies)
        for before, after in self.releases[1]:
            position = self._releases_here[after.kf_id].position
            self._connection.execute(
                update(release).where(release.c.position == position), _differing(from_release, before, after)
            )
            if before.tags != after.tags:
                store_tags(self._connection, position, after.tags, before.tags)
            if set(before.studies) != set(after.studies):
                for table in (release_study, study_published):
                    self._connection.execute(delete(table).where(table.c.release_position == position))
                self._hang_on(position, after, before.published_at)
                touched.update(before.studies, after.studies)
            if before.version != after.version:
                self._give(after)
        if touched:
            self._connection.execute(_POINT_AT_NEWEST, {"study_ids": sorted(touched)})

    def _hang_on(self, position: int, stored: Release, published_at: datetime | None) -> None:
        """Store what hangs on a release: its studies, what is public of them, and its number."""
        if stored.studies:
            held = [{"study_id": study_id, "release_position": position} for study_id in stored.studies]
            self._connection.execute(insert(release_study), held)
        if published_at is not None:
            publish_studies(self._connection, position, published_at)
        self._give(stored)

    def _give(self, stored: Release) -> None:
        number = _number(stored.version)
        kind = PUBLISHING if stored.state is ReleaseState.PUBLISHED else CANDIDATE
        given = self._connection.execute(_GIVEN_AS, number).scalar_one_or_none()
        if given is None:
            row = {name.removeprefix("of_"): value for name, value in number.items()}
            self._connection.execute(insert(version_ledger), {**row, "kind": kind, "release_id": stored.kf_id})
        elif given != kind and kind == PUBLISHING:
            self._connection.execute(_PUBLISHED_AS, number)

    def _insert(
        self, table: Table, new: Sequence[Record], values: Callable[[Record], Values], *, named: bool = True
    ) -> None:
        if new:
            names = [{"uuid": self._uuid(each.kf_id)} if named else {} for each in new]
            rows = [{**values(each), **name} for each, name in zip(new, names, strict=True)]
            self._connection.execute(insert(table), rows)

    def _update(
        self, table: Table, changed: Sequence[tuple[Record, Record]], values: Callable[[Record], Values]
    ) -> None:
        for before, after in changed:
            this = update(table).where(table.c.kf_id == after.kf_id)
            self._connection.execute(this, _differing(values, before, after))

    def _uuid(self, kf_id: str) -> str:
        return self._given.uuids.get(kf_id) or self._ids.uuid()

    def _service_values(self, each: Any) -> Values:  # noqa: ANN401 - as `_plain`
        return {**_plain(each), "deleted": each.kf_id in self._given.gone}

    def _task_values(self, each: Task) -> Values:
        values = each._asdict() | {"release_id": self.release_of[each.kf_id]}
        del values["service_name"], values["service_url"]
        return values

    def _count(self) -> None:
        more = Counter(releases_in(each.state) for each in self._new_releases)
        more.update(tasks_in(each.state) for each in self.tasks[0])
        more.update(events_of(each.event_type) for each in self.events[0])
        for before, after in self.tasks[1]:
            more.update({tasks_in(after.state): 1})
            more.subtract({tasks_in(before.state): 1})
        for was, now in self.events[1]:
            more.update({events_of(now.event_type): 1})
            more.subtract({events_of(was.event_type): 1})
        add_to_tallies(self._connection, more)

    def _set_times(self) -> None:
        """Set when releases and tasks came to the state that they are in."""
        moments = self._given.moments
        if own := [{"of_kf_id": kf_id, "at": at} for kf_id, at in moments.items()]:
            self._connection.execute(_ITS_TIME, own)
        for row in self._connection.execute(_TIMED.where(release.c.kf_id.in_(list(moments)))).all() if moments else ():
            at = moments[row.kf_id]
            if at != row.step_since:
                is_public = row.state is ReleaseState.PUBLISHED
                values = {"step_since": at, **({"published_at": at} if is_public else {})}
                self._connection.execute(_SET_TIME.values(values), {"at_position": row.position})
                self._connection.execute(_SET_PUBLIC_SINCE, {"at_position": row.position, "at": at})
            self._connection.execute(_TIME_OF_RELEASE, {"of_kf_id": row.kf_id, "at": at})


def _plain(each: Any) -> Values:  # noqa: ANN401 - a record whose fields are the columns of its table
    return {name: getattr(each, name) for name in each.__dataclass_fields__}


def _without_position(each: Any) -> Values:  # noqa: ANN401 - as `_plain`
    return {name: value for name, value in _plain(each).items() if name != "position"}


def _study_values(each: Study) -> Values:
    return {name: getattr(each, name) for name in ("kf_id", "name", "visible", "deleted", "created_at")}


def _number(version: Version) -> Values:
    return {"of_major": version.major, "of_minor": version.minor, "of_patch": version.patch}


def _differing(values: Callable[[Record], Values], before: Record, after: Record) -> Values:
    was = values(before)
    return {name: value for name, value in values(after).items() if value != was[name]}
