"""The real process, killed with SIGKILL at random moments of real releases: every release ends right."""

import signal
import time
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from lockstep.stack.processes import Lockstep
from tests.faults.scene import ROUNDS
from tests.kill.services import RecordingServices
from tests.patience import PATIENCE_S, wait_until

KILLS = min(50, 20 * ROUNDS)
"""So many with every test; all fifty by `make test-faults`."""


class Coordinator(Lockstep):
    """`lockstep serve` as a process that can be killed and started again on the same database."""

    def __init__(self, folder: Path, dataservice_url: str) -> None:
        settings = {
            "LOCKSTEP_PORT": "{port}",
            "LOCKSTEP_DATABASE_URL": f"sqlite:///{folder}/lockstep.db",
            "LOCKSTEP_DATASERVICE_URL": dataservice_url,
            "LOCKSTEP_POLL_INTERVAL": "0.1",
            "LOCKSTEP_RETRY_PAUSE": "0.05",
            "LOCKSTEP_REQUEST_TIMEOUT": "5",
        }
        super().__init__("serve", ["serve"], folder, settings=settings)
        self._client = httpx.Client(base_url=self.url, timeout=PATIENCE_S)

    def call(self, method: str, path: str, **body: Any) -> httpx.Response:
        """Call the API as a patient client does: again while the coordinator is away."""
        return wait_until(lambda: self._call(method, path, **body), lambda: f"it did not come back: {self.said}")

    def _call(self, method: str, path: str, **body: Any) -> httpx.Response | None:
        try:
            return self._client.request(method, path, **body)
        except httpx.TransportError:
            return None

    @property
    def said(self) -> str:
        """The end of what it said."""
        return self.log.read_text()[-3000:]


@pytest.mark.timeout(900)
def test_killed_again_and_again(tmp_path: Path) -> None:
    """Killed in the middle of initialize, start, publish and cancel, it goes on, and sends nothing twice unasked."""
    random = Random(20)
    data_service = Lockstep("data service", ["dataservice", "--port", "{port}"], tmp_path)
    coordinator = Coordinator(tmp_path, data_service.url)
    with data_service, RecordingServices(4, coordinator.url) as services:
        coordinator.launch()
        try:
            for url in services.urls:
                assert coordinator.call("POST", "/task-services", json=_service(url)).status_code == 201
            assert coordinator.call("POST", "/studies/sync").status_code == 200
            ends: dict[str, str] = {}
            kills = 0
            while kills < KILLS:
                kills += _one_release(coordinator, random, ends)
            states = {release: coordinator.call("GET", f"/releases/{release}").json()["state"] for release in ends}
            assert ends == states, coordinator.said
            _check_log(coordinator, services, list(ends))
        finally:
            coordinator.stop(signal.SIGKILL)


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
    wait_until(lambda: _state(coordinator, release) == "staged", lambda: _story(coordinator, release))
    if canceled:
        assert coordinator.call("DELETE", f"/releases/{release}").status_code == 200
    else:
        answer = coordinator.call("POST", f"/releases/{release}/publish")
        assert answer.status_code == 200, answer.text
    _kill_and_restart(coordinator, random)
    wait_until(lambda: _state(coordinator, release) == ends[release], lambda: _story(coordinator, release))
    return 2


def _kill_and_restart(coordinator: Coordinator, random: Random) -> None:
    time.sleep(random.uniform(0, 0.25))  # the moment is what is being tried
    assert coordinator.ended is None, coordinator.said
    coordinator.stop(signal.SIGKILL)
    coordinator.launch()


def _state(coordinator: Coordinator, release: str) -> str:
    return str(coordinator.call("GET", f"/releases/{release}").json()["state"])


def _story(coordinator: Coordinator, release: str) -> str:
    events = coordinator.call("GET", f"/events?release={release}&limit=100").json()["results"]
    return "\n".join(event["message"] for event in reversed(events)) + coordinator.said


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
