"""Lines that a function writes about its work, which people read among the events of the release.

Events are kept for good and read by people, so they are no place for a program's chatter. `LineLimit` lets a function
write a few lines at once and a few more every minute, and counts those that it leaves out; the service's own log has
all of them. `Postman` carries what was let through to the coordinator, one line after the other, and tries again for a
moment when nobody answers. No line is worth more than that: the work does not wait for it, and a coordinator that does
not take lines is not asked twice.
"""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock
from typing import Final

from lockstep.taskkit.coordinator import Reply

_log = logging.getLogger("lockstep.taskkit")

AT_ONCE: Final = 20
"""Lines that one piece of work may write without a pause."""

REFILL_S: Final = 3.0
"""After how many seconds it may write one more."""

LONGEST_LINE: Final = 900
"""Characters of a line; an event has room for a little more."""

_WAITING: Final = 500
_TRIES: Final = 3


class Level(StrEnum):
    """How serious a line is: the types that events have."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Line:
    """One line about a task. `key` stays the same when it is sent again, so that it need not be taken twice."""

    task_id: str
    release_id: str
    level: Level
    text: str
    key: str = field(default_factory=lambda: secrets.token_hex(16))


class LineLimit:
    """Lets `AT_ONCE` lines through, and one more every `REFILL_S` seconds; may be asked from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._left = float(AT_ONCE)
        self._since = clock()
        self._left_out = 0

    def pass_on(self, text: str) -> str | None:
        """Return a line as it may be written, or None when it is left out; the next one then says how many were."""
        with self._lock:
            now = self._clock()
            self._left = min(float(AT_ONCE), self._left + (now - self._since) / REFILL_S)
            self._since = now
            if self._left < 1:
                self._left_out += 1
                return None
            self._left -= 1
            left_out, self._left_out = self._left_out, 0
        line = " ".join(text.split())
        line = line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"
        if not left_out:
            return line
        return f"{line} (left out before it: {left_out} {'line' if left_out == 1 else 'lines'})"


class Postman:
    """Carries lines by `post`, in the event loop that it was made in."""

    def __init__(self, post: Callable[[Line], Awaitable[Reply]], retry_pause_s: float) -> None:
        self._post = post
        self._retry_pause_s = retry_pause_s
        self._waiting: deque[Line] = deque(maxlen=_WAITING)
        self._is_unwanted = False
        self.courier: asyncio.Task[None] | None = None

    def take(self, line: Line) -> None:
        """Have a line carried after those that wait already."""
        if self._is_unwanted:
            return
        self._waiting.append(line)
        if self.courier is None or self.courier.done():
            self.courier = asyncio.create_task(self._carry())

    async def _carry(self) -> None:
        while self._waiting:
            line = self._waiting.popleft()
            reply = await self._deliver(line)
            if reply.is_refusal:
                self._is_unwanted = True
                self._waiting.clear()
                _log.warning("the coordinator takes no lines about tasks: %s", reply.reason)

    async def _deliver(self, line: Line) -> Reply:
        reply = await self._post(line)
        for attempt in range(1, _TRIES):
            if reply.is_success or reply.is_refusal:
                break
            await asyncio.sleep(max(reply.retry_after_s, self._retry_pause_s * 2**attempt))
            reply = await self._post(line)
        return reply
