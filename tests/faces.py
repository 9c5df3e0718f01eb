"""What tests of the services and of the web share: a coordinator without an engine, on a store in memory."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lockstep.coordinator.adapters.clock import SystemClock
from lockstep.coordinator.adapters.feed import LocalFeed
from lockstep.coordinator.adapters.prober import HttpProber
from lockstep.coordinator.core.draft import Draft
from lockstep.coordinator.core.model import Change, Snapshot
from lockstep.coordinator.core.records import NewRelease, ReleaseView, StudyFacts, TaskService
from lockstep.coordinator.ports import DataService, Store
from lockstep.coordinator.services.commands import Commands
from lockstep.coordinator.store.memory import MemoryStore
from lockstep.coordinator.web.app import make_app
from lockstep.coordinator.web.desk import Desk
from lockstep.protocol.messages import Action
from lockstep.protocol.states import RELEASE_MOVES, ReleaseState, TaskState, route

STUDIES = ("SD_DYPMEHHF", "SD_9PYZAHHE", "SD_BHJXBDQK")

_LINE = (
    (ReleaseState.INITIALIZING, TaskState.WAITING, Action.INITIALIZE),
    (ReleaseState.RUNNING, TaskState.PENDING, Action.START),
    (ReleaseState.STAGED, TaskState.STAGED, Action.START),
    (ReleaseState.PUBLISHING, TaskState.PUBLISHING, Action.PUBLISH),
    (ReleaseState.PUBLISHED, TaskState.PUBLISHED, Action.PUBLISH),
)


class Bell:
    """A doorbell that nobody answers: it remembers who rang."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    async def ring(self, release_id: str) -> None:
        self.rung.append(release_id)


@dataclass
class Coordinator:
    """A coordinator without an engine: what was committed lies still until a test moves it."""

    store: Store
    feed: LocalFeed
    bell: Bell
    commands: Commands
    desk: Desk

    def app(self, **options: Any) -> FastAPI:
        return make_app(self.desk, **options)

    def client(self, **options: Any) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app(**options), raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://coordinator:5000")

    async def release(self, *studies: str, name: str = "Winter") -> ReleaseView:
        return await self.store.create_release(NewRelease(name, studies or STUDIES[:1]), datetime.now(UTC))

    async def service(self, name: str = "reports", url: str = "http://reports:5020", **fields: Any) -> TaskService:
        service = TaskService("", name, "", url, "admin", datetime.now(UTC), **fields)
        return await self.store.add_service(service)

    async def bring(self, release_id: str, to: ReleaseState) -> ReleaseView:
        """Bring a release along its line, as the engine would with services that agree to everything."""
        while (view := await self.store.release(release_id)).release.state is not to:
            await self.store.change(release_id, lambda before: (_one_step_on(before), None))
        await self.feed.announce(release_id)
        return view


@asynccontextmanager
async def coordinator(
    store: Store | None = None, data_service: DataService | None = None, *, probe_timeout_s: float = 20
) -> AsyncIterator[Coordinator]:
    """Open a coordinator that knows `STUDIES`."""
    store = store or MemoryStore()
    await store.sync_studies([StudyFacts(kf_id, f"Study {kf_id}", True, datetime.now(UTC)) for kf_id in STUDIES])
    feed, bell = LocalFeed(), Bell()
    async with HttpProber(timeout_s=probe_timeout_s) as prober:
        commands = Commands(store, bell, feed, SystemClock(), prober, data_service)
        yield Coordinator(store, feed, bell, commands, Desk(commands, store, feed))


def _one_step_on(before: Snapshot) -> Change:
    draft = Draft(before, datetime.now(UTC))
    state, task_state, told = next(step for step in _LINE if step[0] in RELEASE_MOVES[draft.release.state])
    for task_id in before.tasks:
        task = draft.set_task(task_id, told=told)
        draft.move_task(task_id, *route(task.state, task_state))
    if state is ReleaseState.PUBLISHING:
        draft.set_release(publish_order=before.last_order + 1)
    draft.move_release(state)
    return draft.change()


@dataclass
class PlayedDataService:
    """A data service behind its port: the studies that it has, how often it was asked, and whether it answers."""

    facts: list[StudyFacts] = field(default_factory=list)
    asked: int = 0
    error: Exception | None = None

    async def studies(self) -> list[StudyFacts]:
        self.asked += 1
        if self.error:
            raise self.error
        return self.facts

    def study_url(self, study_id: str) -> str:
        return f"http://data/studies/{study_id}"


def status_app(answer: Callable[[Request], Response] | Mapping[str, Any]) -> Starlette:
    """Return a service that has nothing but a `/status`."""

    async def status(request: Request) -> Response:
        return answer(request) if callable(answer) else JSONResponse(dict(answer))

    return Starlette(routes=[Route("/status", status)])
