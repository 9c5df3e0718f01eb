"""The processes of a measurement: the coordinator as `lockstep serve`, and the instant services."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

PATIENCE_S = 60.0


@contextmanager
def instant_services(number: int, manner: str = "instant") -> Iterator[list[str]]:
    """So many services in a process of their own, `instant` or `slow`; gives their addresses."""
    command = [sys.executable, "-m", "bench.services", str(number), manner]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield [f"http://127.0.0.1:{port}" for port in json.loads(process.stdout.readline())]
        finally:
            process.kill()


@contextmanager
def coordinator(folder: Path, dataservice_url: str = "") -> Iterator["Served"]:
    """`lockstep serve` on a database in a folder, started and answering; killed at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "LOCKSTEP_PORT": str(port),
        "LOCKSTEP_DATABASE_URL": f"sqlite:///{database(folder)}",
        "LOCKSTEP_DATASERVICE_URL": dataservice_url,
        "LOCKSTEP_WRITE_RATE": "0",
    }
    with (folder / "serve.log").open("wb") as log:
        began = time.perf_counter()
        command = [sys.executable, "-m", "lockstep", "serve"]
        with subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=log) as process:
            try:
                yield Served(f"http://127.0.0.1:{port}", process.pid, database(folder), _answers(port, process, began))
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(PATIENCE_S)


class Served:
    """A coordinator at work; `first_answer_s` is the time from its start to its first answer."""

    def __init__(self, url: str, pid: int, database: Path, first_answer_s: float) -> None:
        self.url = url
        self.pid = pid
        self.database = database
        self.first_answer_s = first_answer_s
        self.client = httpx.Client(base_url=url, timeout=PATIENCE_S)

    def post(self, path: str, **body: object) -> dict[str, object]:
        """Post JSON and return the answer's; an error ends the measurement."""
        answer = self.client.post(path, json=body)
        answer.raise_for_status()
        document: dict[str, object] = answer.json()
        return document


def database(folder: Path) -> Path:
    """Return where a coordinator of a folder keeps its database."""
    return folder / "lockstep.db"


def _answers(port: int, process: "subprocess.Popen[bytes]", began: float) -> float:
    url = f"http://127.0.0.1:{port}/status"
    while True:
        try:
            httpx.get(url).raise_for_status()
            return time.perf_counter() - began
        except httpx.HTTPError:
            if process.poll() is not None or time.perf_counter() - began > PATIENCE_S:
                raise
            time.sleep(0.01)
