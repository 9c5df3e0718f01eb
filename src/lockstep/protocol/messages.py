"""The messages: a request carries one of five actions, and a reply is an answer, a refusal, or silence.

Rules of `docs/rules.md`, section "What counts as an answer", as data: `ACCEPTED` says which states agree to an
action, and everything else that a service can say to one is a refusal. Silence is neither: the request may have
arrived or not, and whoever sent it must find out with `get_status` before sending it again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from lockstep.protocol.states import TaskState

EPOCH_LIMIT: Final = 2**53 - 1
"""The highest epoch: the largest whole number that every reader of JSON takes as it is."""


class Action(StrEnum):
    """What a coordinator asks of a task service, the body's `action`."""

    INITIALIZE = "initialize"
    START = "start"
    PUBLISH = "publish"
    CANCEL = "cancel"
    GET_STATUS = "get_status"


WANTED: Final[Mapping[Action, TaskState]] = {
    Action.INITIALIZE: TaskState.PENDING,
    Action.START: TaskState.RUNNING,
    Action.PUBLISH: TaskState.PUBLISHING,
}
"""The state that an action brings a task to, also when the answer names none."""

ACCEPTED: Final[Mapping[Action, frozenset[TaskState]]] = {
    Action.INITIALIZE: frozenset({TaskState.PENDING}),
    Action.START: frozenset({TaskState.RUNNING, TaskState.STAGED}),
    Action.PUBLISH: frozenset({TaskState.PUBLISHING, TaskState.PUBLISHED}),
}
"""The states in an answer that agree to an action. A state outside contradicts it: a refusal."""


@dataclass(frozen=True, slots=True)
class Request:
    """One `POST {service}/tasks`.

    `urls` holds one retrieval address in the data service per study, in the order of `studies`. Both are left out
    of a `get_status`, as its receivers expect.

    `epoch` numbers those who send requests for one release one after the other: each who takes over has a higher
    one. A service that keeps the highest it has seen for a task refuses whatever comes later from somebody who was
    replaced. None says nothing about that.

    `callback_token` comes with `initialize` from a coordinator that knows its callers: shown as a bearer token, it lets
    the service report on this task, and do nothing else.
    """

    action: Action
    task_id: str
    release_id: str
    studies: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    epoch: int | None = None
    callback_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Findings:
    """What a service has to say about its task beside its state and progress, in an answer or a report of its own.

    Attributes:
        error: why it failed, a sentence.
        metrics: figures and words by their names, as JSON has them.
        preview: the address at which what it staged can be looked at.
        alive: it says that it is still at work, whatever the progress.
    """

    error: str | None = None
    metrics: Mapping[str, object] | None = None
    preview: str | None = None
    alive: bool = False


NO_FINDINGS: Final = Findings()


@dataclass(frozen=True, slots=True)
class Answer:
    """The service answered 200.

    `state` is absent when the body names none or is no JSON object. `progress` is in percent, 0 to 100; `complaint`
    says what was wrong with a progress that could not be understood, which is worth a warning and no more. `epoch` is
    the highest that the service has seen for the task, from a service that keeps it.
    """

    state: TaskState | None = None
    progress: int | None = None
    complaint: str | None = None
    epoch: int | None = None
    findings: Findings = NO_FINDINGS


@dataclass(frozen=True, slots=True)
class Refusal:
    """The service has spoken, and it said no: a status other than 200, or a state that is no state.

    `status` is the HTTP status, and `reason` a sentence for the event. `epoch` is the highest that the service has
    seen for the task; one above that of the request means that its sender has been replaced.
    """

    status: int
    reason: str
    epoch: int | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer came, or one that asks to be asked again (`retry_after_s`, in seconds)."""

    reason: str
    retry_after_s: float | None = None


Reply = Answer | Refusal | Silence
