"""Watching a release until what one waits for has happened, and what that means for the exit code."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

from lockstep.cli.client import Api, Json
from lockstep.cli.display import Display, state_in_words
from lockstep.cli.endings import Refused, TimedOut
from lockstep.cli.options import Until
from lockstep.cli.stream import Message, follow
from lockstep.protocol.states import SETTLED_RELEASES, ReleaseState

REASONS: Final = 3
"""Services that are named as the cause when a release failed."""

TOGETHER_S: Final = 0.25
"""What belongs to a change arrives together with it; so long a silence means that all of it has come."""

_AT_OR_PAST_STAGED: Final = frozenset({ReleaseState.STAGED, ReleaseState.PUBLISHING})


async def watch(
    coordinator: Api,
    release_id: str,
    until: Until,
    display: Display,
    *,
    since: str = "",
    timeout_s: float | None = None,
) -> Json:
    """Show what happens to a release until it is where it should be or has ended; return it as it is then.

    Args:
        coordinator: whom to ask.
        release_id: the release.
        until: what to wait for.
        display: where it is shown.
        since: a time of the API; events from before it are not shown.
        timeout_s: how long to wait at the most, in seconds; None for ever.

    Raises:
        TimedOut: the time has passed.
        Ending: the release could not be watched.
    """
    last: Json | None = None
    try:
        async with asyncio.timeout(timeout_s):
            async with aclosing(follow(coordinator, release_id, display.note)) as messages:
                async for message in messages:
                    last = _shown(message, display, since) or last
                    if message.kind == "end":
                        break
                    if message.kind == "release" and is_reached(message.data, until):
                        last = await _the_rest(messages, display, since) or last
                        break
    except TimeoutError:
        state = f"is {last['state']}" if last else "could not be seen"
        raise TimedOut(
            f"Release {release_id} {state} after {timeout_s:g} s. It goes on; "
            f"watch it again with `lockstep release watch {release_id}`."
        ) from None
    assert last is not None  # noqa: S101 - a stream ends with a release
    return last


def is_reached(release: Json, until: Until) -> bool:
    """Tell whether a release is where a watcher waits for it to be."""
    state = ReleaseState(release["state"])
    if state in SETTLED_RELEASES:
        return True
    match until:
        case Until.REVIEW:
            return state is ReleaseState.STAGED and release["waits_for"] is None
        case Until.STAGED:
            return state in _AT_OR_PAST_STAGED
        case Until.PUBLISHED | Until.SETTLED:
            return False


def check_outcome(release: Json) -> None:
    """Let a release pass that is staged or published, or on its way there.

    Raises:
        Refused: it failed or was canceled, with the reason if a task has one.
    """
    if release["state"] not in {ReleaseState.FAILED, ReleaseState.CANCELED}:
        return
    reasons = [f" {task['service_name']}: {task['last_error']}." for task in release["tasks"] if task["last_error"]]
    how = f"{release['state']}: {state_in_words(release)}."
    raise Refused(f"Release {release['kf_id']} is {how}{''.join(reasons[:REASONS])}")


def _shown(message: Message, display: Display, since: str) -> Json | None:
    """Show a message, and return the release if it is about that."""
    if message.kind != "event":
        display.release(message.data)
        return message.data
    if message.data["created_at"] >= since:
        display.event(message.data)
    return None


async def _the_rest(messages: AsyncIterator[Message], display: Display, since: str) -> Json | None:
    """Show what arrives together with the last change, and return the release if it changed again."""
    last: Json | None = None
    while True:
        try:
            async with asyncio.timeout(TOGETHER_S):
                message = await anext(messages)
        except (TimeoutError, StopAsyncIteration):
            return last
        last = _shown(message, display, since) or last
