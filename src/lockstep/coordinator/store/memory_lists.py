"""The lists of the store in memory: the same filters and orders, over all rows, which are few.

Rows come in the order of their creation. Text is compared as SQLite does: ASCII letters in any case.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

from lockstep.coordinator.core.model import Release
from lockstep.coordinator.core.records import (
    Event,
    EventFilter,
    NoteFilter,
    Page,
    PageOf,
    ReleaseFilter,
    ReleaseNote,
    ServiceFilter,
    Study,
    StudyFilter,
    TaskFilter,
    TaskService,
    TaskView,
)
from lockstep.coordinator.store.promises import unknown_order

Row = TypeVar("Row")

Orders = Mapping[str, Callable[[Any], Any]]
"""By the name of an order, what of a row is compared; of `created_at` nothing, since rows stand in that order."""


def _as_made(_: object) -> int:
    return 0


RELEASE_ORDERS: Final[Orders] = {
    "created_at": _as_made,
    "name": lambda release: release.name,
    "author": lambda release: release.author,
    "version": lambda release: release.version,
    "state": lambda release: release.state,
    "published_at": lambda release: release.published_at,
}
TASK_ORDERS: Final[Orders] = {"created_at": _as_made, "state": lambda view: view.task.state}
EVENT_ORDERS: Final[Orders] = {"created_at": _as_made, "event_type": lambda event: event.event_type}
NOTE_ORDERS: Final[Orders] = {"created_at": _as_made, "author": lambda note: note.author}
SERVICE_ORDERS: Final[Orders] = {
    "created_at": _as_made,
    "name": lambda service: service.name,
    "author": lambda service: service.author,
}
STUDY_ORDERS: Final[Orders] = {
    "created_at": lambda study: study.created_at,
    "name": lambda study: study.name,
    "kf_id": lambda study: study.kf_id,
}


def listed(rows: Iterable[Row], page: PageOf, orders: Orders, wanted: Callable[[Row], bool]) -> Page[Row]:
    """Return a page of those rows that are wanted.

    Raises:
        Invalid: the list has no such order.
    """
    name = page.order.removeprefix("-")
    if name not in orders:
        raise unknown_order(page.order, orders)
    value, down = orders[name], page.order != name
    found = list(filter(wanted, rows))
    if down:
        found.reverse()
    found.sort(key=lambda row: ((given := value(row)) is not None, given), reverse=down)
    return Page(tuple(found[page.offset : page.offset + page.limit]), len(found))


def release_matches(which: ReleaseFilter, release: Release) -> bool:
    """Tell whether a release is one of those."""
    return (
        (not which.states or release.state in which.states)
        and (which.study_id is None or which.study_id in release.studies)
        and which.author in {None, release.author}
        and which.name in {None, release.name}
        and _contains(release.name, which.name_contains)
        and which.version in {None, release.version}
        and which.is_major in {None, release.is_major}
        and set(which.tags) <= set(release.tags)
        and _between(release.created_at, which.created_after, which.created_before)
        and _between(release.published_at, which.published_after, which.published_before)
    )


def task_matches(which: TaskFilter, view: TaskView) -> bool:
    """Tell whether a task is one of those."""
    return (
        which.release_id in {None, view.release_id}
        and which.task_service_id in {None, view.task.service_id}
        and which.state in {None, view.task.state}
        and which.kf_id in {None, view.task.kf_id}
        and _between(view.task.created_at, which.created_after, which.created_before)
    )


def event_matches(which: EventFilter, event: Event) -> bool:
    """Tell whether an event is one of those."""
    return (
        which.release_id in {None, event.release_id}
        and which.task_service_id in {None, event.task_service_id}
        and which.task_id in {None, event.task_id}
        and which.event_type in {None, event.event_type}
        and _contains(event.message, which.message_contains)
        and _between(event.created_at, which.created_after, which.created_before)
    )


def note_matches(which: NoteFilter, note: ReleaseNote) -> bool:
    """Tell whether a note is one of those."""
    return (
        which.release_id in {None, note.release_id}
        and which.study_id in {None, note.study_id}
        and which.author in {None, note.author}
        and which.kf_id in {None, note.kf_id}
        and _contains(note.description, which.description_contains)
        and _between(note.created_at, which.created_after, which.created_before)
    )


def service_matches(which: ServiceFilter, service: TaskService) -> bool:
    """Tell whether a service is one of those."""
    return (
        which.enabled in {None, service.enabled}
        and which.author in {None, service.author}
        and which.name in {None, service.name}
        and which.description in {None, service.description}
        and which.url in {None, service.url}
        and which.healthy in {None, service.health_status == "ok"}
        and _contains(service.name, which.name_contains)
        and _between(service.created_at, which.created_after, which.created_before)
    )


def study_matches(which: StudyFilter, study: Study) -> bool:
    """Tell whether a study is one of those."""
    return (
        which.kf_id in {None, study.kf_id}
        and which.visible in {None, study.visible}
        and which.deleted in {None, study.deleted}
        and _contains(study.name, which.name_contains)
        and _between(study.created_at, which.created_after, which.created_before)
    )


def _contains(text: str, part: str | None) -> bool:
    return part is None or _plain(part) in _plain(text)


def _plain(text: str) -> str:
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)


def _between(value: datetime | None, after: datetime | None, before: datetime | None) -> bool:
    if after is None and before is None:
        return True
    return value is not None and (after is None or value > after) and (before is None or value < before)
