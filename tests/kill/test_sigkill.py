"""The real process, killed with SIGKILL at fifty random moments of real releases: every release ends right."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from tests.kill.services import RecordingServices

KILLS = 50
PATIENCE_S = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Coordinator:
    """`lockstep serve` as a process that can be killed and started again on the same database."""

    def __init__(self, folder: Path, port: int, dataservice_url: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.env = {
            **os.environ,
            "LOCKSTEP_PORT": str(port),
            "LOCKSTEP_DATABASE_URL": f"sqlite:///{folder}/lockstep.db",
            "LOCKSTEP_DATASERVICE_URL": dataservice_url,
            "LOCKSTEP_POLL_INTERVAL": "0.1",
            "LOCKSTEP_RETRY_PAUSE": "0.05",
            "LOCKSTEP_REQUEST_TIMEOUT": "5",
        }
        self.log = folder / "serve.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lockstep", "serve"], env=self.env, stdout=log, stderr=log
            )

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        assert self.process.wait(10) == -signal.SIGKILL

    def call(self, method: str, path: str, **body: Any) -> httpx.Response:
        """Call the API as a patient client does: again while the coordinator is away."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                return httpx.request(method, self.url + path, timeout=10, **body)
            except httpx.TransportError:
                assert time.monotonic() < until, f"the coordinator did not come back:\n{self.log.read_text()[-3000:]}"
                time.sleep(0.02)


@contextmanager
def data_service() -> Iterator[str]:
    """The sample data service as a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "lockstep", "dataservice", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + PATIENCE_S
            while True:
                try:
                    httpx.get(f"http://127.0.0.1:{port}/status")
                    break
                except httpx.TransportError:
                    assert time.monotonic() < until, "the data service did not start"
                    time.sleep(0.02)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_for(what: Callable[[], Any], complaint: Callable[[], str]) -> Any:
    until = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert time.monotonic() < until, complaint()
        time.sleep(0.01)
    return found


@pytest.mark.timeout(400)
def test_fifty_kills(tmp_path: Path) -> None:
    """Killed in the middle of initialize, start, publish and cancel, it goes on, and sends nothing twice unasked."""
    random = Random(20)
    port = free_port()
    with data_service() as data_url, RecordingServices(4, f"http://127.0.0.1:{port}") as services:
        coordinator = Coordinator(tmp_path, port, data_url)
        coordinator.start()
        try:
            for url in services.urls:
                assert coordinator.call("POST", "/task-services", json=_service(url)).status_code == 201
            assert coordinator.call("POST", "/studies/sync").status_code == 200
            ends: dict[str, str] = {}
            kills = 0
            while kills < KILLS:
                kills += _one_release(coordinator, random, ends)
            states = {release: coordinator.call("GET", f"/releases/{release}").json()["state"] for release in ends}
            assert ends == states, coordinator.log.read_text()[-3000:]
            _check_log(coordinator, services, list(ends))
        finally:
            coordinator.kill()


def _service(url: str) -> dict[str, str]:
    return {"name": "recording", "description": "writes down what it is told", "url": url, "author": "tests"}


def _one_release(coordinator: Coordinator, random: Random, ends: dict[str, str]) -> int:
    """Take a release to its end with a kill in each of its phases; return how many kills there were."""
    body = {"name": "killed", "studies": ["SD_BHJXBDQK"], "author": "tests"}
    answer = coordinator.call("POST", "/releases", json=body)
    assert answer.status_code == 201, answer.text
    release = answer.json()["kf_id"]
    canceled = random.random() < 0.25
    ends[release] = "canceled" if canceled else "published"
    _kill_and_restart(coordinator, random)
    wait_for(lambda: _state(coordinator, release) == "staged", lambda: _story(coordinator, release))
    if canceled:
        assert coordinator.call("DELETE", f"/releases/{release}").status_code == 200
    else:
        answer = coordinator.call("POST", f"/releases/{release}/publish")
        assert answer.status_code == 200, answer.text
    _kill_and_restart(coordinator, random)
    wait_for(lambda: _state(coordinator, release) == ends[release], lambda: _story(coordinator, release))
    return 2


def _kill_and_restart(coordinator: Coordinator, random: Random) -> None:
    time.sleep(random.uniform(0, 0.25))  # the moment is what is being tried
    coordinator.kill()
    coordinator.start()


def _state(coordinator: Coordinator, release: str) -> str:
    return str(coordinator.call("GET", f"/releases/{release}").json()["state"])


def _story(coordinator: Coordinator, release: str) -> str:
    events = coordinator.call("GET", f"/events?release={release}&limit=100").json()["results"]
    return "\n".join(event["message"] for event in reversed(events)) + coordinator.log.read_text()[-3000:]


def _check_log(coordinator: Coordinator, services: RecordingServices, releases: list[str]) -> None:
    """Every service took each action once, or was asked for its status before it was told again."""
    tasks = 0
    for release in releases:
        for task in coordinator.call("GET", f"/releases/{release}").json()["tasks"]:
            log = services.log[task["kf_id"]]
            tasks += 1
            for action in ("initialize", "start", "publish"):
                places = [place for place, told in enumerate(log) if told == action]
                for first, second in pairwise(places):
                    assert "get_status" in log[first:second], f"{action} twice without asking: {log}"
    assert tasks == 4 * len(releases)
