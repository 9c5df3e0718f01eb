"""Storing what another coordinator remembers, with its ids and times, beside what is here.

The import calls this with a page at a time; each is one transaction. What is new is inserted in the order of its
creation, what has changed over there is made the same, and the rest is left as it is. What hangs on releases is kept in
step as everywhere: the counts, the ledger of versions, what is current of each study, and how far announcements are.
No release in flight comes this way, and none is given a time to look at it: the engine has nothing to do with them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Table, insert, select, true, update

from lockstep.coordinator.core.history import History, Record, Sorted
from lockstep.coordinator.core.model import Task
from lockstep.coordinator.core.records import Study, TaskService
from lockstep.coordinator.core.versions import Version
from lockstep.coordinator.store.catalogue import facts_here
from lockstep.coordinator.store.changing import add_to_tallies
from lockstep.coordinator.store.delivering import end_of_log, pass_over
from lockstep.coordinator.store.fresh import FreshIds
from lockstep.coordinator.store.history_releases import (
    insert_releases,
    point_studies,
    set_times,
    update_release,
    with_same_version,
)
from lockstep.coordinator.store.rows import (
    EVENT_COLUMNS,
    NOTE_COLUMNS,
    RELEASE_COLUMNS,
    SERVICE_COLUMNS,
    TASK_COLUMNS,
    AnyRow,
    Values,
    differing,
    to_event,
    to_note,
    to_release,
    to_service,
    to_task,
)
from lockstep.coordinator.store.tables import (
    event,
    events_of,
    release,
    release_note,
    releases_in,
    study,
    task,
    task_service,
    tasks_in,
)
from lockstep.coordinator.store.turns import Turn, take_turns
from lockstep.protocol.states import ReleaseState

_AT_ONCE: Final = 5000
"""Ids in one statement; databases take some thirty thousand values at most."""

_TASKS_HERE: Final = select(*TASK_COLUMNS).join_from(task, task_service, task.c.service_id == task_service.c.kf_id)


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
        set_times(self._connection, self._given.moments)

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
        first: dict[Version, str] = {}
        for each in self.releases[0]:
            if each.state is ReleaseState.PUBLISHED:
                if other := with_same_version(self._connection, each) or first.get(each.version):
                    self.sorted.same_version[each.kf_id] = other
                first.setdefault(each.version, each.kf_id)

    def _store_releases(self) -> None:
        new, changed = self.releases
        insert_releases(self._connection, new, self._uuid)
        touched = {study_id for each in new for study_id in each.studies}
        for before, after in changed:
            update_release(self._connection, self._releases_here[after.kf_id].position, before, after)
            if set(before.studies) != set(after.studies):
                touched.update(before.studies, after.studies)
        point_studies(self._connection, touched)

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
            self._connection.execute(this, differing(values, before, after))

    def _uuid(self, kf_id: str) -> str:
        return self._given.uuids.get(kf_id) or self._ids.uuid()

    def _service_values(self, each: Any) -> Values:  # noqa: ANN401 - as `_plain`
        return {**_plain(each), "deleted": each.kf_id in self._given.gone}

    def _task_values(self, each: Task) -> Values:
        values = each._asdict() | {"release_id": self.release_of[each.kf_id]}
        del values["service_name"], values["service_url"]
        return values

    def _count(self) -> None:
        more = Counter(releases_in(each.state) for each in self.releases[0])
        more.update(tasks_in(each.state) for each in self.tasks[0])
        more.update(events_of(each.event_type) for each in self.events[0])
        for before, after in self.tasks[1]:
            more.update({tasks_in(after.state): 1})
            more.subtract({tasks_in(before.state): 1})
        for was, now in self.events[1]:
            more.update({events_of(now.event_type): 1})
            more.subtract({events_of(was.event_type): 1})
        add_to_tallies(self._connection, more)


def _plain(each: Any) -> Values:  # noqa: ANN401 - a record whose fields are the columns of its table
    return {name: getattr(each, name) for name in each.__dataclass_fields__}


def _without_position(each: Any) -> Values:  # noqa: ANN401 - as `_plain`
    return {name: value for name, value in _plain(each).items() if name != "position"}


def _study_values(each: Study) -> Values:
    return {name: getattr(each, name) for name in ("kf_id", "name", "visible", "deleted", "created_at")}
