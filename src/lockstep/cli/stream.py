"""Following one release: the messages of its event stream, over as many connections as it takes.

The coordinator numbers its events. When a connection breaks, the next one asks for what came after the last number
seen, so nothing is told twice and nothing is missed. Between attempts there are growing pauses; a coordinator that
stays away for `GIVE_UP_S` is given up.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from lockstep.cli.client import Api, Json
from lockstep.cli.endings import Unreachable

FIRST_PAUSE_S: Final = 0.25
LONGEST_PAUSE_S: Final = 10.0
GIVE_UP_S: Final = 600.0
"""How long a coordinator may be away: a restart, an upgrade, a train through a tunnel."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message: `kind` is `release`, `event` or `end`; `position` is given with events only."""

    kind: str
    data: Json
    position: str = ""


@dataclass(slots=True)
class _Draft:
    """A message of which lines are still coming."""

    kind: str = ""
    position: str = ""
    data: list[str] = field(default_factory=list)


async def follow(
    coordinator: Api, release_id: str, note: Callable[[str], None], *, give_up_s: float = GIVE_UP_S
) -> AsyncGenerator[Message]:
    """Yield what happens to a release, from its first event on, until it has ended.

    Args:
        coordinator: whom to ask.
        release_id: the release.
        note: told when the connection breaks and when it is there again.
        give_up_s: how long the coordinator may be away, in seconds.

    Raises:
        Refused: there is no such release.
        Unreachable: there is no coordinator, or it stayed away.
    """
    path, what = f"releases/{release_id}", f"release {release_id}"
    seen, pause_s = "", FIRST_PAUSE_S
    heard_at: float | None = None
    while True:
        try:
            async with coordinator.lines(f"{path}/events/stream", {"Last-Event-ID": seen} if seen else {}) as lines:
                if lines is None:
                    yield Message("end", await coordinator.get(path, what=what))
                    return
                if heard_at is not None:
                    note("The coordinator is there again.")
                async for message in _messages(lines):
                    heard_at, pause_s, seen = time.monotonic(), FIRST_PAUSE_S, message.position or seen
                    yield message
                    if message.kind == "end":
                        return
            reason = "The stream of events ended early."
        except Unreachable as error:
            if heard_at is None or time.monotonic() - heard_at > give_up_s:
                raise
            reason = str(error)
        note(f"{reason} Trying again in {pause_s:g} s.")
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


async def _messages(lines: AsyncIterator[str]) -> AsyncIterator[Message]:
    """Yield the messages that lines of a stream of server-sent events make up."""
    draft = _Draft()
    async for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if draft.data:
                yield Message(draft.kind, _read(draft.data), draft.position)
            draft = _Draft()
        elif name == "event":
            draft.kind = value
        elif name == "id":
            draft.position = value
        elif name == "data":
            draft.data.append(value)


def _read(data: list[str]) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads("\n".join(data))
    except ValueError as error:
        raise Unreachable("The coordinator's stream of events holds something that is no JSON.") from error
