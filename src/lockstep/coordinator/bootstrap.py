"""The composition root: from the settings, a coordinator that runs.

Here, and nowhere else, the parts are joined: the engine and the world outside, on the ground that every process
stands on (`ground`), and the application over HTTP. `running` is the whole of it as a context in the caller's event
loop, so that `lockstep serve` (by `process`), the demo with its several servers, and the tests start the same thing.
What cannot start says why in one line, `CannotStart`.

The end comes in an order: no new requests, event streams ended, requests answered, the engine stopped (what it had
on the way is in doubt in the rows, and is asked about after the next start), and last the database.

On SQLite one process does everything. On Postgres there may be many: each does everything, or, where a queue on Redis
is configured, `serve` answers requests and `working`, behind `lockstep worker`, does the work.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog

from lockstep.coordinator.adapters.feed import LocalFeed
from lockstep.coordinator.adapters.reports import HttpReports
from lockstep.coordinator.adapters.sns import SnsTopic
from lockstep.coordinator.adapters.webhooks import HttpWebhooks
from lockstep.coordinator.core.announcing import ReceiverKind
from lockstep.coordinator.core.callers import LOCAL
from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.engine.courier import Courier
from lockstep.coordinator.engine.engine import Engine
from lockstep.coordinator.ground import Ground, needs, open_ground
from lockstep.coordinator.listening import CannotStart, listen, serving, url_of
from lockstep.coordinator.ports import Carrier
from lockstep.coordinator.services.commands import Commands
from lockstep.coordinator.services.health import Check, Pulse
from lockstep.coordinator.services.reporting import ReportShelf
from lockstep.coordinator.settings import PREFIX, Settings
from lockstep.coordinator.store.database import postgres_url
from lockstep.coordinator.web.app import make_app
from lockstep.coordinator.web.desk import Desk
from lockstep.coordinator.web.rest.probes import only_probes

if TYPE_CHECKING:
    from lockstep.coordinator.adapters.postgres_feed import PostgresFeed
    from lockstep.coordinator.adapters.queue import QueueBell

log = structlog.get_logger("lockstep.coordinator")

Job = Coroutine[Any, Any, None]
"""Something that goes on until it is cancelled."""

ENGINE_GRACE_S: Final = 1.0
"""How long `serve` lets the work at hand finish when it ends; what is not done then is left to others."""

WORKER_GRACE_S: Final = 6.0
"""The same for a worker, which has nothing else to do; its orchestrator waits ten seconds."""


@dataclass(frozen=True, slots=True)
class Running:
    """A coordinator that runs: where, and what its faces work with."""

    url: str
    desk: Desk
    warm_up: Callable[[], None]
    """Does ahead of time what the first request for a page would wait for."""


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """Run a coordinator for as long as the context is open.

    Raises:
        CannotStart: it cannot; the text says why.
    """
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listen(settings.host, settings.port))
        ground = await open_ground(stack, settings)
        pulse: Pulse | None = None
        check_queue: Check | None = None
        if settings.redis_url:
            bell = _queue_bell(settings)
            commands, jobs, check_queue = ground.commands(bell), [bell.run()], bell.check
        else:
            engine = ground.engine(ENGINE_GRACE_S)
            commands, jobs, pulse = ground.commands(engine), await _jobs(stack, ground, engine), engine.pulse
        desk = Desk(
            commands,
            ground.store,
            ground.feed,
            commit=settings.commit,
            environment=settings.environment,
            metrics=ground.metrics,
            metrics_token=settings.metrics_token,
            pulse=pulse,
            check_queue=check_queue,
            spans=ground.spans,
            reports=await _reports(stack, settings),
            recognition=ground.who.recognition,
            sign_in=ground.who.sign_in,
            guard=ground.who.guard.check,
        )
        app = make_app(
            desk,
            cors_origins=settings.cors_origins,
            write_rate=settings.write_rate,
            only_name=settings.host if settings.auth == "none" and not settings.insecure else None,
        )
        _warn(settings)
        async with _at_work(*_speaking(ground.feed)), _at_work(*jobs), serving(app, desk.closing, listener):
            yield Running(url_of(settings.host, listener), desk, app.state.pages.warm_up)


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[None]:
    """Work on releases for as long as the context is open, for coordinators that only answer requests.

    Raises:
        CannotStart: it cannot; the text says why.
    """
    if postgres_url(settings.database_url) is None:
        raise CannotStart(
            f"A worker of its own needs a database that several processes can share: set {PREFIX}DATABASE_URL to "
            "postgresql://user:password@host/lockstep. On SQLite `lockstep serve` does the work itself."
        )
    async with AsyncExitStack() as stack:
        ground = await open_ground(stack, settings)
        engine = ground.engine(WORKER_GRACE_S)
        jobs = await _jobs(stack, ground, engine)
        if settings.redis_url:
            jobs.append(_consumed(settings, engine))
        await _probed(stack, ground, engine)
        async with _at_work(*_speaking(ground.feed)), _at_work(*jobs):
            yield


async def _probed(stack: AsyncExitStack, ground: Ground, engine: Engine) -> None:
    """Answer those who ask how a worker is, if the settings say so."""
    settings = ground.settings
    if not settings.worker_port:
        return
    desk = Desk(
        ground.commands(engine),
        ground.store,
        ground.feed,
        metrics=ground.metrics,
        metrics_token=settings.metrics_token,
        pulse=engine.pulse,
    )
    listener = stack.enter_context(listen(settings.host, settings.worker_port, "WORKER_PORT"))
    await stack.enter_async_context(serving(only_probes(desk), desk.closing, listener))


def _speaking(feed: "LocalFeed | PostgresFeed") -> list[Job]:
    return [] if isinstance(feed, LocalFeed) else [feed.run()]


async def _jobs(stack: AsyncExitStack, ground: Ground, engine: Engine) -> list[Job]:
    """Return what a process that works has to do, beside answering requests."""
    if not isinstance(ground.feed, LocalFeed):
        ground.feed.on_nudge = engine.nudge
        ground.feed.on_offer = engine.offered
    courier = await _courier(stack, ground)
    health = _check_health(ground, ground.commands(engine), ground.settings.health_interval)
    return [engine.run(), courier.run(ground.feed), health]


def _queue_bell(settings: Settings) -> "QueueBell":
    needs("saq", "redis", "REDIS_URL")
    from lockstep.coordinator.adapters.queue import QueueBell  # noqa: PLC0415 - only where it is used

    return QueueBell(settings.redis_url)


async def _consumed(settings: Settings, engine: Engine) -> None:
    needs("saq", "redis", "REDIS_URL")
    from lockstep.coordinator.adapters.queue import consume  # noqa: PLC0415 - only where it is used

    await consume(settings.redis_url, engine.ring)


async def _courier(stack: AsyncExitStack, ground: Ground) -> Courier:
    settings, clock = ground.settings, ground.clock
    webhooks = await stack.enter_async_context(HttpWebhooks(clock, settings.request_timeout, ground.who.guard))
    carriers: dict[ReceiverKind, Carrier] = {ReceiverKind.WEBHOOK: webhooks}
    if arn := settings.sns_topic_arn:
        needs("boto3", "aws", "SNS_TOPIC_ARN")
        carriers[ReceiverKind.TOPIC] = SnsTopic(arn, settings.request_timeout, settings.sns_endpoint_url)
    await ground.store.outbox.set_topic(arn or None, clock.now())
    # AWS's library takes the time-out once for connecting and once for the answer.
    try_s = 2 * settings.request_timeout
    return Courier(ground.store.outbox, carriers, clock, ground.name, ground.alone, ground.metrics.announced, try_s)


async def _reports(stack: AsyncExitStack, settings: Settings) -> ReportShelf | None:
    if not settings.reports_url:
        return None
    return ReportShelf(await stack.enter_async_context(HttpReports(settings.reports_url, settings.request_timeout)))


async def _check_health(ground: Ground, commands: Commands, interval_s: float) -> None:
    """Look at every service once per interval, in one of all the processes that do this."""
    period = timedelta(seconds=interval_s * 0.9)
    while True:
        await asyncio.sleep(interval_s)
        try:
            now = ground.clock.now()
            if await ground.store.claim("health", now, now + period):
                await commands.check_health(LOCAL)
        except Unavailable as error:
            log.warning("health_not_checked", reason=str(error))
        except Exception:
            log.exception("health_check_broke")


@asynccontextmanager
async def _at_work(*jobs: Job) -> AsyncIterator[None]:
    """Do some jobs for as long as the context is open; then have them end, and wait until they have."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(job) for job in jobs]
        yield
        for task in tasks:
            task.cancel()


def _warn(settings: Settings) -> None:
    if not settings.loopback:
        log.warning("no_identity", host=settings.host, meaning="whoever reaches this address may publish")
