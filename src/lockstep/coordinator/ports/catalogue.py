"""What releases are made of: the studies, and the task services that bring them out."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from lockstep.coordinator.core.records import (
    Page,
    PageOf,
    ServiceFilter,
    Study,
    StudyFacts,
    StudyFilter,
    SyncResult,
    TaskService,
)


class Catalogue(Protocol):
    """The registered task services, and the studies as the data service last told them."""

    async def add_service(self, service: TaskService) -> TaskService:
        """Store a new service under an id of its own (the one given is not used); return it as stored."""
        ...

    async def edit_service(
        self, service_id: str, fields: Mapping[str, object], seen: TaskService | None = None
    ) -> TaskService:
        """Change some of name, description, url, author, enabled, last_ok_status.

        Raises:
            NotFound: there is no such service.
        """
        ...

    async def delete_service(self, service_id: str, seen: TaskService | None = None) -> None:
        """Take a service off the lists and out of new releases. Its tasks, old and open, keep it.

        Raises:
            NotFound: there is no such service.
        """
        ...

    async def service(self, service_id: str) -> TaskService:
        """Return a service.

        Raises:
            NotFound: there is no such service.
        """
        ...

    async def services(self, page: PageOf, which: ServiceFilter = ServiceFilter()) -> Page[TaskService]:
        """Return a page of services, deleted ones left out."""
        ...

    async def study(self, study_id: str) -> Study:
        """Return a study.

        Raises:
            NotFound: there is no such study.
        """
        ...

    async def studies(self, page: PageOf, which: StudyFilter = StudyFilter()) -> Page[Study]:
        """Return a page of studies."""
        ...

    async def sync_studies(self, facts: Sequence[StudyFacts]) -> SyncResult:
        """Make the mirrored studies the same as those given: add, update, mark deleted, un-delete."""
        ...

    async def known_studies(self, study_ids: Sequence[str]) -> set[str]:
        """Return those of some ids that are studies."""
        ...
