"""Announcements within one process: whoever watches a release here hears at once of what was committed here.

An announcement is kept for each watcher until it is taken, and several that come in between are one. Nothing is kept
for those who come later: they begin by reading the release.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Listener:
    """One watcher's place at the feed."""

    def __init__(self) -> None:
        self._announced = asyncio.Event()

    def tell(self) -> None:
        """Have the watcher's wait end, now or when it begins."""
        self._announced.set()

    async def wait(self, timeout_s: float) -> bool:
        """Wait until something was announced since the last wait; return whether it was, or the time ran out."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._announced.wait()
        except TimeoutError:
            return False
        self._announced.clear()
        return True


class LocalFeed:
    """Both ends of the feed: an `Announcer` and a `Feed`."""

    def __init__(self) -> None:
        self._listeners: dict[str | None, set[Listener]] = {}

    async def announce(self, subject_id: str) -> None:
        """Tell every watcher of a release, or of another thing with an id, that it has changed."""
        self.tell(subject_id)

    def tell(self, subject_id: str) -> None:
        """Do what `announce` does, at once."""
        for watched in (subject_id, None):
            for listener in self._listeners.get(watched, ()):
                listener.tell()

    def tell_everybody(self) -> None:
        """Have every watcher look: there may have been announcements that did not come through."""
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.tell()

    @property
    def watched(self) -> set[str]:
        """The releases and other things that somebody listens to."""
        return {subject_id for subject_id in self._listeners if subject_id is not None}

    @contextmanager
    def subscribe(self, subject_id: str | None) -> Iterator[Listener]:
        """Listen to one release or other thing, or to everything, for as long as the context is open."""
        listener = Listener()
        listeners = self._listeners.setdefault(subject_id, set())
        listeners.add(listener)
        try:
            yield listener
        finally:
            listeners.discard(listener)
            if not listeners:
                self._listeners.pop(subject_id, None)
