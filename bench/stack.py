"""`python -m bench.stack`: measure several processes on Postgres and Valkey, and with `--write` put the figures down.

Two `lockstep serve`, two `lockstep worker` (and one, and four, where it is about their number), instant services in a
process of their own. What is committed is watched in the database, so that watching does not load the coordinators.
"""

import argparse
import asyncio
import json
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final

import asyncpg
import httpx

from bench.load import load
from bench.phases import STUDY, lower_bound
from bench.processes import instant_services
from lockstep.coordinator.adapters.task_services import HttpTaskServices
from lockstep.stack.engines import Postgres, Valkey
from lockstep.stack.processes import Guard, Lockstep, stop_all, wait_for

ROUNDS: Final = 5
WAIT_S: Final = 120.0
LEASE_S: Final = 6.0
HEADING: Final = "## Several processes"
ENDED: Final = ("published", "canceled", "failed")


class Deployment:
    """Postgres, Valkey, coordinators and workers as processes, and a way to look into the database."""

    def __init__(self, folder: Path, guard: Guard, workers: int) -> None:
        self.postgres = Postgres(folder / "postgres", guard=guard)
        self.valkey = Valkey(folder / "valkey", guard=guard)
        self.data_service = Lockstep("data service", ["dataservice", "--port", "{port}"], folder, guard=guard)
        settings = {
            "LOCKSTEP_DATABASE_URL": self.postgres.url,
            "LOCKSTEP_REDIS_URL": self.valkey.url,
            "LOCKSTEP_DATASERVICE_URL": self.data_service.url,
            "LOCKSTEP_LEASE": f"{LEASE_S:g}",
            "LOCKSTEP_WRITE_RATE": "0",
        }
        self.servers = [
            Lockstep(f"serve {n}", ["serve"], folder, settings={**settings, "LOCKSTEP_PORT": "{port}"}, guard=guard)
            for n in (1, 2)
        ]
        self.workers = [
            Lockstep(
                f"worker {n}",
                ["worker"],
                folder,
                settings={**settings, "LOCKSTEP_WORKER_PORT": "{port}"},
                asked="/healthz",
                guard=guard,
            )
            for n in range(1, workers + 1)
        ]
        self._clients = [httpx.Client(base_url=server.url, timeout=WAIT_S) for server in self.servers]
        self._runner = asyncio.Runner()
        self._connection: Any = None
        self._asked = 0

    def start(self, urls: list[str]) -> None:
        """Start everything, and make the services and studies known."""
        for group in ([self.postgres, self.valkey, self.data_service], [*self.servers, *self.workers]):
            for process in group:
                process.launch()
            wait_for(group)
        self._connection = self._runner.run(asyncpg.connect(self.postgres.url))
        self.post("/studies/sync")
        for number, url in enumerate(urls):
            self.post("/task-services", name=f"instant {number}", description="", url=url, author="bench")

    def stop(self) -> None:
        """Stop everything."""
        if self._connection is not None:
            self._runner.run(self._connection.close())
        self._runner.close()
        stop_all([*self.servers, *self.workers, self.data_service], 10)
        self.valkey.stop(signal.SIGKILL)
        self.postgres.stop(signal.SIGQUIT)

    def post(self, path: str, **body: object) -> dict[str, Any]:
        """Post to the coordinators in turns; an error ends the measurement."""
        self._asked += 1
        answer = self._clients[self._asked % len(self._clients)].post(path, json=body)
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document

    def create(self, name: str) -> str:
        """Create a release; return its id."""
        return str(self.post("/releases", name=name, studies=[STUDY])["kf_id"])

    def one(self, query: str, *values: object) -> Any:  # noqa: ANN401 - whatever the database says
        """Return one value that is committed."""
        return self._runner.run(self._connection.fetchval(query, *values))

    def wait(self, query: str, wanted: object, *values: object) -> None:
        """Wait until the database says something."""
        until = time.perf_counter() + WAIT_S
        while (found := self.one(query, *values)) != wanted:
            if time.perf_counter() > until:
                raise TimeoutError(f"{query} gave {found} and not {wanted} in {WAIT_S:g} s")
            time.sleep(0.002)

    def wait_for_state(self, release: str, state: str) -> None:
        """Wait until a release is in a state."""
        self.wait("SELECT state FROM release WHERE kf_id = $1", state, release)


