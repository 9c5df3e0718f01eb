"""Where counts come from: the port, and what stands behind it besides a FHIR server. `count_all` asks for everything.

Sources can stand in for one another: `Preferred` asks the first, and for what that does not know the next. Each count
says whose it is, since the numbers of two sources for one entity may well mean two things.

A source answers every question with a count, known or unknown. A question that fails is asked again by the source
itself, and if it stays without an answer, that is an unknown count with a reason, not an exception: one dead entity
of one study must not cost the rest of the report. The reason is shown in public, so it names no address.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from itertools import product
from typing import Any, Final, Protocol

from lockstep.dataservice.answers import is_count, shown
from lockstep.dataservice.client import DataService, DataServiceError
from lockstep.dataservice.entities import REPORTED
from lockstep.dataservice.patience import Patience
from lockstep.reports.counting import Count, Known, Unknown

NOT_PUBLISHED: Final = "not published by the source"
NOT_REPORTED: Final = "not reported by a task service"


class Source(StrEnum):
    """What counts can come from, by the word that settings have for it."""

    DATA_SERVICE = "dataservice"
    FHIR = "fhir"
    TASK_SERVICES = "tasks"


Release = Mapping[str, Any]
"""A release as the coordinator shows it; empty when nobody could be asked."""


class CountSource(Protocol):
    """The port."""

    async def count(self, entity: str, study_id: str) -> Count:
        """Return how many visible rows of an entity a study has, or why nobody knows."""


OpenSource = Callable[[Release], AbstractAsyncContextManager[CountSource]]
"""Opens a source for the counting of one release, in the event loop that does it."""


class DataServiceSource:
    """Counts by the totals of a data service's lists. `service` has to be open."""

    name: Final = "data service"

    def __init__(self, service: DataService, patience: Patience) -> None:
        self._service = service
        self._patience = patience

    async def count(self, entity: str, study_id: str) -> Count:
        """Return the total of an entity's list for a study."""
        try:
            total = await self._patience.insist(lambda: self._service.count(entity, study_id))
        except DataServiceError as error:
            return Unknown(f"the data service {error.fault}", self.name)
        return Unknown(NOT_PUBLISHED, self.name, withheld=True) if total is None else Known(total, self.name)


class TaskServicesSource:
    """Counts that task services themselves have reported by now: `tasks[].metrics` of a release.

    `metrics` maps the ids of studies to entities and their numbers. Where it is absent, or holds anything else,
    nothing was reported. Two services that report different numbers leave the count unknown.
    """

    name: Final = "task services"

    def __init__(self, release: Release) -> None:
        tasks = release.get("tasks")
        self._tasks = [task for task in tasks if isinstance(task, Mapping)] if isinstance(tasks, list) else []

    async def count(self, entity: str, study_id: str) -> Count:
        """Return the number that task services reported for an entity of a study."""
        numbers: dict[int, str] = {}
        for task in self._tasks:
            number = _entry(_entry(task.get("metrics"), study_id), entity)
            if is_count(number):
                numbers.setdefault(number, shown(str(task.get("service_name") or "a task service")))
        match list(numbers.items()):
            case []:
                return Unknown(NOT_REPORTED, self.name, withheld=True)
            case [(number, service)]:
                return Known(number, f"task service {service}")
            case several:
                said = ", ".join(f"{number} by {service}" for number, service in several)
                return Unknown(f"reported differently: {said}", self.name)


class Preferred:
    """Asks sources in an order of preference until one knows; what none knows is unknown for all of their reasons."""

    def __init__(self, sources: Sequence[CountSource]) -> None:
        self._sources = sources

    async def count(self, entity: str, study_id: str) -> Count:
        """Return the count of the first source that knows it."""
        unknown: list[Unknown] = []
        for source in self._sources:
            count = await source.count(entity, study_id)
            if isinstance(count, Known):
                return count
            unknown.append(count)
        reasons = "; ".join(dict.fromkeys(count.reason for count in unknown))
        return Unknown(reasons, unknown[0].source, withheld=all(count.withheld for count in unknown))


def _entry(holder: object, key: str) -> object:
    return holder.get(key) if isinstance(holder, Mapping) else None


async def count_all(
    source: CountSource, studies: Iterable[str], *, connections: int, on_count: Callable[[int, int], None]
) -> dict[str, dict[str, Count]]:
    """Return all counts of some studies, having asked for as many at once as there are connections.

    Args:
        source: answers the questions.
        studies: the ids of the studies.
        connections: questions under way at the same time.
        on_count: told after each count how many there are, and how many there will be.
    """
    counts: dict[str, dict[str, Count]] = {study_id: {} for study_id in studies}
    of, done = len(counts) * len(REPORTED), 0
    questions = iter(list(product(counts, REPORTED)))

    async def ask() -> None:
        nonlocal done
        for study_id, entity in questions:
            counts[study_id][entity] = await source.count(entity, study_id)
            done += 1
            on_count(done, of)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(connections, of)):
            group.create_task(ask())
    return {study_id: _in_order(found) for study_id, found in counts.items()}


def _in_order(found: Mapping[str, Count]) -> dict[str, Count]:
    return {entity: found[entity] for entity in REPORTED}
