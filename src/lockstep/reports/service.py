"""The release reports service put together: `make_service` for programs and tests, `run` for the command line."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from lockstep import __version__
from lockstep.dataservice.client import CONNECTIONS, TIMEOUT_S, DataService
from lockstep.dataservice.patience import Patience
from lockstep.reports.api import reports_route
from lockstep.reports.life import ReportLife
from lockstep.reports.sources import CountSource, DataServiceSource
from lockstep.reports.sqlite_store import SqliteReports
from lockstep.reports.store import ReportStore
from lockstep.taskkit import SqliteStore, TaskService, TaskStore

NAME: Final = "kf-task-release-reports"
"""The name that coordinators in the field know the service by."""

DEFAULT_PORT: Final = 5020
DEFAULT_FOLDER: Final = ".lockstep/reports"


def make_service(
    *,
    dataservice_url: str,
    folder: str | Path = DEFAULT_FOLDER,
    coordinator_url: str | None = None,
    connections: int = CONNECTIONS,
    timeout_s: float = TIMEOUT_S,
    patience: Patience | None = None,
    fail_on_unknown: bool = True,
    reports: ReportStore | None = None,
    tasks: TaskStore | None = None,
) -> TaskService:
    """Make the service, an ASGI application.

    Args:
        dataservice_url: the data service whose lists are counted.
        folder: where reports and tasks are kept, each in a file of its own, unless stores are given.
        coordinator_url: as `TaskService` has it. Without a coordinator nothing can be published, since it alone knows
            the final version.
        connections: counts that are asked for at the same time.
        timeout_s: seconds that the data service may take for one count.
        patience: how often a failed count is asked for, and after which pauses; three times if not given.
        fail_on_unknown: whether counts that could not be had fail the task. Counts that the source says it does not
            publish never do.
        reports: where reports are kept, if not in the folder.
        tasks: where tasks are kept, if not in the folder.

    Raises:
        ValueError: an address is none, or `connections` is below 1.
        StoreUnavailable: the folder cannot be used.
    """
    if connections < 1:
        raise ValueError(f"connections must be at least 1, not {connections}")
    DataService(dataservice_url)
    asking = patience or Patience()

    @asynccontextmanager
    async def open_source() -> AsyncIterator[CountSource]:
        async with DataService(dataservice_url, timeout_s=timeout_s, connections=connections) as service:
            yield DataServiceSource(service, asking)

    store = reports or SqliteReports(Path(folder) / "reports.db")
    life = ReportLife(store, open_source, connections, fail_on_unknown, now=lambda: datetime.now(UTC))
    service = TaskService(
        NAME,
        version=__version__,
        message="counts what a release holds",
        store=tasks or SqliteStore(Path(folder) / "tasks.db"),
        coordinator_url=coordinator_url,
        routes=[reports_route(store)],
    )
    service.stage(life.stage)
    service.publish(life.publish)
    service.cancel(life.cancel)
    return service


def run(
    *,
    dataservice_url: str,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    folder: str | Path = DEFAULT_FOLDER,
    coordinator_url: str | None = None,
    connections: int = CONNECTIONS,
    fail_on_unknown: bool = True,
) -> None:
    """Serve until Ctrl-C or SIGTERM; the arguments and errors are those of `make_service` and `TaskService.run`."""
    service = make_service(
        dataservice_url=dataservice_url,
        folder=folder,
        coordinator_url=coordinator_url,
        connections=connections,
        fail_on_unknown=fail_on_unknown,
    )
    service.run(host=host, port=port)
