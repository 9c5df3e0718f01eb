"""What both stores say and refuse in the same words, and the few rules about rows that do not depend on a database."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from lockstep.coordinator.core.errors import Invalid, NotFound
from lockstep.coordinator.core.model import Change, Release, Snapshot, Task

EDITABLE: Final = frozenset({"name", "description", "url", "author", "enabled", "last_ok_status"})
"""The fields of a task service that may change once it is stored."""


def missing(kind: str, kf_id: str) -> NotFound:
    """Return the error for an id that nothing of that kind has."""
    return NotFound(f"There is no {kind} {kf_id}.")


def unknown_studies(study_ids: Iterable[str]) -> Invalid:
    """Return the error for studies that are not mirrored here, a sentence for each."""
    return Invalid({"studies": [f'Invalid pk "{study_id}" - object does not exist.' for study_id in study_ids]})


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
