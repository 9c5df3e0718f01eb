"""Announcements between processes, over `LISTEN` and `NOTIFY` of the Postgres that they share.

Whoever watches a release hears of what any process has committed, and engines speak to each other of the releases that
they work on. Nothing of it is kept: while the connection is away the process still hears itself, and when it is back
everybody is told to look, so that what was missed in between costs a delay and no more.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import Any, Final

import asyncpg
import structlog

from lockstep.coordinator.adapters.feed import Listener, LocalFeed

log = structlog.get_logger("lockstep.feed")

CHANNEL: Final = "lockstep"
RECONNECT_S: Final = 0.5
"""The pause before a lost connection is made anew."""

BEAT_S: Final = 10.0
"""How often a silent connection is tried, since a cut cable says nothing."""

_SAY: Final = "SELECT pg_notify($1, word) FROM unnest($2::text[]) AS word"
_TIMEOUT_S: Final = 5.0
_LAST_WORDS_S: Final = 1.0
_MOST_WAITING: Final = 10_000
"""Words that wait to be said; while the database is away, further ones are lost."""


class Word(StrEnum):
    """What one process says to the others about a release."""

    CHANGED = "changed"
    NUDGE = "nudge"
    OFFER = "offer"


def _ignore(_: str) -> None:
    """Hear a word about a release and do nothing: this process has no engine."""


class PostgresFeed:
    """Both ends of the feed, and the way to the other engines: `Announcer`, `Feed` and `Peers` in one.

    Attributes:
        on_nudge: called with the id of a release that is perhaps being worked on here, when it was changed elsewhere.
        on_offer: called with the id of a release that anybody may take.

    Args:
        dsn: the database, as `postgresql://…`.
    """

    def __init__(self, dsn: str) -> None:
        self.on_nudge: Callable[[str], None] = _ignore
        self.on_offer: Callable[[str], None] = _ignore
        self._dsn = dsn
        self._local = LocalFeed()
        self._unsaid: dict[str, None] = {}
        self._bell = asyncio.Event()

    async def announce(self, subject_id: str) -> None:
        """Tell every watcher, here and in the other processes, that something has changed."""
        self._local.tell(subject_id)
        self._say(Word.CHANGED, subject_id)

    async def nudge(self, release_id: str) -> None:
        """Say to the engine that is at work on a release that the release was changed."""
        self._say(Word.NUDGE, release_id)

    async def offer(self, release_id: str) -> None:
        """Say to the other engines that a release may be taken."""
        self._say(Word.OFFER, release_id)

    @property
    def watched(self) -> set[str]:
        """The releases and other things that somebody listens to here."""
        return self._local.watched

    @contextmanager
    def subscribe(self, subject_id: str | None) -> Iterator[Listener]:
        """Listen to one release or other thing, or to everything, for as long as the context is open."""
        with self._local.subscribe(subject_id) as listener:
            yield listener

    async def run(self) -> None:
        """Speak and listen until cancelled; what waits to be said then is said first, if the database answers."""
        try:
            while True:
                with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    await self._converse()
                await asyncio.sleep(RECONNECT_S)
        finally:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                async with asyncio.timeout(_LAST_WORDS_S):
                    await self._say_the_rest()

    def _say(self, word: Word, subject_id: str) -> None:
        if len(self._unsaid) < _MOST_WAITING:
            self._unsaid[f"{word} {subject_id}"] = None
            self._bell.set()

    async def _converse(self) -> None:
        connection = await self._connect()
        try:
            connection.add_termination_listener(lambda _: self._bell.set())
            await connection.add_listener(CHANNEL, self._hear)
            self._local.tell_everybody()
            while not connection.is_closed():
                await self._say_all(connection)
                try:
                    async with asyncio.timeout(BEAT_S):
                        await self._bell.wait()
                except TimeoutError:
                    await connection.execute("SELECT 1")
        finally:
            connection.terminate()

    async def _connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        return await asyncpg.connect(
            self._dsn,
            timeout=_TIMEOUT_S,
            command_timeout=_TIMEOUT_S,
            server_settings={"application_name": "lockstep feed"},
        )

    async def _say_all(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Say everything that waits; what is said again meanwhile is another word, about a later change."""
        self._bell.clear()
        words, self._unsaid = self._unsaid, {}
        if words:
            try:
                await connection.execute(_SAY, CHANNEL, list(words))
            except BaseException:
                self._unsaid = words | self._unsaid
                raise

    async def _say_the_rest(self) -> None:
        if self._unsaid:
            connection = await self._connect()
            try:
                await self._say_all(connection)
            finally:
                await connection.close(timeout=_TIMEOUT_S)

    def _hear(self, connection: Any, speaker_pid: int, _channel: str, payload: object) -> None:  # noqa: ANN401
        if speaker_pid == connection.get_server_pid():
            return
        word, _, subject_id = str(payload).partition(" ")
        if word == Word.CHANGED:
            self._local.tell(subject_id)
        elif word == Word.NUDGE:
            self.on_nudge(subject_id)
        elif word == Word.OFFER:
            self.on_offer(subject_id)
