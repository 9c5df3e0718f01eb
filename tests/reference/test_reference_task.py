"""The reference task service: what is staged is out of sight, what is published is all there, the rest is gone."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import lockstep.reference
from lockstep.protocol.states import TaskState
from lockstep.reference import make_service
from lockstep.taskkit import MemoryStore, TaskService
from lockstep.taskkit.testing import Treatment, rehearsal
from tests.patience import PATIENCE_S

STUDIES = ["SD_BHJXBDQK", "SD_9PYZAHHE"]
Ask = Callable[..., Coroutine[Any, Any, dict[str, Any]]]
Scene = Callable[[Ask, str], Coroutine[Any, Any, None]]


async def study(request: Request) -> JSONResponse:
    if request.path_params["study"] not in STUDIES:
        return JSONResponse({"_status": {"code": 404}}, 404)
    return JSONResponse({"results": {"kf_id": request.path_params["study"]}})


def play(serve: Any, service: TaskService, scene: Scene) -> None:
    """Play a scene with the service and a data service beside it, both for real."""

    async def whole() -> None:
        async with (
            serve(Starlette(routes=[Route("/studies/{study}", study)])) as data,
            serve(service) as url,
            aiohttp.ClientSession() as web,
        ):

            async def ask(action: str, until: str | None = None, **fields: Any) -> dict[str, Any]:
                body = {"action": action, "task_id": "TA_1", "release_id": "RE_1", **fields}
                end = time.monotonic() + PATIENCE_S
                while True:
                    async with web.post(f"{url}/tasks", json=body) as answer:
                        said: dict[str, Any] = await answer.json()
                    if said.get("state") == (until or said.get("state")):
                        return said
                    assert time.monotonic() < end, said
                    await asyncio.sleep(0.005)

            await scene(ask, data)

    asyncio.run(whole())


def release(data: str, *more: str) -> dict[str, list[str]]:
    return {"studies": [*STUDIES, *more], "urls": [f"{data}/studies/{study}" for study in (*STUDIES, *more)]}


async def cleaned_up(store: MemoryStore) -> None:
    """Wait until no function is due any more."""
    end = time.monotonic() + PATIENCE_S
    while store.due():
        assert time.monotonic() < end, store.due()
        await asyncio.sleep(0.005)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.json"))


def test_a_release_is_staged_aside_and_published_as_a_whole(tmp_path: Path) -> None:
    """Every study's record is fetched, kept out of sight until the release is published, and then all in its place."""
    with rehearsal(lambda coordinator: make_service(tmp_path, coordinator_url=coordinator)) as release:
        records = [f"{study}.json" for study in sorted(release.studies)]
        assert release.stage()["progress"] == 100
        assert files(tmp_path) == [f"staged/{release.task_id}/{record}" for record in records]
        release.publish()
        assert files(tmp_path) == [f"public/{release.id}/{record}" for record in records]
        record = json.loads((tmp_path / "public" / release.id / records[0]).read_text())
        assert record["results"]["kf_id"] == min(release.studies)
        release.ask("cancel")
        assert len(files(tmp_path / "public")) == 2


def test_it_goes_on_after_everything(tmp_path: Path) -> None:
    """Reports are lost, and it is restarted in the middle of staging and before publishing."""
    with rehearsal(lambda coordinator: make_service(tmp_path, coordinator_url=coordinator)) as release:
        release.treat_reports(Treatment.LOST)
        with release.held_data():
            release.start()
            release.restart()
        release.until("staged")
        release.restart()
        release.publish()
        assert len(files(tmp_path / "public" / release.id)) == 2


def test_a_cancel_discards_what_was_staged(tmp_path: Path) -> None:
    """After a cancel nothing of the release is left."""
    store = MemoryStore()
    with rehearsal(lambda coordinator: make_service(tmp_path, store=store, coordinator_url=coordinator)) as release:
        release.stage()
        assert len(files(tmp_path)) == 2
        assert release.cancel()["state"] == "canceled"
        asyncio.run(cleaned_up(store))
    assert list(tmp_path.rglob(release.task_id)) == []


