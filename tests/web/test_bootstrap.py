"""The composition root: a whole coordinator on SQLite starts, works, and stops."""

import asyncio
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from lockstep.coordinator.bootstrap import Running, running
from lockstep.coordinator.listening import CannotStart
from lockstep.coordinator.process import serve
from lockstep.coordinator.settings import Settings, read_settings
from lockstep.dataservice.sample import make_app as make_data_service
from tests.conftest import Serve
from tests.faces import status_app
from tests.patience import PATIENCE_S

STUDY = "SD_BHJXBDQK"
STOPS_S = 20
"""How long it may take to stop on a busy machine; somebody who watches would watch for good."""


def _settings(folder: Path, **chosen: Any) -> Settings:
    return read_settings(port=0, database_url=f"sqlite:///{folder}/lockstep.db", **chosen)


def _asking(coordinator: Running) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=coordinator.url, timeout=PATIENCE_S)


async def _reach(web: httpx.AsyncClient, path: str, **wanted: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            shown: dict[str, Any] = (await web.get(path)).json()
            if wanted == {name: shown[name] for name in wanted}:
                return shown
            await asyncio.sleep(0.01)


@pytest.mark.rule("C3")
def test_a_release_without_services_goes_all_the_way(serve: Serve, tmp_path: Path) -> None:
    """The studies come from the data service by themselves, and what was published is there after a restart."""

    async def go() -> None:
        async with serve(make_data_service()) as data_url:
            settings = _settings(tmp_path, dataservice_url=data_url)
            async with (
                running(settings) as coordinator,
                _asking(coordinator) as web,
            ):
                made = await web.post("/releases", json={"name": "Winter", "studies": [STUDY]})
                assert made.status_code == 201, made.text
                path = f"/releases/{made.json()['kf_id']}"
                await _reach(web, path, state="staged")
                await web.post(f"{path}/publish")
                published = await _reach(web, path, state="published")
                assert (await web.get("/status")).json()["message"] == "Ready."
            async with (
                running(settings) as coordinator,
                _asking(coordinator) as web,
            ):
                after = (await web.get(path)).json()
                assert (after["state"], after["version"]) == ("published", published["version"])

    asyncio.run(go())


def test_it_stops_at_once_although_somebody_watches(serve: Serve, tmp_path: Path) -> None:
    async def go() -> None:
        async with serve(make_data_service()) as data_url, httpx.AsyncClient(timeout=PATIENCE_S) as web:
            async with running(_settings(tmp_path, dataservice_url=data_url)) as coordinator:
                body = {"name": "Winter", "studies": [STUDY]}
                release_id = (await web.post(f"{coordinator.url}/releases", json=body)).json()["kf_id"]
                watching = web.stream("GET", f"{coordinator.url}/releases/{release_id}/events/stream")
                answer = await watching.__aenter__()
                lines = answer.aiter_lines()
                assert await anext(lines) == "event: release"
                begun = time.monotonic()
            assert time.monotonic() - begun < STOPS_S
            assert "event: end" not in [line async for line in lines]
            await watching.__aexit__(None, None, None)
            with pytest.raises(httpx.ConnectError):
                await web.get(coordinator.url)

    asyncio.run(go())


def test_it_looks_after_the_health_of_its_services(serve: Serve, tmp_path: Path) -> None:
    async def go() -> None:
        async with (
            running(_settings(tmp_path, health_interval=0.05)) as coordinator,
            _asking(coordinator) as web,
        ):
            async with serve(status_app({"name": "task"})) as url:
                made = await web.post("/task-services", json={"name": "task", "url": url})
            await _reach(web, f"/task-services/{made.json()['kf_id']}", health_status="down")

    asyncio.run(go())


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    async def go() -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            settings = read_settings(port=port, database_url=f"sqlite:///{tmp_path}/lockstep.db")
            with pytest.raises(CannotStart) as caught:
                async with running(settings):
                    pass
            expected = f"Port {port} of 127.0.0.1 is taken by another program: end that one, or set LOCKSTEP_PORT"
            assert str(caught.value).startswith(expected)

    asyncio.run(go())


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"host": "198.51.100.7", "insecure": True}, "cannot be served on"),
        ({"host": "no such host", "insecure": True}, "LOCKSTEP_HOST is 'no such host', which is no address"),
        ({"database_url": "sqlite:////no/such/folder/lockstep.db"}, "folder"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path: Path, chosen: dict[str, Any], sentence: str) -> None:
    async def go() -> None:
        settings = read_settings(**{"port": 0, "database_url": f"sqlite:///{tmp_path}/lockstep.db", **chosen})
        with pytest.raises(CannotStart) as caught:
            async with running(settings):
                pass
        assert sentence in str(caught.value)
        assert "\n" not in str(caught.value)

    asyncio.run(go())


def test_two_coordinators_do_not_share_a_database(tmp_path: Path) -> None:
    async def go() -> None:
        async with running(_settings(tmp_path)) as first:
            with pytest.raises(CannotStart, match="is at work on the database"):
                async with running(_settings(tmp_path)):
                    pass
            async with httpx.AsyncClient() as web:
                assert (await web.get(f"{first.url}/status")).status_code == 200

    asyncio.run(go())


def test_serving_ends_when_the_process_is_asked_to_end(tmp_path: Path) -> None:
    async def go() -> None:
        ready: list[Running] = []

        def end(coordinator: Running) -> None:
            ready.append(coordinator)
            os.kill(os.getpid(), signal.SIGTERM)

        async with asyncio.timeout(PATIENCE_S):
            await serve(_settings(tmp_path), end)
        assert ready[0].url.startswith("http://127.0.0.1:")

    asyncio.run(go())


@pytest.mark.parametrize(("host", "warnings"), [("0.0.0.0", ["no_identity"]), ("127.0.0.1", [])])
def test_serving_others_without_identity_is_said_at_every_start(tmp_path: Path, host: str, warnings: list[str]) -> None:
    async def go() -> None:
        with capture_logs() as logs:
            async with running(_settings(tmp_path, host=host, insecure=True)):
                pass
        assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == warnings

    asyncio.run(go())


@pytest.mark.parametrize("insecure", [False, True])
@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost", True),
        ("LOCALHOST:5000", True),
        ("127.0.0.1:5000", True),
        ("[::1]:5000", True),
        ("192.168.1.7", True),
        ("evil.example", False),
        ("evil.example:5000", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("evil-localhost", False),
        ("", False),
        ("[evil.example]", False),
    ],
)
def test_a_page_that_borrows_this_machine_for_its_name_is_told_nothing(
    tmp_path: Path, host: str, own: bool, insecure: bool
) -> None:
    """What it asks is of its own origin, as browsers see it, so that neither reading nor writing would be refused."""

    async def go() -> None:
        async with running(_settings(tmp_path, insecure=insecure)) as c, httpx.AsyncClient(base_url=c.url) as web:
            headers = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
            answers = [await web.request(method, "/releases", headers=headers) for method in ("GET", "POST", "OPTIONS")]
            refused = [answer.status_code == 400 and "names of its own machine" in answer.text for answer in answers]
            assert refused == [not own and not insecure] * 3

    asyncio.run(go())
