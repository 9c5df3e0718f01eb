"""Creating releases in memory, and reading them and their tasks."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import islice

from lockstep.coordinator.core.callers import ALL, Sight
from lockstep.coordinator.core.model import Release, Task
from lockstep.coordinator.core.records import (
    NewRelease,
    Page,
    PageOf,
    ReleaseFilter,
    ReleaseView,
    RequestKey,
    TaskFilter,
    TaskView,
)
from lockstep.coordinator.core.versions import Numbers, candidate_version
from lockstep.coordinator.store import memory_lists as lists
from lockstep.coordinator.store.fresh import FreshIds
from lockstep.coordinator.store.memory_tables import MemoryPart, Tables, found, published_at
from lockstep.coordinator.store.promises import key_reused, missing, unknown_studies, without_repeats
from lockstep.protocol.ids import Prefix
from lockstep.protocol.states import ReleaseState


class MemoryReleases(MemoryPart):
    """The port `Releases`."""

    def __init__(self, tables: Tables, ids: FreshIds) -> None:
        super().__init__(tables, ids)
        self._made_by: dict[tuple[str, str], tuple[str, str]] = {}

    async def create_release(self, new: NewRelease, now: datetime, key: RequestKey | None = None) -> ReleaseView:
        """Create a release with a task for every enabled service, or give what the key has made."""
        if key is not None and (made := self._made_by.get((key.caller, key.key))):
            release_id, fingerprint = made
            if fingerprint != key.fingerprint:
                raise key_reused(key.key)
            return self._tables.view(self._tables.releases[release_id])
        studies = without_repeats(new.studies)
        if unknown := [study for study in studies if study not in self._tables.studies]:
            raise unknown_studies(unknown)
        tables = self._tables
        kf_id, version = self._ids.free_kf_id(Prefix.RELEASE, tables.releases), candidate_version(tables.highest_given)
        release = new.created(kf_id, self._ids.uuid(), version, studies, now)
        tasks = self._new_tasks(now)
        tables.releases[release.kf_id] = release
        tables.numbers[release.kf_id] = len(tables.numbers)
        tables.tasks[release.kf_id] = tasks
        tables.release_of.update(dict.fromkeys(tasks, release.kf_id))
        tables.events_of[release.kf_id] = []
        tables.give(release.version)
        tables.newest.update(dict.fromkeys(studies, release.kf_id))
        if key is not None:
            self._made_by[key.caller, key.key] = (release.kf_id, key.fingerprint)
        return tables.view(release)

    async def release(self, release_id: str, sight: Sight = ALL) -> ReleaseView:
        """Return a release with its tasks and notes."""
        release = found(self._tables.releases, "release", release_id)
        self._tables.check_seen(release_id, sight, missing("release", release_id))
        return self._tables.view(release)

    async def releases(
        self, page: PageOf, which: ReleaseFilter = ReleaseFilter(), sight: Sight = ALL
    ) -> Page[ReleaseView]:
        """Return a page of releases."""

        def wanted(release: Release) -> bool:
            return self._tables.seen(release.kf_id, sight) and lists.release_matches(which, release)

        part = lists.listed(self._tables.releases.values(), page, lists.RELEASE_ORDERS, wanted)
        return Page(tuple(map(self._tables.view, part.rows)), part.count)

    async def published(self, limit: int, until: datetime | None = None) -> Sequence[ReleaseView]:
        """Return the releases that were published last, up to a time."""
        which = ReleaseFilter({ReleaseState.PUBLISHED})
        everything = await self.releases(PageOf(len(self._tables.releases), 0, "-published_at"), which)
        early = (view for view in everything.rows if until is None or published_at(view.release) <= until)
        return [replace(view, tasks=()) for view in islice(early, limit)]

    async def numbers(self) -> Numbers:
        """Return which versions have been given so far."""
        return Numbers(self._tables.highest_given, self._tables.highest_published)

    async def current_of(self, study_id: str) -> ReleaseView:
        """Return the release with which a study became public last."""
        release_id = found(self._tables.current, "published release of study", study_id)
        return replace(self._tables.view(self._tables.releases[release_id]), tasks=())

    async def task(self, task_id: str, sight: Sight = ALL) -> TaskView:
        """Return a task."""
        release_id = found(self._tables.release_of, "task", task_id)
        self._tables.check_seen(release_id, sight, missing("task", task_id))
        return TaskView(self._tables.tasks[release_id][task_id], release_id)

    async def tasks(self, page: PageOf, which: TaskFilter = TaskFilter(), sight: Sight = ALL) -> Page[TaskView]:
        """Return a page of tasks."""
        release_ids = self._tables.releases if which.release_id is None else [which.release_id]
        seen = (release_id for release_id in release_ids if self._tables.seen(release_id, sight))
        views = (TaskView(task, kf_id) for kf_id in seen for task in self._tables.tasks.get(kf_id, {}).values())
        return lists.listed(views, page, lists.TASK_ORDERS, partial(lists.task_matches, which))

    def _new_tasks(self, now: datetime) -> dict[str, Task]:
        tasks: dict[str, Task] = {}
        for service in self._tables.services.values():
            if service.enabled:
                kf_id = self._ids.free_kf_id(Prefix.TASK, self._tables.release_of, tasks)
                tasks[kf_id] = Task(kf_id, service.kf_id, service.name, service.url, now, now, now)
        return tasks
