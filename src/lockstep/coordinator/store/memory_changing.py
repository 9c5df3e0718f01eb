"""Changing releases in memory: the part of the store that the engine lives on.

A decision is made and stored between two awaits; whatever can fail is done before the first thing is changed.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from lockstep.coordinator.core.model import Ahead, Change, Release, Snapshot, Task
from lockstep.coordinator.core.records import Event
from lockstep.coordinator.store.fresh import no_free_id
from lockstep.coordinator.store.memory_tables import MemoryPart, found
from lockstep.coordinator.store.promises import changed_tasks, check_same, missing
from lockstep.protocol.ids import Prefix
from lockstep.protocol.states import SETTLED_RELEASES, ReleaseState, TaskState

T = TypeVar("T")


class MemoryChanges(MemoryPart):
    """The port `ReleaseStore`."""

    async def change(self, release_id: str, decide: Callable[[Snapshot], tuple[Change, T]]) -> T:
        """Decide about a release with all of its tasks, and store what was decided."""
        return self._change(self._snapshot(release_id, self._tables.tasks.get(release_id, {}), {}), decide)

    async def change_by_task(self, task_id: str, decide: Callable[[Snapshot], tuple[Change, T]]) -> T:
        """Decide about the release of a task with the others counted, and store what was decided."""
        release_id = self._tables.release_of.get(task_id)
        if release_id is None:
            raise missing("task", task_id)
        tasks = self._tables.tasks[release_id]
        others = Counter(task.state for task in tasks.values())
        others[tasks[task_id].state] -= 1
        return self._change(self._snapshot(release_id, {task_id: tasks[task_id]}, +others), decide)

    async def due(self, now: datetime, limit: int) -> Sequence[str]:
        """Return the ids of releases whose `look_at` has come, the longest overdue first."""
        releases = self._tables.releases
        due = [(r.look_at, kf_id) for kf_id, r in releases.items() if r.look_at is not None and r.look_at <= now]
        due.sort(key=lambda entry: entry[0])
        not_woken = [kf_id for kf_id, r in releases.items() if self._waits_in_vain(r)]
        return list(dict.fromkeys([*(kf_id for _, kf_id in due), *not_woken]))[:limit]

    async def next_look(self) -> datetime | None:
        """Return the earliest `look_at` of all."""
        return min((r.look_at for r in self._tables.releases.values() if r.look_at is not None), default=None)

    def _waits_in_vain(self, waiting: Release) -> bool:
        ahead = self._tables.releases[waiting.waits_for] if waiting.waits_for else None
        return waiting.state not in SETTLED_RELEASES and ahead is not None and ahead.state in SETTLED_RELEASES

    def _snapshot(self, release_id: str, tasks: Mapping[str, Task], others: Mapping[TaskState, int]) -> Snapshot:
        release = found(self._tables.releases, "release", release_id)
        if release.state is not ReleaseState.STAGED:
            return Snapshot(release, tasks, others)
        tables = self._tables
        return Snapshot(release, tasks, others, self._ahead(release), tables.last_order, tables.highest_published)

    def _ahead(self, release: Release) -> tuple[Ahead, ...]:
        studies = release.studies
        ahead = [
            Ahead(other.kf_id, other.publish_order, shared)
            for other in self._tables.releases.values()
            if other.publish_order is not None
            and other.state not in SETTLED_RELEASES
            and other.kf_id != release.kf_id
            and (shared := tuple(study for study in studies if study in other.studies))
        ]
        return tuple(sorted(ahead, key=lambda entry: entry.order))

    def _change(self, snapshot: Snapshot, decide: Callable[[Snapshot], tuple[Change, T]]) -> T:
        change, outcome = decide(snapshot)
        events = self._new_events(change.release.kf_id, change)
        before, after = snapshot.release, change.release
        tasks = changed_tasks(snapshot, change)
        if after != before:
            check_same(before, after)
            self._store_release(before, after, change.at)
        if tasks:
            self._tables.tasks[after.kf_id] = self._tables.tasks[after.kf_id] | {task.kf_id: task for task in tasks}
        self._tables.events.update(events)
        self._tables.events_of[after.kf_id].extend(events.values())
        return outcome

    def _store_release(self, before: Release, after: Release, at: datetime) -> None:
        tables = self._tables
        if after.version != before.version and after.version in tables.versions:
            raise no_free_id()
        tables.releases[after.kf_id] = after
        if after.publish_order is not None:
            tables.last_order = max(tables.last_order, after.publish_order)
        if after.version != before.version:
            tables.give(after.version)
            tables.highest_published = max(tables.highest_published or after.version, after.version)
        if after.state is not before.state and after.state in SETTLED_RELEASES:
            self._wake_waiting(after, at)
            if after.state is ReleaseState.PUBLISHED:
                self._point_studies(after)

    def _wake_waiting(self, ended: Release, at: datetime) -> None:
        releases = self._tables.releases
        for other in list(releases.values()):
            if other.waits_for == ended.kf_id and other.state not in SETTLED_RELEASES:
                releases[other.kf_id] = replace(other, look_at=at)

    def _point_studies(self, published: Release) -> None:
        tables = self._tables
        tables.current.update(dict.fromkeys(published.studies, published.kf_id))
        for study in published.studies:
            newest = tables.newest_published.get(study)
            if newest is None or tables.numbers[newest] < tables.numbers[published.kf_id]:
                tables.newest_published[study] = published.kf_id

    def _new_events(self, release_id: str, change: Change) -> dict[str, Event]:
        events: dict[str, Event] = {}
        for position, draft in enumerate(change.events, len(self._tables.events) + 1):
            kf_id = self._ids.free_kf_id(Prefix.EVENT, self._tables.events, events)
            what, about = (draft.event_type, draft.message), (release_id, draft.service_id, draft.task_id)
            events[kf_id] = Event(position, kf_id, *what, change.at, *about, change.actor)
        return events
