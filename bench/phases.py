"""How long the steps of a release take, beside the same requests with no coordinator."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.processes import Served, coordinator, instant_services
from lockstep.coordinator.adapters.task_services import HttpTaskServices
from lockstep.protocol.messages import Action, Answer, Request

ROUNDS = 5
STUDY = "SD_BHJXBDQK"
WAIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Phases:
    """Seconds, the best of some rounds, for a number of services; `bound` is the time without a coordinator."""

    services: int
    stage_s: float
    stage_bound_s: float
    publish_s: float
    publish_bound_s: float


def measure(number: int, dataservice_url: str) -> Phases:
    """Measure releases on a number of instant services, and their lower bound in turns with them."""
    with _scene(number, dataservice_url) as (served, urls), asyncio.Runner() as runner:
        client = runner.run(HttpTaskServices().__aenter__())
        rounds = []
        for _ in range(ROUNDS):
            bound = runner.run(lower_bound(client, urls))
            rounds.append((*release_times(served), *bound))
        runner.run(client.__aexit__(None, None, None))
    stage, publish, stage_bound, publish_bound = (min(column) for column in zip(*rounds, strict=True))
    return Phases(number, stage, stage_bound, publish, publish_bound)


def measure_many(releases: int, services: int, dataservice_url: str) -> float:
    """Return the seconds from the first `POST /releases` until so many releases are staged on the same services."""
    with _scene(services, dataservice_url) as (served, _):
        release_times(served)
        began = time.perf_counter()
        for number in range(releases):
            served.post("/releases", name=f"release {number}", studies=[STUDY])
        _wait(served, "SELECT count(*) FROM release WHERE state = 'staged'", releases)
        return time.perf_counter() - began


@contextmanager
def _scene(services: int, dataservice_url: str) -> Iterator[tuple[Served, list[str]]]:
    """A fresh coordinator with so many instant services registered."""
    with (
        TemporaryDirectory() as folder,
        instant_services(services) as urls,
        coordinator(Path(folder), dataservice_url) as served,
    ):
        register(served, urls)
        yield served, urls


def register(served: Served, urls: list[str]) -> None:
    """Sync the studies and register services at some addresses."""
    served.post("/studies/sync")
    for number, url in enumerate(urls):
        served.post("/task-services", name=f"instant {number}", description="", url=url, author="bench")


def release_times(served: Served) -> tuple[float, float]:
    """Take one release to published; return the seconds until it is staged, and from publish until it is public."""
    began = time.perf_counter()
    release = served.post("/releases", name="measured", studies=[STUDY])["kf_id"]
    is_in = "SELECT count(*) FROM release WHERE kf_id = '{}' AND state = '{}'"
    _wait(served, is_in.format(release, "staged"), 1)
    staged = time.perf_counter() - began
    time.sleep(0.1)
    began = time.perf_counter()
    served.post(f"/releases/{release}/publish")
    _wait(served, is_in.format(release, "published"), 1)
    return staged, time.perf_counter() - began


def _wait(served: Served, query: str, wanted: int) -> None:
    """Watch the committed state in the database, so that watching does not load the coordinator."""
    until = time.perf_counter() + WAIT_S
    connection = sqlite3.connect(f"file:{served.database}?mode=ro", uri=True)
    try:
        while connection.execute(query).fetchone()[0] != wanted:
            if time.perf_counter() > until:
                raise TimeoutError(f"{query} did not give {wanted} in {WAIT_S:g} s")
            time.sleep(0.002)
    finally:
        connection.close()


async def lower_bound(client: HttpTaskServices, urls: list[str]) -> tuple[float, float]:
    """Return the seconds that the requests of staging, and those of publishing, take by themselves."""
    initialize = await _fan_out(client, urls, Action.INITIALIZE)
    start = await _fan_out(client, urls, Action.START)
    await asyncio.sleep(0.1)
    return initialize + start, await _fan_out(client, urls, Action.PUBLISH)


async def _fan_out(client: HttpTaskServices, urls: list[str], action: Action) -> float:
    began = time.perf_counter()
    study = (STUDY,)
    replies = await asyncio.gather(
        *(
            client.send(url, Request(action, f"TA_{number:08d}", "RE_00000000", study, study), "0" * 32)
            for number, url in enumerate(urls)
        )
    )
    if not all(isinstance(reply, Answer) for reply in replies):
        raise RuntimeError("an instant service did not answer")
    return time.perf_counter() - began
