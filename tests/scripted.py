"""Task services that do what a script says, and a coordinator in this process to work with them.

The coordinator is the real one (commands, engine, store in memory). Its services are reached over real sockets
(`on_loopback`), for what is sent and how it looks, or inside a loop of simulated time (`in_simulation`), for when it
is sent. A service is honest by default: it takes every action, does its work in `work_s` seconds, and says how far it
is. The script replaces its next answers to an action, one by one.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from aiohttp import web

from lockstep.coordinator.adapters.clock import SystemClock
from lockstep.coordinator.adapters.feed import LocalFeed
from lockstep.coordinator.adapters.prober import HttpProber
from lockstep.coordinator.adapters.task_services import HttpTaskServices
from lockstep.coordinator.core.callers import LOCAL
from lockstep.coordinator.core.decide import Worker
from lockstep.coordinator.core.model import Release
from lockstep.coordinator.core.policy import Policy
from lockstep.coordinator.core.records import (
    Event,
    EventFilter,
    NewRelease,
    PageOf,
    ReleaseView,
    StudyFacts,
    TaskService,
)
from lockstep.coordinator.engine.drive import World
from lockstep.coordinator.engine.engine import Engine
from lockstep.coordinator.ports import Clock, TaskServices, always
from lockstep.coordinator.services.commands import Commands
from lockstep.coordinator.services.inputs import TaskReport
from lockstep.coordinator.store.memory import MemoryStore
from lockstep.protocol.messages import Reply, Request, Silence
from lockstep.protocol.wire import reply_from_http, request_to_json
from tests.patience import PATIENCE_S

T = TypeVar("T")

STUDIES = ("SD_AAAAAAAA", "SD_BBBBBBBB", "SD_CCCCCCCC")
REQUEST_TIMEOUT_S = 15.0
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
QUICK = Policy(poll_interval_s=0.02, retry_pause_s=0.02, cancel_patience_s=5)
"""The patience of tests on real sockets: nothing is waited for longer than needed."""

STUDY_URL = "http://data/studies/{}"


@dataclass(frozen=True)
class Says:
    """An HTTP answer; `body` is sent as JSON unless it is bytes. None instead of an answer is silence."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Asked:
    """A request as it came to a service, and when, in seconds of the loop's time."""

    at: float
    action: str
    body: Mapping[str, Any]
    headers: Mapping[str, str]


Line = Says | None | Callable[[], Awaitable[Says | None]]


