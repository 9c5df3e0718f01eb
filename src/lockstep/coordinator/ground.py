"""What every process of a coordinator stands on, whether it answers requests, does the work, or both.

`open_ground` makes it from the settings: the database, the feed by which the processes that share it hear of each
other, who callers are, how services are spoken to, and what is counted. It starts neither engine nor server: both are
made on this ground in `bootstrap`, which says what runs in which process. What has to be closed is left to the caller's
stack, so the database, which is opened first, is the last to go.
"""

import os
import secrets
import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from lockstep.coordinator.adapters.clock import SystemClock
from lockstep.coordinator.adapters.data_service import HttpDataService
from lockstep.coordinator.adapters.feed import LocalFeed
from lockstep.coordinator.adapters.measured import MeasuredStore, MeasuredTaskServices
from lockstep.coordinator.adapters.prober import HttpProber
from lockstep.coordinator.core.decide import Worker
from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.engine.drive import World
from lockstep.coordinator.engine.engine import Engine
from lockstep.coordinator.identifying import Identifying, identifying
from lockstep.coordinator.listening import CannotStart
from lockstep.coordinator.metrics import Metrics
from lockstep.coordinator.ports import Clock, Doorbell, Peers, Store, TaskServices
from lockstep.coordinator.services.commands import Commands
from lockstep.coordinator.settings import PREFIX, Settings
from lockstep.coordinator.store.alone import sqlite_alone
from lockstep.coordinator.store.database import postgres_url
from lockstep.coordinator.store.migrating import sqlite_file
from lockstep.coordinator.store.opening import open_store
from lockstep.coordinator.tracing import CollectedSpans, collecting

if TYPE_CHECKING:
    from lockstep.coordinator.adapters.postgres_feed import PostgresFeed


@dataclass(frozen=True, slots=True)
class Ground:
    """The parts themselves, and what is made of them.

    Attributes:
        name: the process, unlike every other one that ever ran.
        peers: the other engines on the same database; None where this process has the database to itself.
        spans: takes note of requests for a collector; None where there is none.
    """

    settings: Settings
    metrics: Metrics
    store: Store
    feed: "LocalFeed | PostgresFeed"
    task_services: TaskServices
    prober: HttpProber
    who: Identifying
    name: str
    peers: Peers | None = None
    spans: CollectedSpans | None = None
    clock: Clock = field(default_factory=SystemClock)

    @property
    def alone(self) -> bool:
        """Whether this process has the database to itself."""
        return self.peers is None

    @property
    def study_source(self) -> HttpDataService | None:
        """Where studies are learned from; None where there is no data service."""
        settings = self.settings
        return HttpDataService(settings.dataservice_url, settings.request_timeout) if settings.dataservice_url else None

    def engine(self, grace_s: float) -> Engine:
        """Make an engine; when it ends, the work at hand has so many seconds left, if others can take it over."""
        source = self.study_source
        world = World(
            store=self.store,
            task_services=self.task_services,
            announcer=self.feed,
            clock=self.clock,
            policy=self.settings.policy,
            worker=Worker(self.name, alone=self.alone),
            study_url=source.study_url if source else "/studies/{}".format,
        )
        return Engine(world, self.peers, 0 if self.alone else grace_s)

    def commands(self, doorbell: Doorbell) -> Commands:
        """Make the commands of the faces; the doorbell tells whoever works that there is something to do."""
        return Commands(self.store, doorbell, self.feed, self.clock, self.prober, self.study_source, self.who.access)


async def open_ground(stack: AsyncExitStack, settings: Settings) -> Ground:
    """Open the parts as the settings say.

    Raises:
        CannotStart: one of them cannot be opened; the text says why.
    """
    metrics = Metrics(settings.commit)
    store, feed = await _remembering(stack, settings)
    clock = SystemClock()
    who = await identifying(stack, settings, store, clock)
    spans = await _spans(stack, settings)
    if spans is not None:
        who.task_services.spans = spans
    task_services = await stack.enter_async_context(who.task_services)
    return Ground(
        settings,
        metrics,
        cast("Store", MeasuredStore(store, metrics)),
        feed,
        MeasuredTaskServices(task_services, metrics),
        await stack.enter_async_context(HttpProber(settings.request_timeout, who.guard)),
        who,
        name=f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}",
        peers=None if isinstance(feed, LocalFeed) else feed,
        spans=spans,
    )


def needs(package: str, extra: str, setting: str) -> None:
    """See to it that the package which a setting takes is there.

    Raises:
        CannotStart: it is not; the text says which extra brings it.
    """
    try:
        found = find_spec(package)
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise CannotStart(f"{PREFIX}{setting} takes the extra `{extra}`: pip install 'lockstep[{extra}]'.")


async def _spans(stack: AsyncExitStack, settings: Settings) -> CollectedSpans | None:
    if not settings.otlp_endpoint:
        return None
    needs("opentelemetry.sdk", "telemetry", "OTLP_ENDPOINT")
    return await stack.enter_async_context(collecting(settings.otlp_endpoint))


async def _remembering(stack: AsyncExitStack, settings: Settings) -> "tuple[Store, LocalFeed | PostgresFeed]":
    """Open the database, and the feed by which the processes that share it hear of each other."""
    shared = postgres_url(settings.database_url) is not None
    if settings.redis_url and not shared:
        raise CannotStart(f"{PREFIX}REDIS_URL is set, which needs a Postgres database: see {PREFIX}DATABASE_URL.")
    if shared:
        needs("asyncpg", "postgres", "DATABASE_URL")
    try:
        if not shared:
            stack.enter_context(sqlite_alone(sqlite_file(settings.database_url)))
        store = await stack.enter_async_context(open_store(settings.database_url))
    except Unavailable as error:
        raise CannotStart(str(error)) from error
    if not shared:
        return store, LocalFeed()
    from lockstep.coordinator.adapters.postgres_feed import PostgresFeed  # noqa: PLC0415 - only where it is used

    return store, PostgresFeed(settings.database_url)