@contextmanager
def deployment(services: int, workers: int = 2) -> Iterator[tuple[Deployment, list[str]]]:
    """A fresh deployment with so many instant services."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="lockstep-bench-")))
        folder.chmod(0o755)
        urls = stack.enter_context(instant_services(services))
        guard = stack.enter_context(Guard())
        one = Deployment(folder, guard, workers)
        stack.callback(one.stop)
        one.start(urls)
        yield one, urls


def steps(numbers: list[int]) -> str:
    """Tell how long the steps of a release take, beside the same requests with no coordinator."""
    lines = [
        "The steps of a release, as above:\n",
        "| services | staged | bound | ratio | published | bound | ratio |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for number in numbers:
        with deployment(number) as (one, urls), asyncio.Runner() as runner:
            client = runner.run(HttpTaskServices().__aenter__())
            rounds = [(*release_times(one), *runner.run(lower_bound(client, urls))) for _ in range(ROUNDS)]
            runner.run(client.__aexit__(None, None, None))
        staged, published, stage_bound, publish_bound = (min(column) for column in zip(*rounds, strict=True))
        lines.append(
            f"| {number:,} | {_ms(staged)} | {_ms(stage_bound)} | {staged / stage_bound:.2f} "
            f"| {_ms(published)} | {_ms(publish_bound)} | {published / publish_bound:.2f} |"
        )
    return "\n".join(lines)


def release_times(one: Deployment) -> tuple[float, float]:
    """Take one release to published; return the seconds until it is staged, and from publish until it is public."""
    began = time.perf_counter()
    release = one.create("measured")
    one.wait_for_state(release, "staged")
    staged = time.perf_counter() - began
    time.sleep(0.1)
    began = time.perf_counter()
    one.post(f"/releases/{release}/publish")
    one.wait_for_state(release, "published")
    return staged, time.perf_counter() - began


def wake_ups(number: int = 200) -> str:
    """Tell how long after the commit of a new release a worker's first commit about it comes."""
    with deployment(1) as (one, _):
        one.create("warm")
        late = []
        for place in range(number):
            release = one.create(f"release {place}")
            one.wait_for_state(release, "staged")
            late.append(
                one.one(
                    "SELECT extract(epoch FROM min(e.created_at) - r.created_at)::float FROM release r "
                    "JOIN event e ON e.release_id = r.kf_id AND e.message LIKE '%from waiting to initializing' "
                    "WHERE r.kf_id = $1 GROUP BY r.created_at",
                    release,
                )
            )
    late.sort()
    return (
        f"Wake-up, from the creation of a release in an API process to the first decision of a worker, {number} times: "
        f"{_ms(late[number // 2])} at the median, {_ms(late[number * 99 // 100])} at the 99th percentile."
    )


def releases_per_minute(seconds: float) -> str:
    """Tell how many releases with ten services come to be published in a minute, as there are more workers."""
    figures = []
    for workers in (1, 2, 4):
        with deployment(10, workers) as (one, _):
            release_times(one)
            figures.append(f"{60 * _published_in(one, seconds) / seconds:,.0f} with {workers}")
    return (
        "Releases per minute with ten services each, created, staged and published, by the number of workers: "
        f"{', '.join(figures)}."
    )


def _published_in(one: Deployment, seconds: float) -> int:
    """Keep twenty releases on their way for some time; return how many were published in it."""
    counted = "SELECT count(*) FROM release WHERE state = 'published'"
    before, until = one.one(counted), time.perf_counter() + seconds
    number = 0
    while time.perf_counter() < until:
        open_ones = one.one("SELECT count(*) FROM release WHERE state <> ALL($1::text[])", list(ENDED))
        for _ in range(20 - open_ones):
            number += 1
            one.create(f"release {number}")
        staged = one.one(
            "SELECT coalesce(json_agg(kf_id), '[]')::text FROM release WHERE state = 'staged' AND publish_order IS NULL"
        )
        for release in json.loads(staged):
            one.post(f"/releases/{release}/publish")
        time.sleep(0.01)
    return int(one.one(counted) - before)


