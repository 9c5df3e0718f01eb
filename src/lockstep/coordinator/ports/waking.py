"""How news of a change gets about: to the engine, to engines elsewhere, and to whoever watches.

All of it may be lost, doubled or late. What it is about stands in the store, so that only time is lost with it.
"""

from contextlib import AbstractContextManager
from typing import Protocol


class Doorbell(Protocol):
    """Wakes the engine for a release. A ring carries nothing else; a lost, doubled or late one costs a delay only."""

    async def ring(self, release_id: str) -> None:
        """Ask that a release be looked at soon."""
        ...


class Peers(Protocol):
    """The other engines on the same database. What is said to them may be lost, which costs a delay only."""

    async def nudge(self, release_id: str) -> None:
        """Say to the engine that is at work on a release that the release was changed."""
        ...

    async def offer(self, release_id: str) -> None:
        """Say that nobody is at work on a release any more, and that something is to be done about it."""
        ...


class Announcer(Protocol):
    """Tells whoever watches that something was committed."""

    async def announce(self, subject_id: str) -> None:
        """Say that a release with its tasks, events and notes has changed, or a service, or a study, by its id."""
        ...


class Subscription(Protocol):
    """One watcher's place at the feed of announcements."""

    async def wait(self, timeout_s: float) -> bool:
        """Wait until something was announced since the last wait; return whether it was, or the time ran out."""
        ...


class Feed(Protocol):
    """Where watchers listen to what an `Announcer` says."""

    def subscribe(self, subject_id: str | None) -> AbstractContextManager[Subscription]:
        """Listen to one release or other thing, or to everything (None), for as long as the context is open."""
        ...
