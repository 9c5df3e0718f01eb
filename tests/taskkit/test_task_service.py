"""How a service is put together and hosted: settings, further addresses, an application around it, a restart."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

import lockstep.taskkit
from lockstep.protocol.states import TaskState
from lockstep.taskkit import MemoryStore, StoredTask, Task, TaskService
from tests.patience import until
from tests.taskkit.conversation import conversation

DEFAULTS = """
import os
from lockstep.taskkit import SqliteStore, Task, TaskService

service = TaskService("My Example: task")

@service.stage
def stage(task: Task) -> None: ...

assert isinstance(service.desk.store, SqliteStore)
print(service.desk.store.path, service.desk._coordinator and service.desk._coordinator._url)
print(*os.listdir("."))
service.desk.start()
print(service.desk.store.path.exists())
"""

NAMED_FILE = {"LOCKSTEP_TASKS_DB": "kept/here.db"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"COORDINATOR_API": ""}, "my-example-task.db None"),
        ({"COORDINATOR_URL": "http://c"}, "my-example-task.db http://c"),
        ({"COORDINATOR_API": "http://b", "COORDINATOR_URL": "http://c"}, "my-example-task.db http://b"),
        (
            {"LOCKSTEP_COORDINATOR_URL": "http://a/", "COORDINATOR_API": "http://b"} | NAMED_FILE,
            "kept/here.db http://a",
        ),
    ],
)
def test_defaults_come_from_the_environment(tmp_path: Path, settings: dict[str, str], expected: str) -> None:
    """Where a service names neither coordinator nor store, the environment does; no file is made before the start."""
    ran = subprocess.run([sys.executable, "-c", DEFAULTS], cwd=tmp_path, env=settings, capture_output=True, check=True)
    assert ran.stdout.decode().splitlines() == [expected, "", "True"]


def test_public_names() -> None:
    """What a service may import from the kit is what is promised, and all of it has a docstring."""
    promised = {"CoordinatorError", "Identity", "MemoryStore", "SqliteStore", "StoreUnavailable", "StoredTask"}
    promised |= {"Task", "TaskCanceled", "TaskFailed", "TaskService", "TaskStore", "store_at"}
    assert set(lockstep.taskkit.__all__) == promised
    assert [name for name in promised if not getattr(lockstep.taskkit, name).__doc__] == []


def test_the_kit_needs_nothing_of_the_coordinator() -> None:
    """With the kit imported, no module of the coordinator is, nor any package that only it needs."""
    script = "import sys, lockstep.taskkit, lockstep.reference; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    loaded = {name for name in ran.stdout.decode().split() if name.startswith("lockstep.")}
    assert not {name for name in loaded if name.startswith("lockstep.coordinator")}
    assert not {"fastapi", "sqlalchemy", "pydantic", "httpx", "structlog"} & set(ran.stdout.decode().split())


def test_further_addresses(serve: Any) -> None:
    """A service adds its own addresses and middleware; its errors have the shape of the kit's."""

    async def report(request: Request) -> JSONResponse:
        if request.path_params["release"] != "RE_1":
            raise HTTPException(404, "could not find a report for this release")
        return JSONResponse({"release": "RE_1"})

    service = TaskService(
        "reporting",
        version="1.4.0",
        store=MemoryStore(),
        coordinator_url="",
        routes=[Route("/reports/{release}", report)],
        middleware=[Middleware(CORSMiddleware, allow_origins=["*"])],
    )

    async def scene() -> None:
        async with serve(service) as url, conversation(url) as talk:
            async with talk.web.get(f"{url}/reports/RE_1", headers={"Origin": "http://x.test"}) as answer:
                assert await answer.json() == {"release": "RE_1"}
                assert answer.headers["Access-Control-Allow-Origin"] == "*"
            async with talk.web.get(f"{url}/reports/RE_2") as answer:
                body = await answer.json()
                assert (answer.status, body) == (404, {"message": "could not find a report for this release"})
            await talk.bring("TA_1", to="published")

    asyncio.run(scene())


def test_a_service_mounted_in_another_application(serve: Any) -> None:
    """Where the host runs no lifespan for it, the service starts with the first request, and takes up what was left."""
    store, ran = MemoryStore(), []
    store.add(StoredTask("TA_left", "RE_00000001", TaskState.RUNNING, attempt=1))
    service = TaskService("mounted", store=store, coordinator_url="")

    @service.stage
    def stage(task: Task) -> None:
        ran.append((task.id, task.attempt))

    async def scene() -> None:
        host = Starlette(routes=[Mount("/tasks-of-mine", service)])
        async with serve(host) as url, conversation(f"{url}/tasks-of-mine") as talk:
            async with talk.web.get(f"{talk.url}/status") as answer:
                assert (await answer.json())["name"] == "mounted"
            await talk.until("staged", "TA_left")
            await asyncio.gather(*(talk.bring(f"TA_{number}", to="published") for number in range(5)))
        await asyncio.to_thread(service.desk.stop)

    asyncio.run(scene())
    assert ran[0] == ("TA_left", 2)
    assert len(ran) == 6


def test_a_service_can_be_started_again(serve: Any) -> None:
    """A service that was stopped in the middle of its work takes it up when it is started again, threads and all."""
    service = TaskService("again", store=MemoryStore(), coordinator_url="", stop_patience_s=0.05)
    ran: list[int] = []
    let_go: list[bool] = []

    @service.stage
    def stage(task: Task) -> None:
        ran.append(task.attempt)
        while task.attempt < 3 or not let_go:
            task.check()

    async def scene() -> None:
        async with serve(service) as url, conversation(url) as talk:
            await talk.bring("TA_1", to="running")
            await until(lambda: ran == [1])
        async with serve(service) as url, conversation(url) as talk:
            await until(lambda: ran == [1, 2])
            assert (await talk.ask("get_status", "TA_1"))[1]["state"] == "running"
        async with serve(service) as url, conversation(url) as talk:
            let_go.append(True)
            await talk.until("staged", "TA_1")
        assert ran == [1, 2, 3]

    asyncio.run(scene())


def test_work_that_outlives_a_stop_does_not_count_twice(serve: Any) -> None:
    """A function that does not hear the stop ends after the restart: its end is not the end of the second run."""
    service, ran, let_go = TaskService("deaf", store=MemoryStore(), coordinator_url="", stop_patience_s=0.05), [], []

    @service.stage
    async def stage(task: Task) -> None:
        ran.append(task.attempt)
        while task.attempt not in let_go:
            pass

    async def scene() -> None:
        async with serve(service) as url, conversation(url) as talk:
            await talk.bring("TA_1", to="running")
            await until(lambda: ran == [1])
        async with serve(service) as url, conversation(url) as talk:
            let_go.append(1)
            await until(lambda: ran == [1, 2])
            assert (await talk.ask("get_status", "TA_1"))[1]["state"] == "running"
            let_go.append(2)
            await talk.until("staged", "TA_1")
        assert ran == [1, 2]

    asyncio.run(scene())