def updates(number: int = 10_000) -> str:
    """Tell how quickly tasks are reported on while releases are read."""
    with deployment(100) as (one, _):
        release = one.create("reported on")
        one.wait_for_state(release, "staged")
        tasks = json.loads(one.one("SELECT json_agg(kf_id)::text FROM task WHERE release_id = $1", release))
        reading, reads = threading.Event(), list[float]()

        def read() -> None:
            with httpx.Client(base_url=one.servers[1].url) as client:
                while not reading.wait(0.02):
                    began = time.perf_counter()
                    client.get(f"/releases/{release}").raise_for_status()
                    reads.append(time.perf_counter() - began)

        reader = threading.Thread(target=read)
        reader.start()
        try:
            came = load(
                one.servers[0].url,
                lambda n: ("PATCH", f"/tasks/{tasks[n % len(tasks)]}", b'{"progress": %d}' % (n // len(tasks) % 101)),
                number=number,
                connections=20,
            )
        finally:
            reading.set()
            reader.join()
    reads.sort()
    return (
        f"{number:,} task updates over 100 tasks of one release, 20 connections, while the release is read on the "
        f"other API process: {60 * came.per_second:,.0f} per minute, {came.p50_ms:.0f} ms at the median, "
        f"{came.p99_ms:.0f} ms at the 99th; reads {_ms(reads[len(reads) // 2])} "
        f"and {_ms(reads[len(reads) * 99 // 100])}."
    )


def failover(kills: int) -> str:
    """Tell how long a release lies after the worker that had it was killed."""
    random, lay = Random(1), list[float]()  # noqa: S311 - moments
    with deployment(0) as (one, _), instant_services(1, "slow") as urls:
        one.post("/task-services", name="slow", description="", url=urls[0], author="bench")
        while len(lay) < kills:
            release = one.create("left lying")
            held = "SELECT lease_owner FROM release WHERE kf_id = $1"
            while (owner := one.one(held, release)) is None:
                time.sleep(0.002)
            time.sleep(random.uniform(0, 0.5))
            victim = next(w for w in one.workers if w.process and w.process.pid == int(owner.split(":")[1]))
            victim.stop(signal.SIGKILL)
            began = time.perf_counter()
            one.wait(f"SELECT coalesce(({held}), '') <> $2", True, release, owner)
            lay.append(time.perf_counter() - began)
            victim.start()
            one.wait_for_state(release, "staged")
    lay.sort()
    return (
        f"Failover, from the SIGKILL of the worker that has a release until another one has it, {kills} times with a "
        f"lease of {LEASE_S:g} s: {lay[len(lay) // 2]:.1f} s at the median, {lay[-1]:.1f} s at the most."
    )


def section(asked: argparse.Namespace) -> Iterator[str]:
    """Measure, part by part."""
    yield (
        f"{HEADING}\n\nThe same on Postgres and Valkey: two `lockstep serve`, two `lockstep worker`, everything on the "
        "same machine."
    )
    yield steps(asked.services)
    yield wake_ups(asked.wakes)
    yield releases_per_minute(asked.seconds)
    yield updates(asked.updates)
    yield failover(asked.kills)


def main() -> None:
    """Measure, print, and put the section in the place of the older one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="the Markdown file whose section is written")
    parser.add_argument("--services", type=int, nargs="*", default=[1, 10, 100, 1000], help="how many task services")
    parser.add_argument("--wakes", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30, help="how long releases are counted")
    parser.add_argument("--updates", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=20)
    asked = parser.parse_args()
    parts = []
    for part in section(asked):
        parts.append(part)
        print(part, end="\n\n", flush=True)
    if asked.write:
        asked.write.write_text(put_in(asked.write.read_text() if asked.write.exists() else "", "\n\n".join(parts)))


def put_in(page: str, text: str) -> str:
    """Return a page with the section in the place of the older one, or at its end."""
    older = re.compile(rf"{HEADING}\n.*?(?=\n## |\Z)", re.DOTALL)
    if older.search(page):
        return older.sub(lambda _: f"{text}\n", page)
    return f"{page.rstrip()}\n\n{text}\n"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms" if seconds >= 0.01 else f"{1000 * seconds:.1f} ms"


if __name__ == "__main__":
    main()
