"""Task services and studies in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

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
from lockstep.coordinator.store import memory_lists as lists
from lockstep.coordinator.store.memory_tables import MemoryPart, found
from lockstep.coordinator.store.promises import changed_since, check_editable
from lockstep.protocol.ids import Prefix


class MemoryCatalogue(MemoryPart):
    """The port `Catalogue`."""

    async def add_service(self, service: TaskService) -> TaskService:
        """Store a new service under an id of its own."""
        kf_id = self._ids.free_kf_id(Prefix.TASK_SERVICE, self._tables.services, self._tables.deleted_services)
        self._tables.services[kf_id] = stored = replace(service, kf_id=kf_id)
        return stored

    async def edit_service(
        self, service_id: str, fields: Mapping[str, object], seen: TaskService | None = None
    ) -> TaskService:
        """Change some fields of a service; its tasks follow its name and url."""
        check_editable(fields)
        before = self._service_as_seen(service_id, seen)
        self._tables.services[service_id] = after = replace(before, **fields)  # type: ignore[arg-type] # checked above
        if (before.name, before.url) != (after.name, after.url):
            self._tables.rename(after)
        return after

    async def delete_service(self, service_id: str, seen: TaskService | None = None) -> None:
        """Take a service off the lists and out of new releases."""
        self._service_as_seen(service_id, seen)
        self._tables.deleted_services[service_id] = self._tables.services.pop(service_id)

    async def service(self, service_id: str) -> TaskService:
        """Return a service."""
        return found(self._tables.services, "task service", service_id)

    async def services(self, page: PageOf, which: ServiceFilter = ServiceFilter()) -> Page[TaskService]:
        """Return a page of services."""
        matches = partial(lists.service_matches, which)
        return lists.listed(self._tables.services.values(), page, lists.SERVICE_ORDERS, matches)

    async def study(self, study_id: str) -> Study:
        """Return a study."""
        return self._tables.with_versions(found(self._tables.studies, "study", study_id))

    async def studies(self, page: PageOf, which: StudyFilter = StudyFilter()) -> Page[Study]:
        """Return a page of studies."""
        by_id = sorted(self._tables.studies.values(), key=lambda study: study.kf_id)
        part = lists.listed(by_id, page, lists.STUDY_ORDERS, partial(lists.study_matches, which))
        return Page(tuple(map(self._tables.with_versions, part.rows)), part.count)

    async def sync_studies(self, facts: Sequence[StudyFacts]) -> SyncResult:
        """Make the mirrored studies the same as those given."""
        before = self._tables.studies
        given = {fact.kf_id: Study(fact.kf_id, fact.title, fact.visible, False, fact.created_at) for fact in facts}
        gone = {kf_id: replace(study, deleted=True) for kf_id, study in before.items() if kf_id not in given}
        self._tables.studies = {**before, **given, **gone}
        return SyncResult(
            new=tuple(kf_id for kf_id in given if kf_id not in before),
            deleted=tuple(sorted(kf_id for kf_id in gone if not before[kf_id].deleted)),
            restored=tuple(kf_id for kf_id in given if kf_id in before and before[kf_id].deleted),
        )

    async def known_studies(self, study_ids: Sequence[str]) -> set[str]:
        """Return those of some ids that are studies."""
        return {study_id for study_id in study_ids if study_id in self._tables.studies}

    def _service_as_seen(self, service_id: str, seen: TaskService | None) -> TaskService:
        service = found(self._tables.services, "task service", service_id)
        if seen is not None and service != seen:
            raise changed_since("task service", service_id)
        return service
