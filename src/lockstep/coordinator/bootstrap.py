"""The composition root: from the settings, a coordinator that runs.

Here, and nowhere else, the parts are chosen and joined: the store, the engine, the world outside, and the application
over HTTP. `running` is the whole of it as a context in the caller's event loop, so that `lockstep serve`, the demo
with its several servers, and the tests start the same thing. What cannot start says why in one line, `CannotStart`.

The end comes in an order: no new requests, event streams ended, requests answered, the engine stopped (what it had
on the way is in doubt in the rows, and is asked about after the next start), and last the database.
"""

import asyncio
import errno
import gc
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final, TypeVar

import structlog
import uvicorn
from fastapi import FastAPI

from lockstep.coordinator.adapters.clock import SystemClock
from lockstep.coordinator.adapters.data_service import HttpDataService
from lockstep.coordinator.adapters.feed import LocalFeed
from lockstep.coordinator.adapters.prober import HttpProber
from lockstep.coordinator.adapters.reports import HttpReports
from lockstep.coordinator.adapters.sns import SnsTopic
from lockstep.coordinator.adapters.task_services import HttpTaskServices
from lockstep.coordinator.adapters.webhooks import HttpWebhooks
from lockstep.coordinator.core.announcing import ReceiverKind
from lockstep.coordinator.core.decide import Worker
from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.engine.courier import Courier
from lockstep.coordinator.engine.drive import World
from lockstep.coordinator.engine.engine import Engine
from lockstep.coordinator.ports import Carrier, Store
from lockstep.coordinator.services.commands import Commands
from lockstep.coordinator.services.reporting import ReportShelf
from lockstep.coordinator.settings import PREFIX, Settings
from lockstep.coordinator.store.alone import sqlite_alone
from lockstep.coordinator.store.opening import open_store
from lockstep.coordinator.store.sqlite import sqlite_path
from lockstep.coordinator.web.app import make_app
from lockstep.coordinator.web.desk import Desk

log = structlog.get_logger("lockstep.coordinator")

T = TypeVar("T")

GRACE_S: Final = 2
"""How long requests that are being answered may take when the coordinator stops, in seconds."""

_BACKLOG: Final = 2048


class CannotStart(Exception):
    """The coordinator cannot start; the text is one line that says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Running:
    """A coordinator that runs: where, and what its faces work with."""

    url: str
    desk: Desk


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a program in the quickest event loop that there is."""
    try:
        import uvloop  # noqa: PLC0415 - there is none for Windows
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


async def serve(settings: Settings, ready: Callable[[Running], None]) -> None:
    """Run a coordinator until the process is asked to end (SIGINT or SIGTERM); `ready` is called once it answers.

    Raises:
        CannotStart: it cannot; the text says why.
    """
    stop = asyncio.Event()
    for wish in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(wish, stop.set)
    async with running(settings) as coordinator:
        # What is loaded by now stays; looking through it for garbage would hold up every answer for 60 ms at times.
        gc.freeze()
        ready(coordinator)
        await stop.wait()


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """Run a coordinator for as long as the context is open.

    Raises:
        CannotStart: it cannot; the text says why.
    """
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(_listen(settings.host, settings.port))
        store = await _open(stack, settings.database_url)
        feed = LocalFeed()
        name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        study_source = _data_service(settings)
        engine = Engine(
            World(
                store=store,
                task_services=await stack.enter_async_context(HttpTaskServices(settings.request_timeout)),
                announcer=feed,
                clock=SystemClock(),
                policy=settings.policy,
                worker=Worker(name, alone=True),
                study_url=study_source.study_url if study_source else "/studies/{}".format,
            )
        )
        prober = await stack.enter_async_context(HttpProber(settings.request_timeout))
        commands = Commands(store, engine, feed, SystemClock(), prober, study_source)
        desk = Desk(
            commands,
            store,
            feed,
            commit=settings.commit,
            environment=settings.environment,
            reports=await _reports(stack, settings),
        )
        app = make_app(desk, cors_origins=settings.cors_origins)
        courier = await _courier(stack, settings, store, name)
        _warn(settings)
        async with asyncio.TaskGroup() as group:
            works = [
                group.create_task(engine.run()),
                group.create_task(courier.run(feed)),
                group.create_task(_check_health(commands, settings.health_interval)),
            ]
            async with _serving(app, desk.closing, listener, group):
                yield Running(_url(settings.host, listener), desk)
            for work in works:
                work.cancel()