def test_a_publishing_that_was_cut_off_is_done_once(serve: Any, tmp_path: Path) -> None:
    """A kill between the move and its record: publishing runs again and finds it done."""
    store = MemoryStore()

    async def first(ask: Ask, data: str) -> None:
        await ask("initialize", **release(data))
        await ask("start")
        await ask("get_status", until="staged")
        await ask("publish")
        await ask("get_status", until="published")

    async def second(ask: Ask, data: str) -> None:
        assert data
        await ask("get_status", until="published")

    play(serve, make_service(tmp_path, store=store, coordinator_url=""), first)
    task = store.get("TA_1")
    assert task is not None
    assert store.replace(task, replace(task, state=TaskState.PUBLISHING))
    play(serve, make_service(tmp_path, store=store, coordinator_url=""), second)
    assert len(files(tmp_path / "public" / "RE_1")) == 2


def test_a_study_that_cannot_be_fetched_fails_the_task(serve: Any, tmp_path: Path) -> None:
    """The task's error names the study, its address and what was wrong with it, and nothing half done stays."""
    store = MemoryStore()

    async def scene(ask: Ask, data: str) -> None:
        await ask("initialize", **release(data, "SD_UNKNOWN0"))
        await ask("start")
        failed = await ask("get_status", until="failed")
        url = f"{data}/studies/SD_UNKNOWN0"
        assert failed["error"] == f"study SD_UNKNOWN0 could not be fetched from {url}: HTTP 404"
        assert failed["progress"] == 66
        await cleaned_up(store)

    play(serve, make_service(tmp_path, store=store, coordinator_url=""), scene)
    assert list(tmp_path.rglob("TA_1")) == []


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"studies": ["SD_1"], "urls": ["http://127.0.0.1:9/studies/SD_1"]},
            "study SD_1 could not be fetched from http://127.0.0.1:9/studies/SD_1: Cannot connect to host 127.0.0.1:9",
        ),
        ({"studies": ["SD_1"], "urls": ["no address"]}, "study SD_1 could not be fetched from no address: "),
        ({"studies": ["SD_1"]}, "the coordinator did not say where the studies can be fetched"),
    ],
    ids=["nobody there", "no address", "no addresses"],
)
def test_addresses_that_lead_nowhere(serve: Any, tmp_path: Path, fields: dict[str, Any], sentence: str) -> None:
    """A data service that is down, a wrong address, no address: a sentence each."""

    async def scene(ask: Ask, data: str) -> None:
        assert data
        await ask("initialize", **fields)
        await ask("start")
        assert (await ask("get_status", until="failed"))["error"].startswith(sentence)

    play(serve, make_service(tmp_path, store=MemoryStore(), coordinator_url=""), scene)


def test_a_release_without_studies(serve: Any, tmp_path: Path) -> None:
    """Nothing to fetch is nothing to complain about: the release's folder is there, and empty."""

    async def scene(ask: Ask, data: str) -> None:
        assert data
        await ask("initialize")
        await ask("start")
        await ask("get_status", until="staged")
        await ask("publish")
        await ask("get_status", until="published")

    play(serve, make_service(tmp_path, coordinator_url=""), scene)
    assert list((tmp_path / "public").iterdir()) == [tmp_path / "public" / "RE_1"]


def test_it_runs_by_itself(tmp_path: Path) -> None:
    """`run` serves until it is told to stop, and leaves in good order."""
    script = "from pathlib import Path; from lockstep.reference import run; run('127.0.0.1', 0, Path('new'))"
    process = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert any("running on http://127.0.0.1:" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        process.wait(10)
    finally:
        process.kill()
        process.wait()
    assert "Application shutdown complete." in rest
    assert "Traceback" not in rest
    assert (tmp_path / "new" / "tasks.db").exists()


def test_it_is_short_enough_to_be_read() -> None:
    """The tutorial quotes the whole module: it stays under sixty lines."""
    assert len(Path(lockstep.reference.__file__).read_text().splitlines()) < 60
