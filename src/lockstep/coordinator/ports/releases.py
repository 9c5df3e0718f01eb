"""Releases and their tasks, as the engine changes them and as the faces show them."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from lockstep.coordinator.core.callers import ALL, Sight
from lockstep.coordinator.core.model import Change, Snapshot
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
from lockstep.coordinator.core.versions import Numbers

T = TypeVar("T")


class ReleaseStore(Protocol):
    """The part of the store that the engine lives on. Every method is one transaction, atomic and durable."""

    async def change(self, release_id: str, decide: Callable[[Snapshot], tuple[Change, T]]) -> T:
        """Read a release with all of its tasks, decide, and store what was decided, as one serialised change.

        `decide` must be pure: it may be called again when the transaction has to be repeated. When it raises, nothing
        is stored and the error is passed on. An ended release wakes those that wait for it: their `look_at` is due.

        Raises:
            NotFound: there is no such release.
        """
        ...

    async def change_by_task(self, task_id: str, decide: Callable[[Snapshot], tuple[Change, T]]) -> T:
        """Do what `change` does for the release of a task, with only this task loaded and the others counted.

        Raises:
            NotFound: there is no such task.
        """
        ...

    async def due(self, now: datetime, limit: int) -> Sequence[str]:
        """Return the ids of releases whose `look_at` has come, the longest overdue first.

        Those that still wait for a release that has ended come after them: their wake was lost.
        """
        ...

    async def next_look(self) -> datetime | None:
        """Return the earliest `look_at` of all, None when nothing is to be looked at."""
        ...


class Releases(Protocol):
    """Releases and their tasks for those who ask for them and look at them."""

    async def create_release(self, new: NewRelease, now: datetime, key: RequestKey | None = None) -> ReleaseView:
        """Create a release, `waiting` and due to be looked at, with one task for every enabled service.

        A key that created one before, for the same request, gives that one as it is now, and creates nothing.

        Raises:
            Invalid: a study is not known.
            KeyReused: the key was sent with another request before.
        """
        ...

    async def release(self, release_id: str, sight: Sight = ALL) -> ReleaseView:
        """Return a release with its tasks and notes.

        Raises:
            NotFound: there is no such release, or it may not be seen.
        """
        ...

    async def releases(
        self, page: PageOf, which: ReleaseFilter = ReleaseFilter(), sight: Sight = ALL
    ) -> Page[ReleaseView]:
        """Return a page of releases.

        Raises:
            Invalid: the list has no such order. So it is with every list.
        """
        ...

    async def published(self, limit: int, until: datetime | None = None) -> Sequence[ReleaseView]:
        """Return the releases that were published last, up to and with a time, without their tasks."""
        ...

    async def numbers(self) -> Numbers:
        """Return which versions have been given so far."""
        ...

    async def current_of(self, study_id: str) -> ReleaseView:
        """Return the release with which a study became public last, without its tasks.

        Raises:
            NotFound: there is none.
        """
        ...

    async def task(self, task_id: str, sight: Sight = ALL) -> TaskView:
        """Return a task.

        Raises:
            NotFound: there is no such task, or its release may not be seen.
        """
        ...

    async def tasks(self, page: PageOf, which: TaskFilter = TaskFilter(), sight: Sight = ALL) -> Page[TaskView]:
        """Return a page of tasks."""
        ...
