"""What both stores say and refuse in the same words, and the few rules about rows that do not depend on a database."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from lockstep.coordinator.core.errors import Changed, Invalid, KeyReused, NotFound
from lockstep.coordinator.core.model import Change, Release, Snapshot, Task
from lockstep.coordinator.core.records import NewEvent

EDITABLE: Final = frozenset({"name", "description", "url", "author", "enabled", "last_ok_status", "client_id"})
"""The fields of a task service that may change once it is stored."""


def missing(kind: str, kf_id: str) -> NotFound:
    """Return the error for an id that nothing of that kind has."""
    return NotFound(f"There is no {kind} {kf_id}.")


def unknown_studies(study_ids: Iterable[str]) -> Invalid:
    """Return the error for studies that are not mirrored here, a sentence for each."""
    return Invalid({"studies": [f'Invalid pk "{study_id}" - object does not exist.' for study_id in study_ids]})


def unknown_order(order: str, orders: Collection[str]) -> Invalid:
    """Return the error for an order that a list does not have."""
    longest = 60
    return Invalid(
        {"ordering": [f"{order[:longest]!r} is no order of this list; {', '.join(orders)} are, or with - before it."]}
    )


def changed_since(kind: str, kf_id: str) -> Changed:
    """Return the error for something that somebody else has changed since the caller looked at it."""
    return Changed(f"The {kind} {kf_id} has changed since you looked at it; look again, then decide anew.")


def check_note(release_id: str, studies: Collection[str] | None, study_id: str | None, *, known: bool) -> None:
    """Let a note pass whose release is there, with its study in it.

    Args:
        release_id: the release that the note is for.
        studies: what the release holds, None when there is no such release.
        study_id: the study that the note is for, if it is for one.
        known: there is such a study.

    Raises:
        Invalid: it is not; in the words that clients know.
    """
    if studies is None:
        raise Invalid({"release": [f"Release {release_id} does not exist"]})
    if study_id is not None and not known:
        raise Invalid({"study": [f"Study {study_id} does not exist"]})
    if study_id is not None and study_id not in studies:
        raise Invalid({"study": [f"Study {study_id} is not in release {release_id}"]})


def check_links(
    new: NewEvent, of_task: tuple[str, str] | None, *, release_known: bool, service_known: bool
) -> NewEvent:
    """Return an event from elsewhere with everything that it is about: that of a task has its release and service.

    Args:
        new: the event.
        of_task: the release and the service of its task, None when it names no task that is there.
        release_known: the release that it names is there.
        service_known: the service that it names is there.

    Raises:
        Invalid: something that it names is not there, or is not the task's.
    """
    wrong: dict[str, list[str]] = {}
    if new.release_id is not None and not release_known:
        wrong["release"] = [f"Release {new.release_id} does not exist"]
    if new.task_service_id is not None and not service_known:
        wrong["task_service"] = [f"Task service {new.task_service_id} does not exist"]
    if new.task_id is not None and of_task is None:
        wrong["task"] = [f"Task {new.task_id} does not exist"]
    if wrong:
        raise Invalid(wrong)
    if of_task is None:
        return new
    release_id, service_id = of_task
    if new.release_id not in {None, release_id} or new.task_service_id not in {None, service_id}:
        raise Invalid({"task": [f"Task {new.task_id} is of release {release_id} and service {service_id}"]})
    return replace(new, release_id=release_id, task_service_id=service_id)


def key_reused(key: str) -> KeyReused:
    """Return the error for a key that stood for another request."""
    return KeyReused(f"The Idempotency-Key {key!r} was sent with another request before; each request needs its own.")


def check_editable(fields: Mapping[str, object]) -> None:
    """Let only fields pass that a service may be given anew.

    Raises:
        ValueError: a field is not one of those; the caller is wrong, not the user.
    """
    if wrong := sorted(set(fields) - EDITABLE):
        raise ValueError(f"{', '.join(wrong)} of a task service cannot be changed; {', '.join(sorted(EDITABLE))} can")


def without_repeats(study_ids: Sequence[str]) -> tuple[str, ...]:
    """Return the ids once each, in the order in which they were first given."""
    return tuple(dict.fromkeys(study_ids))


def check_same(before: Release, after: Release) -> None:
    """Let a changed release pass that still is the same one.

    Raises:
        ValueError: the id, the uuid, the studies or the time of creation differ; no decision changes those.
    """
    if _identity(before) != _identity(after):
        raise ValueError(f"a change of release {before.kf_id} keeps its id, uuid, studies and time of creation")


def changed_tasks(snapshot: Snapshot, change: Change) -> list[Task]:
    """Return those of a change's tasks that differ from what is stored.

    Raises:
        KeyError: a task was not loaded for the decision.
    """
    return [task for task in change.tasks if task != snapshot.tasks[task.kf_id]]


def _identity(release: Release) -> tuple[object, ...]:
    return release.kf_id, release.uuid, release.studies, release.created_at