@dataclass
class Service:
    """One task service. `script` holds its next lines by action; when they are used up it is honest."""

    name: str
    script: dict[str, list[Line]] = field(default_factory=dict)
    work_s: float = 0.0
    quick: bool = False
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    tasks: dict[str, tuple[str, float]] = field(default_factory=dict)
    down: bool = False

    def actions(self, *, polls: bool = False) -> list[str]:
        """What it was asked, in order; without the questions for its status unless they are wanted."""
        return [asked.action for asked in self.asked if polls or asked.action != "get_status"]

    def times(self, action: str) -> list[float]:
        return [asked.at for asked in self.asked if asked.action == action]

    async def hear(self, body: Mapping[str, Any], headers: Mapping[str, str]) -> Says | None:
        action = body["action"]
        self.asked.append(Asked(asyncio.get_running_loop().time(), action, body, headers))
        if self.down:
            return None
        lines = self.script.get(action)
        if not lines:
            return self.honest(body)
        line = lines.pop(0)
        return await line() if callable(line) else line

    async def was_asked(self, action: str, times: int = 1, within_s: float = PATIENCE_S) -> None:
        """Wait until it was asked something, so many times."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within_s
        while len(self.times(action)) < times:
            assert loop.time() < end, f"{self.name} was asked {self.actions(polls=True)}"
            await asyncio.sleep(0.005)

    def honest(self, body: Mapping[str, Any]) -> Says:
        """Answer as a service does that has nothing to hide."""
        task, now = body["task_id"], asyncio.get_running_loop().time()
        wanted = {"initialize": "pending", "start": "running", "publish": "publishing", "cancel": "canceled"}
        if body["action"] in wanted:
            self.tasks[task] = (wanted[body["action"]], now)
        elif task not in self.tasks:
            return Says(404, {"message": "unknown task"})
        if self.quick and body["action"] in {"start", "publish"}:
            self._finish(task)
        return Says(body={"state": self._state(task, now), "progress": None})

    def _state(self, task: str, now: float) -> str:
        state, since = self.tasks[task]
        if state in {"running", "publishing"} and now - since > self.work_s:
            self._finish(task)
        return self.tasks[task][0] if now > since else state

    def _finish(self, task: str) -> None:
        state, since = self.tasks[task]
        self.tasks[task] = ({"running": "staged", "publishing": "published"}.get(state, state), since)


class Coordinator:
    """The real commands, engine and store, in this process."""

    def __init__(self, task_services: TaskServices, policy: Policy, clock: Clock) -> None:
        self.store, self.feed, self.clock = MemoryStore(), LocalFeed(), clock
        self.task_services, self.policy = task_services, policy
        self.born = 0
        self.engine = self.new_engine()
        self.commands = Commands(self.store, self, self.feed, clock, HttpProber())
        self._running: asyncio.Task[None] | None = None

    def new_engine(self, *, alone: bool = True) -> Engine:
        self.born += 1
        worker = Worker(f"worker {self.born}", alone)
        study_url = STUDY_URL.format
        return Engine(World(self.store, self.task_services, self.feed, self.clock, self.policy, worker, study_url))

    async def ring(self, release_id: str) -> None:
        await self.engine.ring(release_id)

    def start(self) -> None:
        self._running = asyncio.create_task(self.engine.run())

    async def stop(self) -> None:
        """End the engine in the middle of whatever it does, as a crash would."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def restart(self) -> None:
        await self.stop()
        self.engine = self.new_engine()
        self.start()

    async def register(self, services: Sequence[Service]) -> None:
        await self.store.sync_studies([StudyFacts(study, study, visible=True, created_at=None) for study in STUDIES])
        for service in services:
            new = TaskService("", service.name, "", service.url, "admin", self.clock.now())
            await self.store.add_service(new)

    async def create(self, *studies: str, is_major: bool = False) -> str:
        new = NewRelease("a release", studies or STUDIES[:2], is_major=is_major)
        return (await self.commands.create_release(new, LOCAL)).release.kf_id

    async def staged(self, *studies: str) -> str:
        release_id = await self.create(*studies)
        await self.until(release_id, "staged")
        return release_id

    async def release(self, release_id: str) -> Release:
        return (await self.store.release(release_id)).release

    async def until(self, release_id: str, state: str, within_s: float = PATIENCE_S) -> ReleaseView:
        """Wait until a release is in a state."""

        async def there() -> ReleaseView | None:
            view = await self.store.release(release_id)
            return view if view.release.state == state else None

        view = await self.wait(release_id, there, within_s)
        assert view is not None, f"not {state} within {within_s:g} s: {await self.messages(release_id)}"
        return view

    async def marked(self, release_id: str, action: str, within_s: float = PATIENCE_S) -> None:
        """Wait until an action is marked as sent to every service."""

        async def marked() -> bool:
            view = await self.store.release(release_id)
            return all(task.told == action for task in view.tasks)

        assert await self.wait(release_id, marked, within_s), f"{action} is not marked as sent"

    async def wait(self, release_id: str, condition: Callable[[], Awaitable[T]], within_s: float = PATIENCE_S) -> T:
        """Wait until a condition on a release holds, looking at it whenever something of it has changed."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within_s
        with self.feed.subscribe(release_id) as changes:
            while not (found := await condition()) and loop.time() < end:
                await changes.wait(end - loop.time())
        return found

    async def states(self, release_id: str) -> dict[str, str]:
        """The state of every task, by the name of its service."""
        view = await self.store.release(release_id)
        return {task.service_name: task.state.value for task in view.tasks}

    async def task_id(self, release_id: str, service: Service) -> str:
        view = await self.store.release(release_id)
        return next(task.kf_id for task in view.tasks if task.service_name == service.name)

    async def call_back(self, release_id: str, service: Service, **said: Any) -> None:
        """Have a service report on its task."""
        await self.commands.report(await self.task_id(release_id, service), TaskReport(**said), LOCAL)

    async def events(self, release_id: str) -> list[Event]:
        """The events of a release, oldest first."""
        return list(await self.store.events_after(release_id, 0, 10_000))

    async def messages(self, release_id: str) -> list[str]:
        return [event.message for event in await self.events(release_id)]

    async def heard_of(self, release_id: str, words: str, within_s: float = PATIENCE_S) -> Event:
        """Wait for an event whose text holds some words."""

        async def there() -> Event | None:
            page = await self.store.events(PageOf(1000), EventFilter(release_id))
            return next((event for event in page.rows if words in event.message), None)

        event = await self.wait(release_id, there, within_s)
        assert event is not None, f"no event says {words!r}: {await self.messages(release_id)}"
        return event


@asynccontextmanager
async def served(service: Service) -> AsyncIterator[Service]:
    """Serve a service on a loopback port; its silence is a connection that is reset."""

    async def tasks(request: web.Request) -> web.Response:
        said = await service.hear(await request.json(), request.headers)
        if said is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return web.Response(status=said.status, body=said.content, headers=said.headers)

    app = web.Application()
    app.router.add_post("/tasks", tasks)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        service.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield service
    finally:
        await runner.cleanup()


@asynccontextmanager
async def on_loopback(
    *services: Service, policy: Policy = QUICK, timeout_s: float = PATIENCE_S, run: bool = True
) -> AsyncIterator[Coordinator]:
    """A coordinator, and services behind real sockets."""
    async with AsyncExitStack() as stack:
        for service in services:
            await stack.enter_async_context(served(service))
        http = await stack.enter_async_context(HttpTaskServices(timeout_s))
        coordinator = Coordinator(http, policy, SystemClock())
        await coordinator.register(services)
        if run:
            coordinator.start()
        try:
            yield coordinator
        finally:
            await coordinator.stop()


class LoopClock:
    """The time of the running loop, as a date."""

    def now(self) -> datetime:
        return BEGINNING + timedelta(seconds=asyncio.get_running_loop().time())


@dataclass
class WithoutSockets:
    """Task services that are reached at once and answer at once, or never; what they say is read as from HTTP."""

    services: Mapping[str, Service]

    async def send(
        self, service_url: str, request: Request, trace_id: str, may_leave: Callable[[], bool] = always
    ) -> Reply:
        if not may_leave():
            return Silence("too late")
        said = await self.services[service_url].hear(request_to_json(request), {})
        if said is None:
            await asyncio.sleep(REQUEST_TIMEOUT_S)
            return Silence(f"no answer from {service_url} within {REQUEST_TIMEOUT_S:g} s")
        return reply_from_http(said.status, said.content, said.headers.get("Retry-After"))


@asynccontextmanager
async def in_simulation(*services: Service, policy: Policy | None = None) -> AsyncIterator[Coordinator]:
    """A coordinator, and services, where time passes by itself: for `tests.simulation.loop.run`."""
    for service in services:
        service.url = f"http://{service.name}"
    by_url = {service.url: service for service in services}
    coordinator = Coordinator(WithoutSockets(by_url), policy or Policy(), LoopClock())
    await coordinator.register(services)
    coordinator.start()
    try:
        yield coordinator
    finally:
        await coordinator.stop()
