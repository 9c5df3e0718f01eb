"""The work queue on Redis, by SAQ: an API process rings, and one of the workers hears it.

A job carries the id of a release and nothing else, under a fresh key each time, for SAQ refuses a key whose job is
being worked on, and the ring would be lost. What a worker does with it is to ring its engine, which takes no time; so
Redis holds nothing that cannot be rebuilt, and whatever is lost with it the sweep of the database finds.

Nobody waits for Redis: a ring is noted and sent on by a task of its own, and while Redis is away it is dropped.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from saq import Job, Worker
from saq.queue.redis import RedisQueue

from lockstep.coordinator.core.errors import Unavailable

log = structlog.get_logger("lockstep.queue")
logging.getLogger("saq").setLevel(logging.CRITICAL)  # it tells of a Redis that is away once a second, with a traceback

QUEUE: Final = "lockstep"
_LOOK: Final = "look"
_LISTENERS: Final = 4
"""Jobs that a worker takes at the same time; each takes as long as a bell rings."""

_HEARD_S: Final = 5.0
"""How long a worker listens before it asks Redis anew."""

_TIMEOUT_S: Final = 10.0
_PAUSE_S: Final = 1.0
_CHECK_S: Final = 2.0
_MOST_WAITING: Final = 10_000
_JOB_S: Final = 60
_KEEP_NO_RESULT: Final = -1


class QueueBell:
    """The doorbell of a process without an engine: rings are jobs for the workers.

    Args:
        redis_url: where the queue is, as `redis://host:6379/0`.
    """

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._unsent: dict[str, None] = {}
        self._bell = asyncio.Event()
        self._queue: RedisQueue | None = None
        self._away = False

    async def ring(self, release_id: str) -> None:
        """Ask that a worker look at a release soon."""
        if len(self._unsent) < _MOST_WAITING:
            self._unsent[release_id] = None
            self._bell.set()

    async def run(self) -> None:
        """Send the rings on, until cancelled."""
        async with _queue(self._redis_url) as queue:
            self._queue = queue
            while True:
                await self._bell.wait()
                self._bell.clear()
                rings, self._unsent = list(self._unsent), {}
                try:
                    await asyncio.gather(*(queue.enqueue(_job(release_id)) for release_id in rings))
                    self._away = False
                except (RedisError, OSError) as error:
                    if not self._away:
                        log.warning("queue_away", reason=str(error), meaning="releases are found by the sweep")
                    self._away = True

    async def check(self) -> None:
        """Do the least that shows that Redis answers.

        Raises:
            Unavailable: it does not.
        """
        try:
            async with asyncio.timeout(_CHECK_S):
                if self._queue is not None and await self._queue.redis.ping():
                    return
        except (RedisError, OSError, TimeoutError) as error:
            raise Unavailable(f"Redis does not answer ({error}); releases are found by the sweep.") from error
        raise Unavailable("Redis is not connected to yet; releases are found by the sweep.")


async def consume(redis_url: str, ring: Callable[[str], Awaitable[None]]) -> None:
    """Ring for every job that comes, until cancelled; while Redis is away, wait for it to come back."""

    async def look(_: object, *, release_id: str) -> None:
        await ring(release_id)

    async with _queue(redis_url) as queue:
        await _Listener(
            queue,
            functions=[(_LOOK, look)],
            concurrency=_LISTENERS,
            dequeue_timeout=_HEARD_S,
            shutdown_grace_period_s=1,
        ).start()


async def ping(redis_url: str) -> None:
    """Ask a Redis whether it answers.

    Raises:
        Unavailable: it does not.
    """
    try:
        async with asyncio.timeout(_CHECK_S), _queue(redis_url) as queue:
            await queue.redis.ping()
    except (RedisError, OSError, TimeoutError) as error:
        raise Unavailable(f"Redis does not answer ({str(error) or 'no answer in time'})") from error


def _job(release_id: str) -> Job:
    return Job(_LOOK, {"release_id": release_id}, timeout=_JOB_S, ttl=_KEEP_NO_RESULT)


@contextlib.asynccontextmanager
async def _queue(redis_url: str) -> AsyncIterator[RedisQueue]:
    redis: Redis = Redis.from_url(redis_url, socket_connect_timeout=2, socket_timeout=_TIMEOUT_S)
    queue = _Queue(redis, QUEUE)
    try:
        yield queue
    finally:
        with contextlib.suppress(RedisError, OSError):
            await queue.disconnect()


class _Listener(Worker[Any]):
    """A worker of SAQ that leaves the process's signals alone: those are the coordinator's."""

    SIGNALS: Final = []  # type: ignore[misc] # a list of a narrower type there


class _Queue(RedisQueue):
    """A queue whose listeners wait patiently for a Redis that is away, and which tells nobody what became of a job."""

    away = False

    async def dequeue(self, timeout: float = 0.0, poll_interval: float = 0.0) -> Job | None:  # noqa: ASYNC109 - as there
        try:
            job: Job | None = await super().dequeue(timeout, poll_interval)
        except (RedisError, OSError) as error:
            if not self.away:
                log.warning("queue_away", reason=str(error), meaning="releases are found by the sweep, more slowly")
            self.away = True
            await asyncio.sleep(_PAUSE_S)
            return None
        self.away = False
        return job

    async def notify(self, job: Job) -> None:
        """Say nothing: nobody waits for a job, and the ring comes one answer of Redis sooner."""
