"""What a store in memory keeps, as tables: rows by id, and what would be an index or a counter on a database.

Every part of the store works on the same tables. Rows are never changed in place, so that a snapshot stays what it was.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, TypeVar

from lockstep.coordinator.core.callers import Sight
from lockstep.coordinator.core.errors import NotFound
from lockstep.coordinator.core.model import Release, Task
from lockstep.coordinator.core.records import Event, ReleaseNote, ReleaseView, Study, TaskService
from lockstep.coordinator.core.versions import Version
from lockstep.coordinator.store.fresh import FreshIds
from lockstep.coordinator.store.promises import missing

Row = TypeVar("Row")

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class Tables:
    """The rows, in the order of their creation, and what follows from them.

    Attributes:
        numbers: by release, how many there were before it.
        release_of: the release of each task.
        current: by study, the release that was published last.
        newest: by study, the release that was made last.
        newest_published: by study, the published release that was made last.
    """

    def __init__(self) -> None:
        self.releases: dict[str, Release] = {}
        self.numbers: dict[str, int] = {}
        self.tasks: dict[str, dict[str, Task]] = {}
        self.release_of: dict[str, str] = {}
        self.events: dict[str, Event] = {}
        self.events_of: dict[str, list[Event]] = {}
        self.services: dict[str, TaskService] = {}
        self.deleted_services: dict[str, TaskService] = {}
        self.studies: dict[str, Study] = {}
        self.notes: dict[str, ReleaseNote] = {}
        self.current: dict[str, str] = {}
        self.newest: dict[str, str] = {}
        self.newest_published: dict[str, str] = {}
        self.versions: set[Version] = set()
        self.highest_given: Version | None = None
        self.highest_published: Version | None = None
        self.last_order = 0

    def seen(self, release_id: str | None, sight: Sight) -> bool:
        """Tell whether a release, or what belongs to it, may be seen."""
        if sight.everything:
            return True
        release = self.releases.get(release_id or "")
        return release is not None and sight.sees(release.state, release.studies)

    def check_seen(self, release_id: str | None, sight: Sight, error: NotFound) -> None:
        """Raise an error if a release, or what belongs to it, may not be seen."""
        if not self.seen(release_id, sight):
            raise error

    def view(self, release: Release) -> ReleaseView:
        """Return a release with its tasks and notes."""
        return ReleaseView(release, tuple(self.tasks[release.kf_id].values()), tuple(self.notes_of(release.kf_id)))

    def notes_of(self, release_id: str) -> list[ReleaseNote]:
        """Return all notes of a release, the newest first."""
        return [note for note in reversed(self.notes.values()) if note.release_id == release_id]

    def give(self, version: Version) -> None:
        """Keep in mind that a version has been given."""
        self.versions.add(version)
        self.highest_given = max(self.highest_given or version, version)

    def rename(self, service: TaskService) -> None:
        """Let the tasks of a service follow its name and url."""
        for release_id, tasks in self.tasks.items():
            self.tasks[release_id] = {
                kf_id: task._replace(service_name=service.name, service_url=service.url)
                if task.service_id == service.kf_id
                else task
                for kf_id, task in tasks.items()
            }

    def client_of_task(self, task_id: str) -> str:
        """Return the client id of the service of a task.

        Raises:
            NotFound: there is no such task.
        """
        service_id = self.tasks[found(self.release_of, "task", task_id)][task_id].service_id
        return {**self.services, **self.deleted_services}[service_id].client_id

    def with_versions(self, study: Study) -> Study:
        """Return a study with what its newest and its newest published release say of it."""
        newest = self.releases.get(self.newest.get(study.kf_id, ""))
        published = self.releases.get(self.newest_published.get(study.kf_id, ""))
        return replace(
            study,
            version=newest.version if newest else None,
            last_pub_version=published.version if published else None,
            last_pub_date=published.created_at if published else None,
            last_published_at=published.published_at if published else None,
        )


class MemoryPart:
    """A part of the store, on the tables that it shares with the others."""

    def __init__(self, tables: Tables, ids: FreshIds) -> None:
        self._tables = tables
        self._ids = ids


def found(rows: Mapping[str, Row], kind: str, kf_id: str) -> Row:
    """Return a row by its id.

    Raises:
        NotFound: there is none.
    """
    if kf_id not in rows:
        raise missing(kind, kf_id)
    return rows[kf_id]


def published_at(release: Release) -> datetime:
    """Return when a release became public; a time before all others if it did not."""
    return release.published_at or _LONG_AGO