async def _open(stack: AsyncExitStack, database_url: str) -> Store:
    path = sqlite_path(database_url)
    if path is None:
        raise CannotStart(f"{PREFIX}DATABASE_URL is not the URL of a SQLite file; sqlite:///lockstep.db would be one.")
    try:
        stack.enter_context(sqlite_alone(path))
        return await stack.enter_async_context(open_store(database_url))
    except Unavailable as error:
        raise CannotStart(str(error)) from error


async def _courier(stack: AsyncExitStack, settings: Settings, store: Store, name: str) -> Courier:
    clock, arn = SystemClock(), settings.sns_topic_arn
    if arn and find_spec("boto3") is None:
        raise CannotStart(f"{PREFIX}SNS_TOPIC_ARN is set, which takes the extra `aws`: pip install 'lockstep[aws]'.")
    webhooks = await stack.enter_async_context(HttpWebhooks(clock, settings.request_timeout))
    carriers: dict[ReceiverKind, Carrier] = {ReceiverKind.WEBHOOK: webhooks}
    if arn:
        carriers[ReceiverKind.TOPIC] = SnsTopic(arn, settings.request_timeout, settings.sns_endpoint_url)
    await store.outbox.set_topic(arn or None, clock.now())
    return Courier(store.outbox, carriers, clock, name, alone=True)


async def _reports(stack: AsyncExitStack, settings: Settings) -> ReportShelf | None:
    if not settings.reports_url:
        return None
    return ReportShelf(await stack.enter_async_context(HttpReports(settings.reports_url, settings.request_timeout)))


def _data_service(settings: Settings) -> HttpDataService | None:
    return HttpDataService(settings.dataservice_url, settings.request_timeout) if settings.dataservice_url else None


def _listen(host: str, port: int) -> socket.socket:
    """Take the port, before anything else is begun: a taken one is the most common reason not to start."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = min(found, key=lambda each: each[0] is not socket.AF_INET)
        # Named as TCP, or asyncio leaves Nagle's delay on, and every answer takes 40 ms.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise CannotStart(f"{PREFIX}HOST is {host!r}, which is no address of this machine: {error}.") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            reason = f"Port {port} of {host} is taken by another program: end that one, or set {PREFIX}PORT to another"
        else:
            reason = f"Port {port} of {host} cannot be served on ({error.strerror}): set {PREFIX}PORT or {PREFIX}HOST"
        raise CannotStart(f"{reason} (0 takes any port that is free).") from error
    return listener


@asynccontextmanager
async def _serving(
    app: FastAPI, closing: asyncio.Event, listener: socket.socket, group: asyncio.TaskGroup
) -> AsyncIterator[None]:
    config = uvicorn.Config(
        app, lifespan="off", log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=GRACE_S
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    ticking = group.create_task(server.main_loop())
    try:
        yield
    finally:
        closing.set()
        server.should_exit = True
        await ticking
        await server.shutdown(sockets=[listener])


async def _check_health(commands: Commands, interval_s: float) -> None:
    while True:
        await asyncio.sleep(interval_s)
        try:
            await commands.check_health()
        except Unavailable as error:
            log.warning("health_not_checked", reason=str(error))


def _url(host: str, listener: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}"


def _warn(settings: Settings) -> None:
    if not settings.loopback:
        log.warning("no_identity", host=settings.host, meaning="whoever reaches this address may publish")
