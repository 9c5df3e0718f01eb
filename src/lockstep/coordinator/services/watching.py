"""Watching one release: what it is now, then every event and every change, until it has ended.

A watcher reads the release and the events after the last one seen, tells of both, and waits for an announcement. The
announcement carries nothing, so one that is lost costs a delay only: a watcher looks by itself now and then. Reading
the release before its events makes sure that nothing is missing when it is found settled.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from lockstep.coordinator.core.callers import ALL, Sight
from lockstep.coordinator.core.records import Event, ReleaseView
from lockstep.coordinator.ports import Feed, Store, Subscription
from lockstep.coordinator.services.discretion import seen, seen_view
from lockstep.protocol.states import SETTLED_RELEASES

EVENTS_AT_ONCE: Final = 500
"""Events that are read in one go; more of them are read in several."""

SHORTEST_PAUSE_S: Final = 0.1
"""Between two looks, so that a release that changes all the time does not keep its watchers busy all the time."""

TASKS_PER_SECOND: Final = 1000
"""Tasks that one watcher may have read and shown per second: large releases are looked at less often."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at one look: the release, the events since the one before, and whether this is the end.

    `ended` is told once the release is settled and its events up to then have been given.
    """

    view: ReleaseView
    events: tuple[Event, ...] = ()
    ended: bool = False


async def watch(
    store: Store,
    feed: Feed,
    release_id: str,
    *,
    after: int = 0,
    closing: asyncio.Event,
    beat_s: float,
    sight: Sight = ALL,
) -> AsyncGenerator[Look, None]:
    """Yield what there is to see of a release, at least once every `beat_s` seconds.

    Args:
        store: where it is kept.
        feed: who says that it has changed.
        release_id: the release.
        after: the position of the last event that the watcher has seen.
        closing: set when the server closes; watching ends.
        beat_s: the longest time between two looks, in seconds.
        sight: what the watcher may see.

    Raises:
        NotFound: there is no such release, or the watcher may not see it.
    """
    with feed.subscribe(release_id) as subscription:
        while not closing.is_set():
            view = await store.release(release_id, sight)
            events = await store.events_after(release_id, after, EVENTS_AT_ONCE)
            after = events[-1].position if events else after
            more = len(events) == EVENTS_AT_ONCE
            ended = not more and view.release.state in SETTLED_RELEASES
            yield Look(seen_view(view, sight), tuple(seen(event, sight) for event in events), ended)
            if ended:
                return
            if not more:
                await _pause(closing, max(SHORTEST_PAUSE_S, len(view.tasks) / TASKS_PER_SECOND))
                await _wait(subscription, closing, beat_s)


async def changes(
    feed: Feed,
    subject_id: str | None,
    *,
    closing: asyncio.Event,
    asked: asyncio.Event,
    beat_s: Callable[[], float],
    pause_s: Callable[[], float],
) -> AsyncGenerator[None, None]:
    """Yield once at the beginning, and again after every change and at least every `beat_s` seconds.

    Args:
        feed: who says that something has changed.
        subject_id: what the watcher looks at; None for everything.
        closing: set when the server closes; watching ends.
        asked: set by whoever wants a look although nothing has changed; it is cleared before that look.
        beat_s: tells the longest time between two looks, in seconds, after each look.
        pause_s: tells the shortest, in seconds, after each look.
    """
    with feed.subscribe(subject_id) as subscription:
        while not closing.is_set():
            asked.clear()
            yield
            await _pause(closing, pause_s())
            await _wait(subscription, closing, beat_s(), asked)


async def _pause(closing: asyncio.Event, pause_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(pause_s):
            await closing.wait()


async def _wait(subscription: Subscription, closing: asyncio.Event, timeout_s: float, *others: asyncio.Event) -> None:
    events = [asyncio.ensure_future(event.wait()) for event in (closing, *others)]
    waits = [asyncio.ensure_future(subscription.wait(timeout_s)), *events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
