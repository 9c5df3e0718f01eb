"""A task service inside another application: the bridge to WSGI under gunicorn, and the lifespan of FastAPI."""

import asyncio
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from fastapi import FastAPI

from lockstep.protocol.states import TaskState
from lockstep.stack.processes import Process, free_ports
from lockstep.taskkit import MemoryStore, StoredTask, Task, TaskService
from lockstep.taskkit.conformance import Options, check
from lockstep.taskkit.wsgi import WsgiService
from tests.coordination import UNHURRIED
from tests.patience import until
from tests.taskkit.conversation import conversation

HERE = Path(__file__).parent


class Gunicorn(Process):
    """A Flask application with the reference inside, served by gunicorn."""

    def __init__(self, folder: Path, *options: str, **variables: str) -> None:
        super().__init__("gunicorn", folder)
        self.url = f"http://127.0.0.1:{self.port}/task-service"
        self._options = options
        self._variables = {"FOLDER": str(folder), **variables}

    def _command(self) -> Sequence[str]:
        where = ["--bind", f"127.0.0.1:{self.port}", "--pythonpath", str(HERE), "--graceful-timeout", "3"]
        return [sys.executable, "-m", "gunicorn", *where, *self._options, "flask_service:app"]

    def _as(self) -> dict[str, Any]:
        return {"cwd": self.folder, "env": {**os.environ, **self._variables}}

    def answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    async def restart(self) -> None:
        await asyncio.to_thread(self.stop)
        await asyncio.to_thread(self.start)


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_a_service_in_flask_reaches_level_3(tmp_path: Path, store: str, request: pytest.FixtureRequest) -> None:
    """In one process with threads on a file, and in two processes on tables that they share."""
    (port,) = free_ports(1)
    options, tasks = ["--threads", "8"], str(tmp_path / "tasks.db")
    if store == "postgres":
        options += ["--workers", "2"]
        tasks = f"{request.getfixturevalue('postgres_url')}?table=flask_tasks&lease_s=6"
    variables = {"LOCKSTEP_TASKS_DB": tasks, "LOCKSTEP_COORDINATOR_URL": f"http://127.0.0.1:{port}"}

    async def scene() -> None:
        with Gunicorn(tmp_path, *options, **variables) as server:
            report = await check(server.url, Options(port=port, restart=server.restart, **UNHURRIED))
            assert (report.level, {name: report.tallies[name].findings for name in report.failed()}) == (3, {})
            async with aiohttp.ClientSession() as web, web.get(server.url.replace("task-service", "hello")) as answer:
                assert (await answer.text()).startswith("hello from ")

    asyncio.run(scene())


def test_a_file_serves_one_process_only(tmp_path: Path) -> None:
    """The second is told to come back, and why; nothing is done twice."""

    async def scene() -> None:
        with Gunicorn(tmp_path, "--workers", "2", LOCKSTEP_TASKS_DB=str(tmp_path / "tasks.db")) as server:
            async with aiohttp.ClientSession() as web:

                async def refused() -> bool:
                    headers = {"Connection": "close"}
                    async with web.get(f"{server.url}/status", headers=headers) as answer:
                        body = await answer.json()
                        if answer.status == 503:
                            assert "another process is working on the tasks" in body["message"]
                            assert int(answer.headers["Retry-After"]) > 0
                        return answer.status == 503

                await until(refused)

    asyncio.run(scene())


def test_the_bridge_begins_goes_on_and_ends() -> None:
    """What was left is taken up at the start, work goes on without requests, and a stop is a stop."""
    store, ran = MemoryStore(), []
    store.add(StoredTask("TA_left", "RE_1", TaskState.RUNNING, attempt=1))
    service = TaskService("bridged", store=store, coordinator_url="", stop_patience_s=5)

    @service.stage
    async def stage(task: Task) -> None:
        ran.append(task.attempt)
        await asyncio.sleep(0 if task.attempt == 3 else 3600)

    bridge = WsgiService(service)
    for attempt in (2, 3):
        bridge.start()
        bridge.start()
        asyncio.run(until(partial(ran.__contains__, attempt)))
        if attempt == 3:
            asyncio.run(until(lambda: store.due() == []))
        bridge.stop()
        bridge.stop()
        assert not service.desk.is_started
    assert ran == [2, 3]
    left = store.get("TA_left")
    assert left is not None
    assert left.state is TaskState.STAGED


def test_a_body_that_ends_before_its_end() -> None:
    """Its sender has left; nobody waits for the rest."""
    bridge = WsgiService(TaskService("left alone", store=MemoryStore(), coordinator_url=""))
    said: list[str] = []
    with (HERE / "conftest.py").open("rb") as body:
        environ = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "1000000", "wsgi.input": body}
        answer = b"".join(bridge(environ, lambda status, *_: said.append(status)))  # type: ignore[arg-type]
    bridge.stop()
    assert (said, answer) == (["400 Bad Request"], b'{"message": "the body ended before its end"}')


def test_fastapi_begins_and_ends_with_the_service(serve: Any) -> None:
    """Mounted, with the service's lifespan as the application's own: work that was left waits for no request."""
    store, ran = MemoryStore(), []
    store.add(StoredTask("TA_left", "RE_1", TaskState.RUNNING, attempt=1))
    service = TaskService("mounted", store=store, coordinator_url="")

    @service.stage
    def stage(task: Task) -> None:
        ran.append(task.attempt)

    app = FastAPI(lifespan=service.lifespan)
    app.mount("/task-service", service)

    async def scene() -> None:
        async with serve(app) as url, conversation(f"{url}/task-service") as talk:
            await until(lambda: ran == [2])
            await talk.bring("TA_1", to="published")
        assert not service.desk.is_started

    asyncio.run(scene())
