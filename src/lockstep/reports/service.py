"""The release reports service put together: whatever may be chosen is an argument of `make_service`.

`deployment` reads the same from the environment.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from lockstep import __version__
from lockstep.dataservice.client import CONNECTIONS, TIMEOUT_S, DataService
from lockstep.dataservice.patience import Patience
from lockstep.reports.api import reports_route
from lockstep.reports.diff import THRESHOLD_PERCENT
from lockstep.reports.fhir import FhirAccess, FhirSource
from lockstep.reports.life import ReportLife
from lockstep.reports.sources import (
    CountSource,
    DataServiceSource,
    Preferred,
    Release,
    Source,
    TaskServicesSource,
)
from lockstep.reports.sqlite_store import SqliteReports
from lockstep.reports.store import ReportStore
from lockstep.taskkit import SqliteStore, TaskService, TaskStore

NAME: Final = "kf-task-release-reports"
"""The name that coordinators in the field know the service by."""

DEFAULT_PORT: Final = 5020
DEFAULT_FOLDER: Final = ".lockstep/reports"


def make_service(
    *,
    dataservice_url: str = "",
    folder: str | Path = DEFAULT_FOLDER,
    coordinator_url: str | None = None,
    sources: Sequence[Source] = (Source.DATA_SERVICE,),
    fhir: FhirAccess | None = None,
    connections: int = CONNECTIONS,
    timeout_s: float = TIMEOUT_S,
    patience: Patience | None = None,
    fail_on_unknown: bool = True,
    threshold_percent: float = THRESHOLD_PERCENT,
    reports: ReportStore | None = None,
    tasks: TaskStore | None = None,
) -> TaskService:
    """Make the service, an ASGI application.

    Args:
        dataservice_url: the data service whose lists are counted, where that is one of the sources.
        folder: where reports and tasks are kept, each in a file of its own, unless stores are given.
        coordinator_url: as `TaskService` has it. Without a coordinator nothing can be published, since it alone knows
            the final version.
        sources: where counts come from, the preferred one first; what one does not know is asked of the next.
        fhir: the FHIR server, where that is one of the sources.
        connections: counts that are asked for at the same time.
        timeout_s: seconds that a source may take for one count.
        patience: how often a failed count is asked for, and after which pauses; three times if not given.
        fail_on_unknown: whether counts that could not be had fail the task. Counts that the source says it does not
            publish never do.
        threshold_percent: a count that falls by more than this is flagged when releases are compared.
        reports: where reports are kept, if not in the folder.
        tasks: where tasks are kept, if not in the folder.

    Raises:
        ValueError: an address is missing or none, there is no source, or `connections` is below 1.
        StoreUnavailable: the folder cannot be used.
    """
    if connections < 1:
        raise ValueError(f"connections must be at least 1, not {connections}")
    open_source = _Sources(sources, dataservice_url, fhir, timeout_s, connections, patience or Patience())
    store = reports or SqliteReports(Path(folder) / "reports.db")
    life = ReportLife(store, open_source, connections, fail_on_unknown, now=lambda: datetime.now(UTC))
    service = TaskService(
        NAME,
        version=__version__,
        message="counts what a release holds",
        store=tasks or SqliteStore(Path(folder) / "tasks.db"),
        coordinator_url=coordinator_url,
        routes=[reports_route(store, threshold_percent=threshold_percent)],
    )
    service.stage(life.stage)
    service.publish(life.publish)
    service.cancel(life.cancel)
    return service


@dataclass(frozen=True, slots=True)
class _Sources:
    """The sources that were chosen, checked; called for a release, it opens them."""

    chosen: Sequence[Source]
    dataservice_url: str
    fhir: FhirAccess | None
    timeout_s: float
    connections: int
    patience: Patience

    def __post_init__(self) -> None:
        if not self.chosen:
            raise ValueError(f"counts need a source; there are {', '.join(Source)}")
        if Source.DATA_SERVICE in self.chosen:
            self._data_service()
        if Source.FHIR in self.chosen and self.fhir is None:
            raise ValueError("counts are to come from a FHIR server, and its address is missing")

    @asynccontextmanager
    async def __call__(self, release: Release) -> AsyncIterator[CountSource]:
        async with AsyncExitStack() as opened:
            found: list[CountSource] = []
            for source in dict.fromkeys(self.chosen):
                if source is Source.DATA_SERVICE:
                    service = await opened.enter_async_context(self._data_service())
                    found.append(DataServiceSource(service, self.patience))
                elif source is Source.FHIR and self.fhir is not None:
                    found.append(await opened.enter_async_context(self._fhir_server(self.fhir)))
                else:
                    found.append(TaskServicesSource(release))
            yield found[0] if len(found) == 1 else Preferred(found)

    def _data_service(self) -> DataService:
        return DataService(self.dataservice_url, timeout_s=self.timeout_s, connections=self.connections)

    def _fhir_server(self, access: FhirAccess) -> FhirSource:
        return FhirSource(access, self.patience, timeout_s=self.timeout_s, connections=self.connections)
