"""What people ask of a release: to change what is said of it, to look at it, to publish it, to cancel it.

Pure functions on a draft.
"""

from collections.abc import Collection
from typing import Any, Final

from lockstep.coordinator.core.draft import Draft
from lockstep.coordinator.core.errors import Conflict
from lockstep.coordinator.core.joint import settle
from lockstep.protocol.states import ReleaseState, TaskState

_VERSION_IS_OPEN: Final = frozenset(
    {ReleaseState.WAITING, ReleaseState.INITIALIZING, ReleaseState.RUNNING, ReleaseState.STAGED}
)
_POLLED: Final = frozenset({TaskState.RUNNING, TaskState.PUBLISHING})


def edit(draft: Draft, *, studies: Collection[str] | None = None, is_major: bool | None = None, **texts: Any) -> None:  # noqa: ANN401 - name, description, tags
    """Change what is said of a release: its name, description and tags at any time, and whether it is major.

    Whether it is major decides its version, so that it can be said until publishing begins, which fixes that. The
    studies are what the services were told at the start; they may be repeated, and stay.

    Raises:
        Conflict: the studies are others, or it is too late to say whether it is major.
    """
    release = draft.release
    if studies is not None and set(studies) != set(release.studies):
        raise Conflict(f"The studies of release {release.kf_id} stay as they are; another release can have others.")
    if is_major is not None and is_major is not release.is_major:
        if release.state not in _VERSION_IS_OPEN:
            raise Conflict(
                f"The release in state {release.state} may no longer change whether it is major; "
                "its version follows from that, and is fixed when publishing begins."
            )
        meaning = "a major one: it takes the next major version" if is_major else "no longer a major one"
        draft.note(f"release {release.kf_id} is now {meaning} when it is published")
        draft.set_release(is_major=is_major)
    draft.set_release(**texts)


def ask_to_poll(draft: Draft) -> int:
    """Have every task that is at work asked for its state now, and return how many those are."""
    polled = [task for task in draft.tasks.values() if task.state in _POLLED]
    for task in polled:
        if task.due_at is not None and task.due_at > draft.now:
            draft.set_task(task.kf_id, due_at=draft.now)
    if draft.change().tasks:
        draft.set_release(look_at=draft.now)
    return len(polled)


def ask_to_publish(draft: Draft) -> None:
    """Take a person's request to publish a staged release.

    Publishing begins at once, or after the releases that share a study and were asked first. Asking again while the
    release waits for those changes nothing.

    Raises:
        Conflict: the release is not staged.
    """
    if draft.release.state is not ReleaseState.STAGED:
        raise Conflict(f"The release in state {draft.release.state} may not be published.")
    if draft.release.publish_order is None:
        draft.set_release(publish_order=draft.before.last_order + 1)
    settle(draft)
    draft.call_engine()


def ask_to_cancel(draft: Draft) -> None:
    """Take a person's request to cancel a release: it will end `canceled`.

    A release that is being canceled already, for whatever cause, goes on as it was; a settled one stays as it is.
    """
    draft.stop(ReleaseState.CANCELED)
    draft.call_engine()
