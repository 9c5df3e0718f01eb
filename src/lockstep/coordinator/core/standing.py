"""Where a task stands in its release: what it is to be told next, whether it is waited for, what is in doubt.

Facts that more than one part of the core needs, as tables and the few questions that they answer.
"""

from typing import Final

from lockstep.coordinator.core.model import Delivery, Task
from lockstep.protocol.messages import Action
from lockstep.protocol.states import ReleaseState, TaskState

NEXT_ACTION: Final = {
    (ReleaseState.INITIALIZING, TaskState.WAITING): Action.INITIALIZE,
    (ReleaseState.RUNNING, TaskState.PENDING): Action.START,
    (ReleaseState.PUBLISHING, TaskState.STAGED): Action.PUBLISH,
}
"""What a task in a state is told while its release is in a state."""

AT_WORK: Final = frozenset({(ReleaseState.RUNNING, TaskState.RUNNING), (ReleaseState.PUBLISHING, TaskState.PUBLISHING)})
"""Where a task is polled: the release waits for it to finish a step."""

CANCELS: Final = frozenset({ReleaseState.CANCELING, ReleaseState.CANCELED, ReleaseState.FAILED})
"""The states of a release in which its services are told to cancel, and nothing else."""

_UNANSWERED: Final = frozenset({Delivery.SENT, Delivery.DOUBTFUL})
_SAID: Final = frozenset({Delivery.ANSWERED, Delivery.GIVEN_UP})


def holds_up(state: ReleaseState, task: Task) -> bool:
    """Tell whether a release in a state waits for this task's service to do something."""
    return (state, task.state) in NEXT_ACTION or (state, task.state) in AT_WORK


def in_doubt(task: Task) -> bool:
    """Tell whether the last action to the task may or may not have arrived: neither an answer nor a report told."""
    return task.delivery in _UNANSWERED


def cancel_delivered(task: Task) -> bool:
    """Tell whether nothing more needs to be said to the task's service after a cancel."""
    return task.cancel in _SAID
