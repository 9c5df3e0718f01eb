"""Release reports, kept for those who look at them often.

A report comes from another service, which may be slow or away, and a page must not wait for it. What was read is kept
for a while, and what is being read is read once for everybody: whoever asks waits for a moment and may come back.
What cannot be read is a sentence, kept for a shorter while so that a service that is back is soon seen.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from lockstep.coordinator.core.errors import NotFound, Unavailable

FRESH_S: Final = 60.0
"""How long a report is kept; one that is not counted yet is asked for again after `SOON_S`."""

SOON_S: Final = 3.0
_KEPT: Final = 500


class Reports(Protocol):
    """The release reports service, as far as it is shown here."""

    url: str

    async def diff(self, release_id: str) -> Mapping[str, Any]:
        """Return what changes with a release.

        Raises:
            NotFound: there is no report; the sentence says so in the service's words.
            Unavailable: it could not be read.
        """
        ...

    async def history(self, study_id: str) -> Mapping[str, Any]:
        """Return the newest rows of a study; errors as `diff`."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of a look: the answer, or why there is none; neither while it is still being read."""

    answer: Mapping[str, Any] | None = None
    missing: str = ""

    @property
    def pending(self) -> bool:
        """Tell whether it is still being read."""
        return self.answer is None and not self.missing


@dataclass(slots=True)
class _Kept:
    task: asyncio.Task[Reading]
    at: float
    settled: bool


@dataclass(slots=True)
class ReportShelf:
    """Reads reports, and keeps them.

    Args:
        reports: where they are read.
        clock: seconds that only rise.
    """

    reports: Reports
    clock: Callable[[], float] = time.monotonic
    _kept: dict[str, _Kept] = field(default_factory=dict)

    async def diff(self, release_id: str, *, settled: bool, wait_s: float) -> Reading:
        """Return what changes with a release; `settled` when its report will not change any more."""
        return await self._look(f"diff {release_id}", lambda: self.reports.diff(release_id), settled, wait_s)

    async def history(self, study_id: str, *, wait_s: float) -> Reading:
        """Return the newest rows of a study."""
        return await self._look(f"history {study_id}", lambda: self.reports.history(study_id), False, wait_s)

    def forget(self, release_id: str) -> None:
        """Have the report of a release read anew at the next look."""
        self._kept.pop(f"diff {release_id}", None)

    async def _look(
        self, key: str, read: Callable[[], Awaitable[Mapping[str, Any]]], settled: bool, wait_s: float
    ) -> Reading:
        kept = self._kept.get(key)
        if kept is None or self._is_old(kept, settled):
            self._kept.pop(key, None)
            while len(self._kept) >= _KEPT:
                self._kept.pop(next(iter(self._kept)))
            kept = self._kept[key] = _Kept(asyncio.create_task(_read(read)), self.clock(), settled)
        done, _ = await asyncio.wait({kept.task}, timeout=wait_s)
        return kept.task.result() if done else Reading()

    def _is_old(self, kept: _Kept, settled: bool) -> bool:
        if not kept.task.done():
            return False
        found = kept.task.result().answer is not None
        return kept.settled is not settled or self.clock() - kept.at > (FRESH_S if found and settled else SOON_S)


async def _read(read: Callable[[], Awaitable[Mapping[str, Any]]]) -> Reading:
    try:
        return Reading(answer=await read())
    except (NotFound, Unavailable) as error:
        return Reading(missing=str(error))
