"""The whole system in one process, for tests in a browser: coordinator, data, reports, and services that wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx

from lockstep.cli.hosting import address_of, hosting, listen
from lockstep.coordinator.bootstrap import Running, running
from lockstep.coordinator.settings import read_settings
from lockstep.dataservice.catalogue import five_demo_studies
from lockstep.dataservice.sample import make_app as make_data_service
from lockstep.reports.service import make_service as make_reports
from lockstep.taskkit import MemoryStore, Task, TaskService
from tests.patience import PATIENCE_S, until

FIVE = [study["kf_id"] for study in five_demo_studies()]


class Held:
    """A task service that waits to be let go in its staging and its publishing, and may be told to fail in either."""

    def __init__(self, name: str, *, free: bool = False) -> None:
        self.service = TaskService(name, store=MemoryStore(), coordinator_url="")
        self.may_stage, self.may_publish = asyncio.Event(), asyncio.Event()
        self.problem = {"stage": "", "publish": ""}
        self.url = ""
        self._loop = asyncio.get_running_loop()
        if free:
            self.may_stage.set()
            self.may_publish.set()
        self.service.stage(self._stage)
        self.service.publish(self._publish)

    async def _stage(self, task: Task) -> None:
        task.progress(1, of=4)
        await self._wait(self.may_stage)
        self._fail("stage")

    async def _publish(self, _: Task) -> None:
        await self._wait(self.may_publish)
        self._fail("publish")

    async def _wait(self, event: asyncio.Event) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_until(event), self._loop))

    def _fail(self, step: str) -> None:
        if self.problem[step]:
            raise RuntimeError(self.problem[step])


async def _until(event: asyncio.Event) -> None:
    await event.wait()


@dataclass
class House:
    """What runs, and the API for setting things up."""

    coordinator: Running
    api: httpx.AsyncClient
    reports_url: str
    held: dict[str, Held] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.coordinator.url

    async def register(self, name: str, url: str) -> str:
        answer = await self.api.post("/task-services", json={"name": name, "url": url})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["kf_id"])

    async def release(self, name: str = "Winter", *studies: str, **fields: Any) -> str:
        body = {"name": name, "studies": list(studies or FIVE[:2]), **fields}
        answer = await self.api.post("/releases", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["kf_id"])

    async def reaches(self, release_id: str, state: str) -> None:
        async def there() -> bool:
            return bool((await self.api.get(f"/releases/{release_id}")).json()["state"] == state)

        await until(there)


@asynccontextmanager
async def house(folder: Path, *names: str, free: bool = False, registered: bool = True) -> AsyncIterator[House]:
    """Open a system with held services of some names, and the studies synced.

    Args:
        folder: for its files.
        names: of the held services.
        free: they do not wait.
        registered: the services, the reports among them, are registered.
    """
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(hosting())
        places = {name: listen("127.0.0.1", 0) for name in ("data", "reports", *names)}
        settings = read_settings(
            _env_file=None,
            host="127.0.0.1",
            port=0,
            database_url=f"sqlite:///{folder / 'lockstep.db'}",
            dataservice_url=address_of(places["data"]),
            reports_url=address_of(places["reports"]),
            poll_interval=0.05,
            retry_pause=0.05,
        )
        coordinator = await stack.enter_async_context(running(settings))
        api = await stack.enter_async_context(httpx.AsyncClient(base_url=coordinator.url, timeout=PATIENCE_S))
        await servers.start(make_data_service(), places["data"])
        reports = make_reports(
            dataservice_url=settings.dataservice_url, folder=folder / "reports", coordinator_url=coordinator.url
        )
        await servers.start(reports, places["reports"])
        found = House(coordinator, api, settings.reports_url, {name: Held(name, free=free) for name in names})
        for name, held in found.held.items():
            held.url = address_of(places[name])
            await servers.start(held.service, places[name])
        await api.post("/studies/sync")
        if registered:
            await found.register("release reports", settings.reports_url)
            for name, held in found.held.items():
                await found.register(name, held.url)
        try:
            yield found
        finally:
            for held in found.held.values():
                held.may_stage.set()
                held.may_publish.set()


class Cable:
    """A connection to a server that can be cut, go silent and be mended: a relay on a port of its own."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._to = (host, int(port))
        self._whole = self._heard = True
        self._open: set[asyncio.StreamWriter] = set()
        self._lost: set[asyncio.StreamWriter] = set()
        self.swallowed = 0
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> None:
        self._whole = False
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    def swallow(self) -> None:
        """Let nothing arrive and nothing end any more, on what is open and on what is opened before it is mended."""
        self._heard = False
        self._lost |= self._open

    def mend(self) -> None:
        """Let new connections through; what was swallowed stays so."""
        self._whole = self._heard = True

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._whole:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection(*self._to)
        self._open |= {writer, back}
        if not self._heard:
            self._lost |= {writer, back}
            self.swallowed += 1
        await asyncio.gather(self._pour(reader, back), self._pour(there, writer), return_exceptions=True)
        self._open -= {writer, back} - self._lost

    async def _pour(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(65_536):
                if writer not in self._lost:
                    writer.write(piece)
                    await writer.drain()
        finally:
            if writer not in self._lost:
                writer.close()
