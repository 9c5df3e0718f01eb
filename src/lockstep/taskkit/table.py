"""What a task service answers: five actions on a task in any of its states, as one table.

A coordinator may ask the same thing twice, because an answer was lost, because it was killed and started again, or
because somebody clicked twice. So the table follows one thought: an action asks for an effect, and where the effect
is there already, it is a success that changes nothing. Only what contradicts the order of things is refused: staging
what was never initialized, publishing what was not staged, going on with what is over.

`ANSWERS[action][state]` is the state after the action. The state itself means "nothing to do, and fine"; another one
is a change that the store makes if the task is still in the state that was seen; a `Refusal` is the status and the
sentence that are sent. `None` as a state is a task that nobody has heard of here. Tasks are never `waiting` or
`rejected` on this side of the wire: those are what a coordinator says before and instead of `pending`.

A coordinator sends the same `Idempotency-Key` with every repetition of an action on a task. The key names what the body
names, and nothing goes by it: a repetition is the same success again, with the state as it is by then. A kept answer
would tell an older one.

Before the table comes the fence. A coordinator that was held up, and replaced meanwhile, may still have a request on
its way. Requests therefore carry an `epoch` that rises with each take-over; the highest is kept with the task, and
whoever comes with a lower one is refused, whatever it asks. A request without an epoch comes from a coordinator that
knows none, and passes.

`admitted` is the fence and `answer` the only reader of the table. Both are pure: what is stored and what is asked go
in, what is to be stored comes out.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from lockstep.protocol.messages import Action, Refusal, Request
from lockstep.protocol.states import TaskState
from lockstep.taskkit.store import StoredTask

_T = TaskState

_UNKNOWN: Final = Refusal(404, "task {task} is not known here; initialize comes first")
_OVER: Final = Refusal(400, "task {task} is {state}, and that is final; a new release gets a new task")
_NOT_YET: Final = Refusal(400, "task {task} is {state}; it can be published once it is staged")

ANSWERS: Final[Mapping[Action, Mapping[TaskState | None, TaskState | Refusal]]] = {
    Action.INITIALIZE: {
        None: _T.PENDING,
        _T.PENDING: _T.PENDING,
        _T.RUNNING: _T.RUNNING,
        _T.STAGED: _T.STAGED,
        _T.PUBLISHING: _T.PUBLISHING,
        _T.PUBLISHED: _T.PUBLISHED,
        _T.FAILED: _OVER,
        _T.CANCELED: _OVER,
    },
    Action.START: {
        None: _UNKNOWN,
        _T.PENDING: _T.RUNNING,
        _T.RUNNING: _T.RUNNING,
        _T.STAGED: _T.STAGED,
        _T.PUBLISHING: _T.PUBLISHING,
        _T.PUBLISHED: _T.PUBLISHED,
        _T.FAILED: _OVER,
        _T.CANCELED: _OVER,
    },
    Action.PUBLISH: {
        None: _UNKNOWN,
        _T.PENDING: _NOT_YET,
        _T.RUNNING: _NOT_YET,
        _T.STAGED: _T.PUBLISHING,
        _T.PUBLISHING: _T.PUBLISHING,
        _T.PUBLISHED: _T.PUBLISHED,
        _T.FAILED: _OVER,
        _T.CANCELED: _OVER,
    },
    Action.CANCEL: {
        None: _UNKNOWN,
        _T.PENDING: _T.CANCELED,
        _T.RUNNING: _T.CANCELED,
        _T.STAGED: _T.CANCELED,
        _T.PUBLISHING: _T.CANCELED,
        _T.PUBLISHED: _T.PUBLISHED,
        _T.FAILED: _T.FAILED,
        _T.CANCELED: _T.CANCELED,
    },
    Action.GET_STATUS: {
        None: _UNKNOWN,
        _T.PENDING: _T.PENDING,
        _T.RUNNING: _T.RUNNING,
        _T.STAGED: _T.STAGED,
        _T.PUBLISHING: _T.PUBLISHING,
        _T.PUBLISHED: _T.PUBLISHED,
        _T.FAILED: _T.FAILED,
        _T.CANCELED: _T.CANCELED,
    },
}


_STALE: Final = "a coordinator of epoch {newer} has taken over task {task}; epoch {older} has nothing to say any more"


class Refused(Exception):
    """The service says no: `status` is the HTTP status, the text is the sentence that goes with it.

    `epoch` is the task's, where a lower one is the reason.
    """

    def __init__(self, status: int, sentence: str, epoch: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.epoch = epoch


def admitted(request: Request, seen: StoredTask | None) -> StoredTask | None:
    """Return the task that a request may speak of, with the request's epoch if that is the highest yet.

    Raises:
        Refused: the task belongs to another release, or the request's sender was replaced.
    """
    if seen is None:
        return None
    if seen.release_id != request.release_id:
        raise Refused(400, f"task {seen.task_id} belongs to release {seen.release_id}, not to {request.release_id}")
    if request.epoch is None or request.epoch == seen.epoch:
        return seen
    if seen.epoch is not None and request.epoch < seen.epoch:
        sentence = _STALE.format(newer=seen.epoch, task=seen.task_id, older=request.epoch)
        raise Refused(409, sentence, seen.epoch)
    return replace(seen, epoch=request.epoch)


def answer(request: Request, seen: StoredTask | None) -> StoredTask:
    """Return the task as it is to be after an admitted request; `seen` itself when nothing changes.

    Raises:
        Refused: the table says no, or the studies and addresses do not fit together.
    """
    after = ANSWERS[request.action][seen.state if seen else None]
    if isinstance(after, Refusal):
        raise Refused(after.status, after.reason.format(task=request.task_id, state=seen and seen.state.value))
    if seen is None:
        new = StoredTask(
            request.task_id, request.release_id, after, epoch=request.epoch, callback_token=request.callback_token
        )
        return _with_studies(new, request)
    if after is seen.state:
        return seen
    if after is _T.CANCELED:
        return replace(seen, state=after, attempt=1, cleanup_due=True)
    moved = replace(seen, state=after, attempt=1, progress=0)
    return _with_studies(moved, request) if after is _T.RUNNING else moved


def _with_studies(task: StoredTask, request: Request) -> StoredTask:
    """Take over the studies and addresses of an `initialize` or `start`; what it leaves out stays as it was.

    Some coordinators name the studies with both actions, some with one, and the addresses with `start` or never.
    """
    studies, urls = request.studies or task.studies, request.urls or task.urls
    if studies and urls and len(studies) != len(urls):
        raise Refused(400, f"urls must hold one address per study; there are {len(studies)} studies, {len(urls)} urls")
    return replace(task, studies=studies, urls=urls)
