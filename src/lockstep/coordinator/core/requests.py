"""What people ask of a release: to publish it, to cancel it. Pure functions on a draft."""

from lockstep.coordinator.core.draft import Draft
from lockstep.coordinator.core.errors import Conflict
from lockstep.coordinator.core.joint import settle
from lockstep.protocol.states import ReleaseState


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
