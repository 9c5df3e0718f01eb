"""The processes of a measurement: the coordinator as `lockstep serve`, and the instant services."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from lockstep.stack.processes import PATIENCE_S, Lockstep


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
def data_service(folder: Path) -> Iterator[str]:
    """The sample data service, whose studies the releases hold; gives its address."""
    with Lockstep("data service", ["dataservice", "--port", "{port}"], folder) as served:
        yield served.url


@contextmanager
def coordinator(folder: Path, dataservice_url: str = "") -> Iterator["Served"]:
    """`lockstep serve` on a database in a folder, started and answering; stopped at the end."""
    settings = {
        "LOCKSTEP_PORT": "{port}",
        "LOCKSTEP_DATABASE_URL": f"sqlite:///{database(folder)}",
        "LOCKSTEP_DATASERVICE_URL": dataservice_url,
        "LOCKSTEP_WRITE_RATE": "0",
    }
    served = Lockstep("serve", ["serve"], folder, settings=settings)
    began = time.perf_counter()
    with served:
        assert served.process is not None
        yield Served(served.url, served.process.pid, database(folder), time.perf_counter() - began)


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
