"""What any answer to an action can be judged by, whatever the scene is about.

That it came, and in time; that its words are words of the protocol, its ids those that were asked for, and its progress
a number that rises. What the service says of a task is kept with the task.
"""

from typing import Final, Protocol

from lockstep.protocol.errors import BadMessage, shown
from lockstep.protocol.messages import Action
from lockstep.protocol.states import ENDED_EARLY, TaskState
from lockstep.protocol.wire import read_progress
from lockstep.taskkit.conformance.exchange import Exchange
from lockstep.taskkit.conformance.options import Options
from lockstep.taskkit.conformance.played import Subject

_T = TaskState
_OK: Final = 200
_FULL: Final = 100
_PLAIN_WORDS: Final = frozenset({*_T} - {_T.WAITING, _T.REJECTED})
_SERVER_ERRORS: Final = range(500, 600)


class Judge(Protocol):
    """Judges a case by an exchange; `seen` is the sentence for when it is not fine."""

    def __call__(self, name: str, exchange: Exchange | None, seen: str, *, fine: bool) -> bool:
        """Return whether it was fine."""


def look(judge: Judge, options: Options, action: Action, subject: Subject, got: Exchange) -> None:
    """Judge an answer, and keep what it says of its task."""
    late = f"{action} was not answered within {options.answer_limit_s:g} s."
    if not judge("answered-at-all", got, late, fine=not got.ran_out):
        return
    judge("no-server-error", got, f"{action} ended in an error of the service.", fine=not got.is_broken)
    if got.status is None:
        return
    name = "status-at-once" if action is Action.GET_STATUS else "action-at-once"
    judge(name, got, f"{action} was answered after {got.elapsed_s:.1f} s.", fine=got.elapsed_s <= options.at_once_s)
    if got.status == _OK:
        _look_at_state(judge, action, subject, got)
    elif not got.is_unclear and got.status not in _SERVER_ERRORS:
        look_at_refusal(judge, got)


def look_at_refusal(judge: Judge, got: Exchange) -> None:
    """Judge whether a refusal says why."""
    says = got.fields or {}
    why = any(isinstance(says.get(key), str) and says[key] for key in ("message", "detail", "error"))
    judge("refusal-says-why", got, "The refusal has no sentence in JSON.", fine=why)


def _look_at_state(judge: Judge, action: Action, subject: Subject, got: Exchange) -> None:
    fields = got.fields
    if not judge("answer-is-an-object", got, "The answer is no JSON object.", fine=fields is not None):
        return
    word = (fields or {}).get("state")
    if word is not None and judge("state-is-a-word", got, f"{shown(word)} is no state.", fine=got.state is not None):
        plain = f"It says {shown(word)} where {got.state} is the word."
        judge("state-in-plain-words", got, plain, fine=word in _PLAIN_WORDS)
    _look_at_ids(judge, subject, got)
    if got.state is not None and got.state is not subject.state:
        subject.state, subject.progress = got.state, 0
    if action is Action.GET_STATUS:
        _look_at_progress(judge, subject, got)


def _look_at_ids(judge: Judge, subject: Subject, got: Exchange) -> None:
    fields = got.fields or {}
    named = {"task_id": fields.get("task_id", fields.get("kf_id")), "release_id": fields.get("release_id")}
    missing = [name for name, value in named.items() if value is None]
    judge("ids-named", got, f"{' and '.join(missing)} cannot be found in the answer.", fine=not missing)
    right = {"task_id": subject.task_id, "release_id": subject.release_id}
    mixed = [name for name, value in named.items() if value is not None and value != right[name]]
    judge("ids-not-mixed-up", got, f"{' and '.join(mixed)} is that of something else.", fine=not mixed)


def _look_at_progress(judge: Judge, subject: Subject, got: Exchange) -> None:
    fields = got.fields or {}
    value = fields.get("progress")
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _FULL
    seen = f"progress is {shown(value)}." if "progress" in fields else "There is no progress."
    judge("progress-is-a-number", got, seen, fine=whole)
    try:
        percent = read_progress(value)
    except BadMessage:
        return
    before, subject.progress = subject.progress, percent
    full = value is None or got.state not in {_T.STAGED, _T.PUBLISHED} or percent == _FULL
    seen = f"progress was {before}, and is {percent} in {got.state}."
    judge("progress-rises", got, seen, fine=full and (percent >= before or got.state in ENDED_EARLY))
