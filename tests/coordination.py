"""What tests of task services share: somebody who plays the coordinator, and a real process that can be killed."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lockstep.stack.processes import Lockstep
from lockstep.taskkit.conformance import Options, Report, check
from tests.patience import PATIENCE_S, until

TASK, RELEASE = "TA_00000001", "RE_00000001"

UNHURRIED: Final[dict[str, Any]] = {
    "patience_s": PATIENCE_S,
    "retell_s": PATIENCE_S,
    "answer_limit_s": 30.0,
    "at_once_s": 20.0,
    "limit_s": 240.0,
}
"""The patience of a check on a machine that is busy with other tests, where a good service may be slow."""


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

        found: dict[str, Any] = await until(there)
        return found

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        async with self._web.get(self.url + path, headers=headers) as answer:
            return answer.status, await answer.json()


@asynccontextmanager
async def spoken_to(url: str) -> AsyncIterator[TaskServiceSpokenTo]:
    async with aiohttp.ClientSession() as web:
        yield TaskServiceSpokenTo(web, url)


class Killable:
    """A task service in a process of its own, which a command starts, and starts anew after a kill.

    Args:
        command: returns the command for a port, which stands in the variable `PORT` too.
        folder: where it runs, and where its log is written.
        variables: what it has in its environment besides.
    """

    def __init__(self, command: Callable[[int], Sequence[str]], folder: Path, **variables: str) -> None:
        self._process = _Commanded("service", [], folder, settings={"PORT": "{port}", **variables})
        self._process.command = command(self._process.port)
        self.url = self._process.url

    async def start(self) -> None:
        await asyncio.to_thread(self._process.start)

    async def kill(self) -> None:
        """End the process as a power cut would."""
        await asyncio.to_thread(self._process.stop, signal.SIGKILL)

    async def restart(self) -> None:
        await self.kill()
        await self.start()

    def checked(self, port: int, **options: Any) -> Report:
        """Run it, and check it from a coordinator that is played at a port."""

        async def scene() -> Report:
            await self.start()
            try:
                return await check(self.url, Options(port=port, **UNHURRIED, **options))
            finally:
                await self.kill()

        return asyncio.run(scene())


class _Commanded(Lockstep):
    command: Sequence[str] = ()

    def _command(self) -> Sequence[str]:
        return self.command


@asynccontextmanager
async def killable(module: str, where: Path, /, **arguments: Any) -> AsyncIterator[Killable]:
    """`run(port=…, **arguments)` of a module, as a process that runs in a folder."""
    process = Killable(
        lambda port: [sys.executable, "-c", f"from {module} import run; run(port={port}, **{arguments!r})"], where
    )
    try:
        await process.start()
        yield process
    finally:
        await process.kill()
