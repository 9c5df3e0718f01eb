"""What tests of task services share: somebody who plays the coordinator, and a real process that can be killed."""

import asyncio
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

TASK, RELEASE = "TA_00000001", "RE_00000001"
DEADLINE_S = 15.0


class PlayedCoordinator:
    """Shows a release with a version, takes callbacks, and asks a task service for actions."""

    def __init__(self) -> None:
        self.url = ""
        self.version: object = "0.0.7"
        self.progress: list[int] = []
        self.open = asyncio.Event()
        self.open.set()
        self.asked_for_release = asyncio.Event()
        self.app = Starlette(
            routes=[
                Route("/releases/{release_id}", self._release),
                Route("/tasks/{task_id}", self._callback, methods=["PATCH"]),
            ]
        )

    async def _release(self, request: Request) -> Response:
        self.asked_for_release.set()
        await self.open.wait()
        return JSONResponse({"kf_id": request.path_params["release_id"], "version": self.version})

    async def _callback(self, request: Request) -> Response:
        body = await request.json()
        self.progress.append(body["progress"])
        return JSONResponse(body)


class TaskServiceSpokenTo:
    """A task service at an address, asked for actions as a coordinator asks."""

    def __init__(self, web: aiohttp.ClientSession, url: str) -> None:
        self._web = web
        self.url = url

    async def ask(self, action: str, task: str = TASK, release: str = RELEASE, **fields: Any) -> dict[str, Any]:
        body = {"action": action, "task_id": task, "release_id": release, **fields}
        async with self._web.post(f"{self.url}/tasks", json=body) as answer:
            return {"status": answer.status, **await answer.json()}

    async def start(self, *studies: str, task: str = TASK, release: str = RELEASE) -> None:
        await self.ask("initialize", task, release, studies=studies)
        await self.ask("start", task, release, studies=studies)

    async def until(self, state: str, task: str = TASK, release: str = RELEASE) -> dict[str, Any]:
        """Wait until a task is in a state; any other end of it is an error."""

        async def there() -> dict[str, Any] | None:
            body = await self.ask("get_status", task, release)
            over = {"failed", "canceled", "published"}
            assert body.get("state") == state or body.get("state") not in over, body
            return body if body.get("state") == state else None

        return await until(there)

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        async with self._web.get(self.url + path, headers=headers) as answer:
            return answer.status, await answer.json()


@asynccontextmanager
async def spoken_to(url: str) -> AsyncIterator[TaskServiceSpokenTo]:
    async with aiohttp.ClientSession() as web:
        yield TaskServiceSpokenTo(web, url)


async def until(condition: Callable[[], Any]) -> Any:
    """Wait until a condition gives something true, and return that."""
    end = time.monotonic() + DEADLINE_S
    while True:
        found = condition()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        assert time.monotonic() < end, f"nothing came of it within {DEADLINE_S:g} s"
        await asyncio.sleep(0.01)


class Killable:
    """A task service in a process of its own: `run(port=…, **arguments)` of a module."""

    def __init__(self, module: str, **arguments: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._code = f"from {module} import run; run(port={port}, **{arguments!r})"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(sys.executable, "-c", self._code)
        async with aiohttp.ClientSession() as web:

            async def answers() -> bool:
                try:
                    async with web.get(f"{self.url}/status") as answer:
                        return answer.status == 200
                except aiohttp.ClientError:
                    return False

            await until(answers)

    async def kill(self) -> None:
        """End the process as a power cut would."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()


@asynccontextmanager
async def killable(module: str, **arguments: Any) -> AsyncIterator[Killable]:
    process = Killable(module, **arguments)
    await process.start()
    try:
        yield process
    finally:
        await process.kill()
