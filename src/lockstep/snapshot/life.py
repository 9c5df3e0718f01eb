"""The life of a snapshot: what the task service does on start, publish and cancel.

On start every list of the data service is read for every study, all of its pages, and written as it comes. Each file
has a reader of its own that knows one study and one list and shares nothing with the others, and the client refuses
whatever an answer says is of another study: a file cannot get the records of a study that is not its own.

The task kit runs these in a thread and an event loop that belong to the task, so a write to the disk delays nobody
else. After a kill the snapshot is made anew from the beginning.
"""

import asyncio
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from lockstep.dataservice.client import DataService
from lockstep.dataservice.entities import ENTITIES, STUDIES
from lockstep.dataservice.patience import Patience
from lockstep.snapshot.folders import RecordFile, SnapshotFolders
from lockstep.taskkit import Task


@dataclass(frozen=True, slots=True)
class SnapshotLife:
    """What the service does with its tasks.

    Attributes:
        folders: where snapshots lie.
        dataservice_url: the data service that is read.
        connections: lists that are read at the same time.
        timeout_s: seconds that one answer may take.
        patience: how often a list is begun again that broke off.
    """

    folders: SnapshotFolders
    dataservice_url: str
    connections: int
    timeout_s: float
    patience: Patience

    async def stage(self, task: Task) -> None:
        """Write the snapshot where the public cannot see it.

        Raises:
            SnapshotError: another task has a snapshot of the release.
            ExceptionGroup: of `DataServiceError`, when a list could not be read.
            OSError: the disk does not take it.
        """
        studies = tuple(dict.fromkeys(task.studies))
        folder = self.folders.begin(task.release_id, task.id, studies)
        contents: dict[str, dict[str, Any]] = {study_id: {} for study_id in studies}
        files = iter(list(product(studies, ENTITIES)))
        done, of = 0, len(studies) * len(ENTITIES)
        service = DataService(self.dataservice_url, timeout_s=self.timeout_s, connections=self.connections)

        async def write() -> None:
            nonlocal done
            for study_id, entity in files:
                contents[study_id][entity] = await self._write(service, folder, study_id, entity)
                done += 1
                task.progress(done, of=of)

        async with service, asyncio.TaskGroup() as group:
            for _ in range(min(self.connections, of)):
                group.create_task(write())
        self.folders.conclude(task.release_id, task.id, contents)

    def publish(self, task: Task) -> None:
        """Move the snapshot to the public folder.

        Raises:
            SnapshotError: there is no complete snapshot of this task.
        """
        self.folders.publish(task.release_id, task.id)

    def cancel(self, task: Task) -> None:
        """Throw the snapshot away."""
        self.folders.discard(task.release_id, task.id)

    async def _write(self, service: DataService, folder: Path, study_id: str, entity: str) -> dict[str, int | None]:
        """Write one file; return how many records it holds, and how many there are as the data service says."""
        path = folder / study_id / "dataservice" / f"{entity}.json"
        if entity == STUDIES:
            return await self.patience.insist(lambda: _write_study(service, path, study_id))
        return await self.patience.insist(lambda: _write_list(service, path, study_id, entity))


async def _write_study(service: DataService, path: Path, study_id: str) -> dict[str, int | None]:
    record = await service.study(study_id)
    with RecordFile(path) as file:
        file.add(record)
    return {"records": 1, "total": 1}


async def _write_list(service: DataService, path: Path, study_id: str, entity: str) -> dict[str, int | None]:
    total = None
    with RecordFile(path) as file:
        async for page in service.pages(entity, study_id):
            total = page.total
            for record in page.rows:
                file.add(record)
    return {"records": file.records, "total": total}
