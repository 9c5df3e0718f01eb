"""The set of processes that make up a deployment, on this machine: what `docker-compose.yml` names, without Docker.

Postgres and Valkey, coordinators that answer and workers that work, the sample data service, and two task services:
the reference task and the release reports, which here keep their reports in SQLite instead of DynamoDB. They are told
of each other by the same settings as everywhere. Everything that they write lies in one folder, and a stack that is
started on it again goes on where it was.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Final

from lockstep.stack.engines import Postgres, Valkey
from lockstep.stack.processes import (
    LOOPBACK,
    NO_SETTINGS,
    DidNotStart,
    Guard,
    Lockstep,
    Process,
    free_ports,
    stop_all,
    wait_for,
)

COORDINATOR: Final = "coordinator"
DATA_SERVICE: Final = "sample data service"
REFERENCE: Final = "reference task"
REPORTS: Final = "release reports"

KNOWN: Final[Mapping[str, int]] = {COORDINATOR: 5000, DATA_SERVICE: 5100, REFERENCE: 8282, REPORTS: 5020}
"""Where each server of the stack is looked for."""

ANY_PORTS: Final[Mapping[str, int]] = {}

END_PATIENCE_S: Final = 12.0
"""How long servers of ours may take to end: a worker gives its work back within ten seconds."""


class Stack:
    """All processes of a deployment; made, but not started.

    Args:
        folder: for everything that is written.
        guard: with whom the processes end.
        ports: where the servers are to be, by their names in `KNOWN`; those that are not named take any free port.
        coordinators: how many answer; the first has the port, the others free ones.
        workers: how many work.
        settings: further settings of coordinators and workers, such as `{"LOCKSTEP_LEASE": "6"}`.
    """

    def __init__(
        self,
        folder: Path,
        guard: Guard | None = None,
        *,
        ports: Mapping[str, int] = ANY_PORTS,
        coordinators: int = 1,
        workers: int = 2,
        settings: Mapping[str, str] = NO_SETTINGS,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._guard = guard
        free = iter(free_ports(len(KNOWN) + 2 + coordinators + workers))
        at = {name: ports.get(name) or next(free) for name in KNOWN}
        self.postgres = Postgres(folder / "postgres", next(free), guard=guard)
        self.valkey = Valkey(folder / "valkey", next(free), guard=guard)
        host = ("--host", LOOPBACK, "--port", "{port}")
        self.data_service = self._server(DATA_SERVICE, ["dataservice", *host], at[DATA_SERVICE])
        coordinator_url = f"http://{LOOPBACK}:{at[COORDINATOR]}"
        told = ("--coordinator", coordinator_url)
        kept = ("--folder", str((folder / "reference").resolve()))
        self.reference = self._server(REFERENCE, ["reference", *host, *told, *kept], at[REFERENCE])
        counted = ("--dataservice", self.data_service.url, "--folder", str((folder / "reports").resolve()))
        self.reports = self._server(REPORTS, ["reports", *host, *told, *counted], at[REPORTS])
        ours = {
            "LOCKSTEP_HOST": LOOPBACK,
            "LOCKSTEP_DATABASE_URL": self.postgres.url,
            "LOCKSTEP_REDIS_URL": self.valkey.url,
            "LOCKSTEP_DATASERVICE_URL": self.data_service.url,
            "LOCKSTEP_REPORTS_URL": self.reports.url,
            **settings,
        }
        self.coordinators = [
            self._server(
                COORDINATOR if number == 1 else f"{COORDINATOR} {number}",
                ["serve"],
                at[COORDINATOR] if number == 1 else next(free),
                {**ours, "LOCKSTEP_PORT": "{port}"},
                "/readyz",
            )
            for number in range(1, coordinators + 1)
        ]
        self.workers = [
            self._server(
                f"task worker {number}", ["worker"], next(free), {**ours, "LOCKSTEP_WORKER_PORT": "{port}"}, "/readyz"
            )
            for number in range(1, workers + 1)
        ]

    @property
    def url(self) -> str:
        """Where the first coordinator answers."""
        return self.coordinators[0].url

    @property
    def engines(self) -> Sequence[Process]:
        """What has to answer before anything else is started."""
        return [self.postgres, self.valkey]

    @property
    def servers(self) -> Sequence[Lockstep]:
        """Everything that is ours."""
        return [*self.coordinators, *self.workers, self.data_service, self.reference, self.reports]

    @property
    def processes(self) -> Sequence[Process]:
        """Everything."""
        return [*self.engines, *self.servers]

    def start(self) -> None:
        """Start everything, and wait until all of it answers.

        Raises:
            DidNotStart: something does not.
        """
        for group in (self.engines, self.servers):
            for process in group:
                process.launch()
            wait_for(group)

    def stop(self) -> None:
        """Stop everything in order: first whoever uses the engines, then these."""
        stop_all(self.servers, END_PATIENCE_S)
        stop_all(self.engines, END_PATIENCE_S)

    def _server(
        self,
        name: str,
        arguments: Sequence[str],
        port: int,
        settings: Mapping[str, str] = NO_SETTINGS,
        asked: str = "/status",
    ) -> Lockstep:
        return Lockstep(name, arguments, self.folder, port=port, settings=settings, asked=asked, guard=self._guard)


@contextmanager
def guarded(folder: Path) -> Iterator[Guard]:
    """Be the only stack in a folder, with a guard for its processes, for as long as the context is open.

    The guard holds the lock too, so that after a stack that was killed the next one waits until its processes ended.

    Raises:
        DidNotStart: another stack is there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "stack.lock").open("ab") as lock:
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except BlockingIOError as error:
            raise DidNotStart(
                f"Another stack is at work in {folder}, or about to end; end it, or name another folder with --folder."
            ) from error
        with Guard(lock.fileno()) as guard:
            yield guard
