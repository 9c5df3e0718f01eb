"""Changing a release: read what the decision depends on, decide, and store what it says, in one transaction.

Only what differs is written, the tasks and the events each in one statement, so that the cost of a change is that of
its rows and one commit. What hangs on a release is kept in step here: its version in the ledger, the counts, the
newest published release of its studies, and the releases that waited for its end.

Where several transactions write at once (Postgres), a change first locks its release and only then reads the tasks,
so that two changes of one release come one after the other. What spans releases takes turns: `store/turns.py`.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, bindparam, func, insert, select, update

from lockstep.coordinator.core.model import Ahead, Change, Release, Snapshot, Task
from lockstep.coordinator.core.versions import Version
from lockstep.coordinator.store.bulk import insert_many, update_many
from lockstep.coordinator.store.found_by import publish_studies, store_tags
from lockstep.coordinator.store.fresh import FreshIds
from lockstep.coordinator.store.promises import changed_tasks, check_same
from lockstep.coordinator.store.reading import RELEASE, TASK, TASKS_OF_RELEASE, found
from lockstep.coordinator.store.rows import (
    RELEASE_COLUMNS,
    TASK_FIELDS,
    AnyRow,
    Values,
    from_release,
    task_values,
    to_release,
    to_task,
)
from lockstep.coordinator.store.tables import (
    ASKED,
    PUBLISHING,
    event,
    events_of,
    release,
    release_study,
    releases_in,
    study,
    tally,
    task,
    tasks_in,
    version_ledger,
)
from lockstep.coordinator.store.turns import Turn, take_turns
from lockstep.protocol.ids import Prefix
from lockstep.protocol.states import SETTLED_RELEASES, UNSETTLED_RELEASES, ReleaseState, TaskState

T = TypeVar("T")

Decide = Callable[[Snapshot], tuple[Change, T]]

_UNSETTLED: Final = sorted(UNSETTLED_RELEASES)

_RELEASE_TO_CHANGE: Final = RELEASE.with_for_update(key_share=True)
_RELEASE_OF_TASK_TO_CHANGE: Final = (
    select(*RELEASE_COLUMNS)
    .where(release.c.kf_id == select(task.c.release_id).where(task.c.kf_id == bindparam("task_id")).scalar_subquery())
    .with_for_update(key_share=True)
)
_STATES_OF_TASKS: Final = (
    select(task.c.state, func.count()).where(task.c.release_id == bindparam("kf_id")).group_by(task.c.state)
)
_STUDIES_OF: Final = select(release_study.c.study_id).where(release_study.c.release_position == bindparam("position"))
_ASKED: Final = (
    select(release.c.position, release.c.publish_order, release.c.kf_id)
    .where(ASKED, release.c.position != bindparam("position"))
    .order_by(release.c.publish_order)
)
_HELD_BY: Final = select(release_study.c.release_position, release_study.c.study_id).where(
    release_study.c.release_position.in_(bindparam("positions", expanding=True))
)
_LAST_ORDER: Final = select(func.coalesce(func.max(release.c.publish_order), 0))
_HIGHEST_PUBLISHED: Final = (
    select(version_ledger.c.major, version_ledger.c.minor, version_ledger.c.patch)
    .where(version_ledger.c.kind == PUBLISHING)
    .order_by(version_ledger.c.major.desc(), version_ledger.c.minor.desc(), version_ledger.c.patch.desc())
    .limit(1)
)
_UPDATE_RELEASE: Final = update(release).where(release.c.position == bindparam("at_position"))
_INSERT_VERSION: Final = insert(version_ledger)
_WAITING: Final = (
    select(release.c.position)
    .where(release.c.waits_for == bindparam("ended"), release.c.state.in_(_UNSETTLED))
    .with_for_update(skip_locked=True, key_share=True)
)
"""Those that wait for a release. One that is being changed right now is left out: its change waits for the end of this
one before it looks who is ahead of it, and if that change is not stored after all, the sweep finds the release."""

_WAKE_WAITING: Final = update(release).where(release.c.position.in_(_WAITING)).values(look_at=bindparam("due"))
_POINT_STUDIES_AT_PUBLISHED: Final = (
    update(study)
    .where(
        study.c.kf_id.in_(_STUDIES_OF),
        func.coalesce(study.c.newest_published, 0) < bindparam("position", type_=study.c.newest_published.type),
    )
    .values(newest_published=bindparam("position"))
)
_ADD_TO_TALLY: Final = (
    update(tally).where(tally.c.name == bindparam("tally_name")).values(n=tally.c.n + bindparam("more"))
)


def change(connection: Connection, ids: FreshIds, release_id: str, decide: Decide[T]) -> T:
    """Decide about a release with all of its tasks, and store what was decided."""
    row = found(connection.execute(_RELEASE_TO_CHANGE, {"kf_id": release_id}).one_or_none(), "release", release_id)
    tasks = {row[1]: to_task(row) for row in connection.execute(TASKS_OF_RELEASE, {"kf_id": release_id}).all()}
    return _change(connection, ids, row, (tasks, {}), decide)


def change_by_task(connection: Connection, ids: FreshIds, task_id: str, decide: Decide[T]) -> T:
    """Decide about the release of a task with the others counted, and store what was decided."""
    row = found(connection.execute(_RELEASE_OF_TASK_TO_CHANGE, {"task_id": task_id}).one_or_none(), "task", task_id)
    this = to_task(connection.execute(TASK, {"kf_id": task_id}).one())
    counts: Iterable[Any] = connection.execute(_STATES_OF_TASKS, {"kf_id": row.kf_id}).all()
    others: Counter[TaskState] = Counter(dict(counts))
    others[this.state] -= 1
    return _change(connection, ids, row, ({task_id: this}, +others), decide)


def add_to_tallies(connection: Connection, more: Mapping[str, int]) -> None:
    """Add to tallies, always in the same order, so that writers do not wait for each other in a circle."""
    if rows := [{"tally_name": name, "more": n} for name, n in sorted(more.items()) if n]:
        connection.execute(_ADD_TO_TALLY, rows)


def _change(
    connection: Connection,
    ids: FreshIds,
    row: AnyRow,
    loaded: tuple[Mapping[str, Task], Mapping[TaskState, int]],
    decide: Decide[T],
) -> T:
    position, before = row[0], to_release(row)
    snapshot = Snapshot(before, *loaded)
    if before.state is ReleaseState.STAGED or before.publish_order is not None:
        take_turns(connection, Turn.VERSIONS)
    if before.state is ReleaseState.STAGED:
        last_order = connection.execute(_LAST_ORDER).scalar_one()
        ahead = _ahead(connection, position, before)
        snapshot = Snapshot(before, *loaded, ahead, last_order, _highest_published(connection))
    decided, outcome = decide(snapshot)
    _store(connection, ids, position, snapshot, decided)
    return outcome


def _ahead(connection: Connection, position: int, waiting: Release) -> tuple[Ahead, ...]:
    """Return who else was asked to publish and shares a study: first the few that were asked, then what they hold."""
    asked = connection.execute(_ASKED, {"position": position}).all()
    if not asked:
        return ()
    held: defaultdict[int, set[str]] = defaultdict(set)
    for at, study_id in connection.execute(_HELD_BY, {"positions": [row.position for row in asked]}):
        held[at].add(study_id)
    shared = {row: tuple(filter(held[row.position].__contains__, waiting.studies)) for row in asked}
    return tuple(Ahead(row.kf_id, row.publish_order, studies) for row, studies in shared.items() if studies)


def _highest_published(connection: Connection) -> Version | None:
    row = connection.execute(_HIGHEST_PUBLISHED).one_or_none()
    return row and Version(*row)


def _store(connection: Connection, ids: FreshIds, position: int, snapshot: Snapshot, decided: Change) -> None:
    before, after = snapshot.release, decided.release
    more = Counter(events_of(draft.event_type) for draft in decided.events)
    if after != before:
        check_same(before, after)
        _store_release(connection, position, before, after)
    tasks = changed_tasks(snapshot, decided)
    _store_tasks(connection, snapshot.tasks, tasks)
    for now, was in ((row.state, snapshot.tasks[row.kf_id].state) for row in tasks):
        if now is not was:
            more[tasks_in(was)] -= 1
            more[tasks_in(now)] += 1
    _store_events(connection, ids, decided)
    if after.state is not before.state:
        more.update({releases_in(before.state): -1, releases_in(after.state): 1})
        if after.state in SETTLED_RELEASES:
            connection.execute(_WAKE_WAITING, {"ended": after.kf_id, "due": decided.at})
        if after.state is ReleaseState.PUBLISHED:
            connection.execute(_POINT_STUDIES_AT_PUBLISHED, {"position": position})
            publish_studies(connection, position, after.published_at or decided.at)
    add_to_tallies(connection, more)


def _store_release(connection: Connection, position: int, before: Release, after: Release) -> None:
    connection.execute(
        _UPDATE_RELEASE, {"at_position": position, **_differing(from_release(before), from_release(after))}
    )
    if after.version != before.version:
        major, minor, patch = after.version.major, after.version.minor, after.version.patch
        given = {"major": major, "minor": minor, "patch": patch, "kind": PUBLISHING, "release_id": after.kf_id}
        connection.execute(_INSERT_VERSION, given)
    if after.tags != before.tags:
        store_tags(connection, position, after.tags, before.tags)


def _store_tasks(connection: Connection, before: Mapping[str, Task], tasks: Sequence[Task]) -> None:
    """Store tasks in one statement, which names the columns in which any of them differs."""
    values = zip(*map(task_values, tasks), strict=True)
    stored = zip(*(task_values(before[row.kf_id]) for row in tasks), strict=True)
    differing = {name: column for name, column, was in zip(TASK_FIELDS, values, stored, strict=False) if column != was}
    if differing:
        update_many(connection, task, "kf_id", {**differing, "kf_id": [row.kf_id for row in tasks]})


def _store_events(connection: Connection, ids: FreshIds, decided: Change) -> None:
    drafts = decided.events
    if drafts:
        take_turns(connection, Turn.EVENTS)
        number = len(drafts)
        rows: dict[str, Sequence[object]] = {
            "kf_id": [ids.kf_id(Prefix.EVENT) for _ in drafts],
            "uuid": [ids.uuid() for _ in drafts],
            "event_type": [draft.event_type for draft in drafts],
            "message": [draft.message for draft in drafts],
            "created_at": [decided.at] * number,
            "release_id": [decided.release.kf_id] * number,
            "task_service_id": [draft.service_id for draft in drafts],
            "task_id": [draft.task_id for draft in drafts],
            "actor": [decided.actor] * number,
        }
        insert_many(connection, event, rows)


def _differing(before: Values, after: Values) -> Values:
    return {name: value for name, value in after.items() if value != before[name]}
