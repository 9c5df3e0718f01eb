"""The snapshot service put together: `make_service` for programs and tests, `run` for the command line."""

from pathlib import Path
from typing import Final

from lockstep import __version__
from lockstep.dataservice.client import TIMEOUT_S, DataService
from lockstep.dataservice.patience import Patience
from lockstep.snapshot.folders import SnapshotFolders
from lockstep.snapshot.life import SnapshotLife
from lockstep.taskkit import SqliteStore, TaskService, TaskStore

NAME: Final = "snapshot task"
"""The name that coordinators in the field know the service by."""

DEFAULT_PORT: Final = 8383
DEFAULT_FOLDER: Final = ".lockstep/snapshot"

CONNECTIONS: Final = 8
"""Lists read at the same time: full pages are dearer to a data service than counts, and nobody waits for the last."""


def make_service(
    *,
    dataservice_url: str,
    folder: str | Path = DEFAULT_FOLDER,
    coordinator_url: str | None = None,
    connections: int = CONNECTIONS,
    timeout_s: float = TIMEOUT_S,
    patience: Patience | None = None,
    tasks: TaskStore | None = None,
) -> TaskService:
    """Make the service, an ASGI application.

    Args:
        dataservice_url: the data service whose records are kept.
        folder: where snapshots lie, in `staging` and `public`, and the tasks beside them unless a store is given.
        coordinator_url: as `TaskService` has it.
        connections: lists that are read at the same time.
        timeout_s: seconds that the data service may take for one page.
        patience: how often a list that broke off is begun again, and after which pauses; three times if not given.
        tasks: where tasks are kept, if not in the folder.

    Raises:
        ValueError: an address is none, `connections` is below 1, or the folder is spread over file systems.
        StoreUnavailable: the folder cannot be made.
    """
    if connections < 1:
        raise ValueError(f"connections must be at least 1, not {connections}")
    DataService(dataservice_url)
    life = SnapshotLife(SnapshotFolders(folder), dataservice_url, connections, timeout_s, patience or Patience())
    service = TaskService(
        NAME,
        version=__version__,
        message="keeps the records of released studies",
        store=tasks or SqliteStore(Path(folder) / "tasks.db"),
        coordinator_url=coordinator_url,
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
) -> None:
    """Serve until Ctrl-C or SIGTERM; the arguments and errors are those of `make_service` and `TaskService.run`."""
    service = make_service(
        dataservice_url=dataservice_url,
        folder=folder,
        coordinator_url=coordinator_url,
        connections=connections,
    )
    service.run(host=host, port=port)
