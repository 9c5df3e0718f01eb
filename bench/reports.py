"""How long a report takes, beside the same counts asked by the same client and nothing else.

`python -m bench.reports` is the other side of it: an instant data service, and a coordinator that is told of progress,
in one process. It prints its port and serves until killed.
"""

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil

from bench.services import Instant
from lockstep.dataservice.client import CONNECTIONS, DataService
from lockstep.dataservice.entities import REPORTED
from lockstep.stack.processes import free_ports
from lockstep.taskkit.threads import make_loop

ROUNDS = {35: 20, 1000: 3}
"""Rounds by the number of studies: a short time needs more of them."""

WAIT_S = 120.0

ANSWER = (
    b'{"_links": {"self": "/participants?study_id=SD_00000000"}, "_status": {"code": 200, "message": "success"}, '
    b'"limit": 1, "results": [{"kf_id": "PT_00000000", "visible": true}], "total": 134, "version": "0.0.1"}'
)


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds for a report and for its counts alone, the best of some rounds; resident memory in MiB."""

    studies: int
    report_s: float
    bound_s: float
    idle_mib: float
    peak_mib: float


class InstantDataService(Instant):
    """Answers everything with a list that has a total and that could be a release as well."""

    def _answer(self, body: bytes) -> None:  # noqa: ARG002 - what the base would have said
        super()._answer(ANSWER)


def section() -> str:
    """Measure, and return the section of the page."""
    explained = (
        f"Nine counts per study from an instant data service over {CONNECTIONS} connections. *Report* is the time from "
        "`start` until the task is staged, with the report written to SQLite and the coordinator told of progress; the "
        "*bound* is what the same requests by the same client take alone. Memory is resident memory of the service.\n"
    )
    lines = [
        "## A release report\n",
        explained,
        "| studies | counts | report | bound | ratio | memory before | at its peak |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {took.studies:,} | {took.studies * len(REPORTED):,} | {1000 * took.report_s:,.0f} ms "
        f"| {1000 * took.bound_s:,.0f} ms | {took.report_s / took.bound_s:.2f} | {took.idle_mib:.0f} MiB "
        f"| {took.peak_mib:.0f} MiB |"
        for took in (measure(studies, rounds) for studies, rounds in ROUNDS.items())
    ]
    return "\n".join(lines)


def measure(studies: int, rounds: int) -> Measured:
    """Measure reports over so many studies, and their lower bound in turns with them."""
    with TemporaryDirectory() as name, instant_data_service() as url, reports(Path(name), url) as served:
        ids = [f"SD_{number:08d}" for number in range(studies)]
        process = psutil.Process(served.pid)
        report_time(served, ids[:1], "warm")
        idle = process.memory_info().rss
        took = [(bound(url, ids), report_time(served, ids, str(number))) for number in range(rounds)]
        bounds, times = zip(*took, strict=True)
        return Measured(studies, min(times), min(bounds), idle / 2**20, _peak(process) / 2**20)


def bound(url: str, ids: list[str]) -> float:
    """Return the seconds that the counts of some studies take by the client alone, as many at once as for a report."""

    async def ask() -> float:
        began = time.perf_counter()
        async with DataService(url, connections=CONNECTIONS) as service:
            questions = iter(list(product(ids, REPORTED)))

            async def keep_asking() -> None:
                for study_id, entity in questions:
                    await service.count(entity, study_id)

            await asyncio.gather(*(keep_asking() for _ in range(CONNECTIONS)))
        return time.perf_counter() - began

    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(ask())


@dataclass(frozen=True, slots=True)
class Served:
    """The reports service at work."""

    url: str
    pid: int
    tasks: Path


def report_time(served: Served, ids: list[str], name: str) -> float:
    """Return the seconds from `start` until a task is staged.

    Its database is watched, since asking the service would cost it time; the more has passed, the less often.
    """
    task = {"task_id": f"TA_{name}", "release_id": f"RE_{name}", "studies": ids}
    connection = sqlite3.connect(f"file:{served.tasks}?mode=ro", uri=True)
    with httpx.Client(base_url=served.url, timeout=WAIT_S) as client:
        client.post("/tasks", json={"action": "initialize", **task}).raise_for_status()
        began = time.perf_counter()
        client.post("/tasks", json={"action": "start", **task}).raise_for_status()
        while (state := _state(connection, task["task_id"])) == "running":
            waited = time.perf_counter() - began
            if waited > WAIT_S:
                raise TimeoutError(f"no report within {WAIT_S:g} s")
            time.sleep(max(0.001, waited / 100))
        took = time.perf_counter() - began
    connection.close()
    if state != "staged":
        raise RuntimeError(f"the report is {state}")
    return took


def _state(connection: sqlite3.Connection, task_id: object) -> str:
    row = connection.execute("SELECT state FROM lockstep_task WHERE task_id = ?", (task_id,)).fetchone()
    return str(row[0])


def _peak(process: psutil.Process) -> int:
    """Return the most memory that a process has had resident, as Linux keeps it; elsewhere, what it has now."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        return int(process.memory_info().rss)
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


@contextmanager
def instant_data_service() -> Iterator[str]:
    """The other side, in a process of its own; gives its address."""
    command = [sys.executable, "-m", "bench.reports"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{json.loads(process.stdout.readline())}"
        finally:
            process.kill()


@contextmanager
def reports(folder: Path, url: str) -> Iterator[Served]:
    """The reports service in a process of its own, answering; killed at the end."""
    (port,) = free_ports(1)
    chosen = f"dataservice_url={url!r}, coordinator_url={url!r}, reports_folder={str(folder)!r}, port={port}"
    code = f"from lockstep.reports.deployment import run; run({chosen})"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(f"http://127.0.0.1:{port}/status", process)
            yield Served(f"http://127.0.0.1:{port}", process.pid, folder / "tasks.db")
        finally:
            process.kill()


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + WAIT_S
    while True:
        try:
            httpx.get(url).raise_for_status()
        except httpx.TransportError:
            if process.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


async def serve() -> None:
    """Serve until the process ends."""
    server = await asyncio.get_running_loop().create_server(InstantDataService, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
