"""Release reports, kept for those who look at them often.

A report comes from another service, which may be slow or away, and a page must not wait for it. What was read is kept
for a while, and what is being read is read once for everybody: whoever asks waits for a moment and may come back.
What cannot be read is a sentence, kept for a shorter while so that a service that is back is soon seen.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from lockstep.coordinator.core.errors import NotFound, Unavailable
from lockstep.coordinator.core.model import Release
from lockstep.protocol.states import SETTLED_RELEASES

FRESH_S: Final = 60.0
"""How long the report of an ended release is kept; one that may change, or is not there, `SOON_S`."""

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
    """What came of a look: the answer, or why there is none; neither while it is read for the first time.

    `newer` tells that it is being read again, and that there will soon be a newer one.
    """

    answer: Mapping[str, Any] | None = None
    missing: str = ""
    newer: bool = False

    @property
    def pending(self) -> bool:
        """Tell whether it is still being read."""
        return self.answer is None and not self.missing


@dataclass(slots=True)
class _Kept:
    """A look that was begun at a time, and what the one before it found, for as long as it is under way."""

    task: asyncio.Task[Reading]
    at: float
    before: Reading = Reading()


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

    async def diff(self, release: Release, *, wait_s: float) -> Reading:
        """Return what changes with a release, as of its state; that of an ended one does not change any more."""
        fresh_s = FRESH_S if release.state in SETTLED_RELEASES else SOON_S
        key = f"diff {release.kf_id} {release.state}"
        return await self._look(key, lambda: self.reports.diff(release.kf_id), fresh_s, wait_s)

    async def history(self, study_id: str, *, wait_s: float) -> Reading:
        """Return the newest rows of a study."""
        return await self._look(f"history {study_id}", lambda: self.reports.history(study_id), FRESH_S, wait_s)

    async def _look(
        self, key: str, read: Callable[[], Awaitable[Mapping[str, Any]]], fresh_s: float, wait_s: float
    ) -> Reading:
        """Return what is kept, or read it; while it is read again, what was there before will do."""
        kept = self._kept.get(key)
        if kept is None or self._is_old(kept, fresh_s):
            before = kept.task.result() if kept else Reading()
            self._kept.pop(key, None)
            while len(self._kept) >= _KEPT:
                self._kept.pop(next(iter(self._kept)))
            kept = self._kept[key] = _Kept(asyncio.create_task(_read(read)), self.clock(), before)
        done, _ = await asyncio.wait({kept.task}, timeout=wait_s)
        return kept.task.result() if done else replace(kept.before, newer=True)

    def _is_old(self, kept: _Kept, fresh_s: float) -> bool:
        if not kept.task.done():
            return False
        found = kept.task.result().answer is not None
        return self.clock() - kept.at > (fresh_s if found else SOON_S)


async def _read(read: Callable[[], Awaitable[Mapping[str, Any]]]) -> Reading:
    try:
        return Reading(answer=await read())
    except (NotFound, Unavailable) as error:
        return Reading(missing=str(error))
