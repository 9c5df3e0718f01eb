"""A whole deployment as real processes on loopback, made to be hurt: its processes, its engines, its network.

Postgres and Valkey, two `lockstep serve`, some `lockstep worker`, the sample data service, and task services that
refuse a repeated action. Whatever a test broke, `heal` puts right before the next one begins.
"""

import asyncio
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg
import httpx

from lockstep.stack.engines import Postgres, Valkey
from lockstep.stack.processes import Guard, Lockstep, stop_all, wait_for
from tests.faults.services import Heard, TaskServices
from tests.patience import PATIENCE_S, wait_until

ROUNDS: Final = -(-int(os.environ.get("FAULT_ROUNDS", "4")) // 4)
"""How often a fault is tried in each of the four steps: once with every test, many times by `make test-faults`."""

LEASE_S: Final = 3.0
FAILOVER_S: Final = 30.0
"""How long a release may lie after its worker was lost: on a machine of its own, its lease and a moment."""

WORKER_ENDS_S: Final = 30.0
"""How long a worker may take to end that was asked to: ten seconds are promised, to a machine of its own."""

STUDIES: Final = ("SD_BHJXBDQK",)
NO_SETTINGS: Final[Mapping[str, str]] = {}

SETTINGS: Final = {
    "LOCKSTEP_HOST": "127.0.0.1",
    "LOCKSTEP_LEASE": f"{LEASE_S:g}",
    "LOCKSTEP_POLL_INTERVAL": "0.2",
    "LOCKSTEP_RETRY_PAUSE": "0.05",
    "LOCKSTEP_REQUEST_TIMEOUT": "5",
    "LOCKSTEP_WRITE_RATE": "0",
}


@dataclass(frozen=True, slots=True)
class Held:
    """Who is at work on a release: the id of the process, None for nobody, and the epoch of the lease."""

    pid: int | None
    epoch: int


class Scene:
    """The deployment; `servers` answer, `workers` work, `services` are told what to do.

    Args:
        folder: for everything that is written.
        guard: with whom the processes end.
        workers: how many work.
        services: how many task services there are.
        settings: further settings of coordinators and workers.
        seed: of the services' pauses.
    """

    def __init__(
        self,
        folder: Path,
        guard: Guard,
        *,
        workers: int = 2,
        services: int = 20,
        settings: Mapping[str, str] = NO_SETTINGS,
        seed: int = 0,
    ) -> None:
        self.folder = folder
        self.guard = guard
        self.postgres = Postgres(folder / "postgres", guard=guard)
        self.valkey = Valkey(folder / "valkey", guard=guard)
        self.data_service = Lockstep(
            "data service", ["dataservice", "--port", "{port}"], folder, guard=guard, asked="/status"
        )
        self.settings = {
            **SETTINGS,
            "LOCKSTEP_DATABASE_URL": self.postgres.url,
            "LOCKSTEP_REDIS_URL": self.valkey.url,
            "LOCKSTEP_DATASERVICE_URL": self.data_service.url,
            **settings,
        }
        self.servers = [self.server(f"serve {number}") for number in (1, 2)]
        self.workers = [self.worker(f"worker {number}") for number in range(1, workers + 1)]
        self.services = TaskServices(services, [server.url for server in self.servers], seed)
        self._client = httpx.Client(timeout=PATIENCE_S)
        self._runner = asyncio.Runner()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    def server(self, name: str, **settings: str) -> Lockstep:
        """Return a further `lockstep serve`, not started."""
        ours = {**self.settings, "LOCKSTEP_PORT": "{port}", **settings}
        return Lockstep(name, ["serve"], self.folder, settings=ours, asked="/healthz", guard=self.guard)

    def worker(self, name: str, **settings: str) -> Lockstep:
        """Return a further `lockstep worker`, not started."""
        ours = {**self.settings, "LOCKSTEP_WORKER_PORT": "{port}", **settings}
        return Lockstep(name, ["worker"], self.folder, settings=ours, asked="/healthz", guard=self.guard)

    def start(self) -> None:
        """Start everything, and make the services and studies known."""
        for group in ([self.postgres, self.valkey, self.data_service], [*self.servers, *self.workers]):
            for process in group:
                process.launch()
            wait_for(group)
        for url in self.services.urls:
            named = {"name": "recording", "description": "writes down what it is told", "url": url, "author": "tests"}
            assert self.post("/task-services", json=named).status_code == 201
        assert self.post("/studies/sync").status_code == 200

    def stop(self) -> None:
        """Stop everything, the frozen included."""
        self._client.close()
        if self._connection is not None:
            self._connection.terminate()
        self._runner.close()
        for worker in self.workers:
            worker.send(signal.SIGCONT)
        stop_all([*self.servers, *self.workers, self.data_service], 12)
        self.valkey.stop(signal.SIGKILL)
        self.postgres.stop(signal.SIGQUIT)

    def heal(self) -> None:
        """Start whatever does not run, and wait until all answer."""
        everything = [self.postgres, self.valkey, self.data_service, *self.servers, *self.workers]
        for process in everything:
            if process.process is None or process.ended is not None:
                process.launch()
            process.send(signal.SIGCONT)
        wait_for(everything)

    def call(self, method: str, path: str, server: int = 0, **body: Any) -> httpx.Response:
        """Call the API once."""
        return self._client.request(method, self.servers[server].url + path, **body)

    def post(self, path: str, **body: Any) -> httpx.Response:
        """Post once."""
        return self.call("POST", path, **body)

    def create(self, name: str = "hurt") -> str:
        """Create a release; return its id."""
        answer = self.post("/releases", json={"name": name, "studies": list(STUDIES), "author": "tests"})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["kf_id"])

    def state(self, release: str) -> str:
        """Return the state of a release, as a client sees it who asks again when he has to."""
        return str(wait_until(lambda: self._state(release), lambda: "the API does not answer"))

    def _state(self, release: str) -> str | None:
        try:
            answer = self.call("GET", f"/releases/{release}")
        except httpx.TransportError:
            return None
        return answer.json()["state"] if answer.status_code == 200 else None

    def wait_for_state(self, release: str, *states: str) -> None:
        """Wait until a release is in a state, or one of several."""
        wait_until(lambda: self.state(release) in states, lambda: self.story(release, " or ".join(states)))

    def story(self, release: str, wanted: str) -> str:
        """Tell what became of a release, and what the processes say."""
        told = self.call("GET", f"/events?release={release}&limit=100").json()["results"]
        events = [event["message"] for event in reversed(told)][-40:]
        logs = [f"{one.name}: {one.log.read_text(errors='replace')[-1500:]}" for one in (*self.servers, *self.workers)]
        row = self.rows("SELECT * FROM release WHERE kf_id = $1", release)
        return "\n".join([f"release {release} is not {wanted}: {row}", *events, *logs])

    def rows(self, query: str, *values: object) -> list[Any]:
        """Return what the database says, past the coordinator."""
        return self._runner.run(self._rows(query, values))

    async def _rows(self, query: str, values: tuple[object, ...]) -> list[Any]:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await asyncpg.connect(self.postgres.url)
                return list(await self._connection.fetch(query, *values))
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(0.05)

    def held(self, release: str) -> Held:
        """Return who is at work on a release."""
        (row,) = self.rows("SELECT lease_owner, lease_epoch FROM release WHERE kf_id = $1", release)
        return Held(int(row["lease_owner"].split(":")[1]) if row["lease_owner"] else None, row["lease_epoch"])

    def worker_of(self, pid: int | None) -> Lockstep | None:
        """Return the worker that is a process."""
        return next((one for one in self.workers if one.process is not None and one.process.pid == pid), None)

    def heard(self, release: str) -> list[Heard]:
        """Return what the services were told about a release, in the order in which it arrived."""
        return [heard for heard in list(self.services.heard) if heard.release_id == release]

    def check_log(self, release: str) -> None:
        """Each service took each action once, or was asked for its status before it was told again."""
        tasks = [row["kf_id"] for row in self.rows("SELECT kf_id FROM task WHERE release_id = $1", release)]
        assert len(tasks) == len(self.services.urls)
        for task in tasks:
            told = [heard.action for heard in self.heard(release) if heard.task_id == task]
            for action in ("initialize", "start", "publish"):
                places = [place for place, one in enumerate(told) if one == action]
                for first, second in pairwise(places):
                    assert "get_status" in told[first:second], f"{action} twice without asking: {told}"
        assert self.services.refused_repeats(release) == []
        self.check_epochs(release)

    def check_epochs(self, release: str) -> None:
        """Nobody sends anything more about a release once another worker has taken it over."""
        heard = self.heard(release)
        late = [(one, two) for one, two in pairwise(heard) if (two.epoch or 0) < (one.epoch or 0)]
        assert late == []


@contextmanager
def scene(folder: Path, **choices: Any) -> Iterator[Scene]:
    """A deployment that runs for as long as the context is open."""
    with Guard() as guard, ExitStack() as stack:
        one = Scene(folder, guard, **choices)
        stack.enter_context(one.services)
        stack.callback(one.stop)
        one.start()
        yield one


@contextmanager
def event_stream(url: str) -> Iterator[Iterator[str]]:
    """The lines of an event stream."""
    with httpx.stream("GET", url, timeout=PATIENCE_S) as answer:
        assert answer.status_code == 200
        yield answer.iter_lines()


def port_of(url: str) -> int:
    """Return the port of an address."""
    port = urlsplit(url).port
    assert port is not None
    return port


def moment(random: Random, longest_s: float) -> None:
    """Let a random time pass: the moment is what is being tried."""
    time.sleep(random.uniform(0, longest_s))
