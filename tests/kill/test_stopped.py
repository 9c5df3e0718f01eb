"""A coordinator stopped in an orderly way, in the moment of anything: it ends, and the next one goes on from there.

The moments are counted, not timed: so many announcements after the work began, and so many turns of the event loop
after that. Most of what can be lost by being stopped is lost in the turns after something has just happened.
"""

import asyncio
from pathlib import Path
from random import Random

import httpx

from lockstep.coordinator.bootstrap import Running, running
from lockstep.coordinator.settings import read_settings
from lockstep.dataservice.sample import make_app as make_data_service
from lockstep.stack.processes import free_ports
from tests.conftest import Serve
from tests.faults.scene import ROUNDS
from tests.kill.services import RecordingServices
from tests.patience import PATIENCE_S, until

STOPS = 10 * ROUNDS
MOST_ANNOUNCEMENTS, MOST_TURNS = 5, 6


def test_stopped_again_and_again(serve: Serve, tmp_path: Path) -> None:
    async def go() -> None:
        random = Random(7)
        (port,) = free_ports(1)
        async with serve(make_data_service()) as data_url:
            settings = read_settings(
                port=port,
                database_url=f"sqlite:///{tmp_path}/lockstep.db",
                dataservice_url=data_url,
                poll_interval=0.05,
                retry_pause=0.05,
            )
            releases: dict[str, bool] = {}
            with RecordingServices(2, f"http://127.0.0.1:{port}") as services:
                for _ in range(STOPS):
                    async with asyncio.timeout(PATIENCE_S), running(settings) as coordinator:
                        with coordinator.desk.feed.subscribe(None) as heard:
                            await _begin(coordinator, services.urls, releases, random)
                            for _ in range(random.randint(0, MOST_ANNOUNCEMENTS)):
                                await heard.wait(PATIENCE_S)
                        for _ in range(random.randint(0, MOST_TURNS)):
                            await asyncio.sleep(0)
                async with running(settings) as coordinator, _asking(coordinator) as api:
                    for release_id, asked in releases.items():
                        if not asked:
                            await _reaches(api, release_id, "staged")
                            assert (await api.post(f"/releases/{release_id}/publish")).status_code == 200
                        await _reaches(api, release_id, "published")

    asyncio.run(go())


async def _begin(coordinator: Running, urls: list[str], releases: dict[str, bool], random: Random) -> None:
    """Make a release, and publish those that are staged by now; a release is true once that was asked for."""
    async with _asking(coordinator) as api:
        if not releases:
            assert (await api.post("/studies/sync")).status_code == 200
            for url in urls:
                body = {"name": "recording", "url": url, "author": "tests"}
                assert (await api.post("/task-services", json=body)).status_code == 201
        for release_id, asked in releases.items():
            if not asked and await _is(api, release_id, "staged"):
                releases[release_id] = (await api.post(f"/releases/{release_id}/publish")).status_code == 200
        study = random.choice((await api.get("/studies?limit=100")).json()["results"])["kf_id"]
        answer = await api.post("/releases", json={"name": "stopped", "studies": [study]})
        assert answer.status_code == 201, answer.text
        releases[answer.json()["kf_id"]] = False


def _asking(coordinator: Running) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=coordinator.url, timeout=PATIENCE_S)


async def _is(api: httpx.AsyncClient, release_id: str, state: str) -> bool:
    return bool((await api.get(f"/releases/{release_id}")).json()["state"] == state)


async def _reaches(api: httpx.AsyncClient, release_id: str, state: str) -> None:
    await until(lambda: _is(api, release_id, state))
