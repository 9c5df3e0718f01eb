"""JSON to message and back: the only place that knows how either looks.

The coordinator writes requests and reads replies; a task service reads requests and writes replies. Services in the
field speak dialects (progress as `50`, `"50%"` or `null`; `initialized` for `pending`; `cancelled`), and all of them
are understood here, so that nothing behind this module has heard of them.
"""

import json
import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, TypeGuard

from lockstep.protocol.errors import BadMessage, shown
from lockstep.protocol.messages import EPOCH_LIMIT, Action, Answer, Findings, Refusal, Reply, Request, Silence
from lockstep.protocol.states import task_state

ASK_AGAIN: Final = frozenset({429, 502, 503, 504})
"""Statuses that, together with a `Retry-After`, ask to be asked again and are no refusal."""

_PERCENT: Final = re.compile(r"([+-]?[0-9]+(?:\.[0-9]+)?) *%?")
_REASON_LIMIT: Final = 300
_ERROR_LIMIT: Final = 800
_METRICS_LIMIT_BYTES: Final = 50_000
_METRICS_DEPTH: Final = 20
_ADDRESS: Final = re.compile(r"https?://[!-~]{1,1000}")
_OK: Final = 200


def request_to_json(request: Request) -> dict[str, Any]:
    """Return the body of a request, its keys in the order that services in the field know.

    `kf_id` repeats the task's id for services that follow the first description of the protocol. `epoch` and
    `callback_token` come last, and only when there are any.
    """
    task = {"task_id": request.task_id, "release_id": request.release_id}
    epoch = {} if request.epoch is None else {"epoch": request.epoch}
    if request.action is Action.GET_STATUS:
        return {**task, "action": request.action.value, "kf_id": request.task_id, **epoch}
    token = {} if request.callback_token is None else {"callback_token": request.callback_token}
    return {
        "action": request.action.value,
        **task,
        "studies": list(request.studies),
        "urls": list(request.urls),
        "kf_id": request.task_id,
        **epoch,
        **token,
    }


def request_from_json(body: object) -> Request:
    """Return the request that a body holds.

    Raises:
        BadMessage: the body is not a request; the sentence says what is missing or wrong.
    """
    if not isinstance(body, Mapping):
        raise BadMessage("the body must be a JSON object with action, task_id and release_id")
    return Request(
        action=_action(body.get("action")),
        task_id=_name(body, "task_id", "kf_id"),
        release_id=_name(body, "release_id"),
        studies=_texts(body, "studies"),
        urls=_texts(body, "urls"),
        epoch=_epoch(body),
        callback_token=_token(body),
    )


def reply_from_http(status: int, body: bytes, retry_after: str | None = None) -> Reply:
    """Return what an HTTP response says to an action.

    Args:
        status: the HTTP status.
        body: the body as it came.
        retry_after: the `Retry-After` header, if there was one; only its form in seconds is honoured, a date counts
            as "soon".
    """
    if status != _OK:
        if status in ASK_AGAIN and retry_after is not None and (pause := _pause_s(retry_after)) is not None:
            return Silence(f"HTTP {status} with Retry-After", pause)
        return Refusal(status, _refusal_reason(status, body), _epoch_seen(_object(body)))
    fields = _object(body)
    word, epoch = fields.get("state"), _epoch_seen(fields)
    try:
        state = None if word is None else task_state(word)
    except BadMessage as error:
        return Refusal(status, f"HTTP 200, but {error}", epoch)
    try:
        progress = read_progress(fields["progress"]) if "progress" in fields else None
    except BadMessage as error:
        return Answer(state, None, str(error), epoch, read_findings(fields))
    return Answer(state, progress, epoch=epoch, findings=read_findings(fields))


def read_findings(fields: Mapping[str, object]) -> Findings:
    """Return what an answer or a report says beside state and progress; what cannot be meant is left out."""
    error, metrics, preview = (fields.get(name) for name in ("error", "metrics", "preview"))
    return Findings(
        _line(error)[:_ERROR_LIMIT] if isinstance(error, str) and error.strip() else None,
        metrics if isinstance(metrics, Mapping) and _can_be_shown(metrics) else None,
        preview if isinstance(preview, str) and _ADDRESS.fullmatch(preview) else None,
        "heartbeat" in fields,
    )


def _line(text: str) -> str:
    """Return a text on one line, without what cannot be stored or sent on: NUL, and halves of surrogate pairs."""
    return " ".join(text.encode("utf-8", "replace").decode().replace("\0", " ").split())


def _can_be_shown(value: object) -> bool:
    """Tell whether whoever is shown a value can take it: as JSON in UTF-8 that is neither long nor deep."""
    try:
        written = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        return False
    return len(written) <= _METRICS_LIMIT_BYTES and _is_within(value, _METRICS_DEPTH)


def _is_within(value: object, levels: int) -> bool:
    """Tell whether lists and objects are nested in no more than some levels."""
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else None
    return inner is None or (levels > 0 and all(_is_within(each, levels - 1) for each in inner))


def read_progress(value: object) -> int:
    """Return a progress in percent, cut to 0..100: from `50`, `50.0`, `"50"`, `"50%"`; `null` is 0.

    Raises:
        BadMessage: the value is no progress.
    """
    if value is None:
        return 0
    number: object = value
    if isinstance(value, str):
        written = _PERCENT.fullmatch(value.strip())
        number = float(written[1]) if written else None
    if isinstance(number, bool) or not isinstance(number, int | float) or not -math.inf < number < math.inf:
        raise BadMessage(f'{shown(value)} is not a progress; a number from 0 to 100, or a text such as "50%", would be')
    return int(min(100, max(0, number)))


def _action(word: object) -> Action:
    try:
        return Action(word if isinstance(word, str) else "")
    except ValueError:
        raise BadMessage(f"action must be one of {', '.join(Action)}, not {shown(word)}") from None


def _name(body: Mapping[str, object], *keys: str) -> str:
    """Return the first of some keys that holds an id, which is any short text: services make no demands on it."""
    longest = 100
    for key in keys:
        if (value := body.get(key)) is not None:
            if isinstance(value, str) and 0 < len(value) <= longest and value.isprintable():
                return value
            raise BadMessage(f"{key} must be a text of 1 to {longest} characters")
    raise BadMessage(f"{keys[0]} is missing")


def _texts(body: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = body.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadMessage(f"{key} must be a list of texts")
    return tuple(value)


def _token(body: Mapping[str, object]) -> str | None:
    longest = 1000
    value = body.get("callback_token")
    if value is None:
        return None
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or not 0 < len(value) <= longest:
        raise BadMessage(f"callback_token must be a text of 1 to {longest} ASCII characters")
    return value


def _epoch(body: Mapping[str, object]) -> int | None:
    if (value := body.get("epoch")) is not None and not _is_epoch(value):
        raise BadMessage(f"epoch must be a whole number from 0 to {EPOCH_LIMIT}, not {shown(value)}")
    return _epoch_seen(body)


def _epoch_seen(fields: Mapping[str, Any]) -> int | None:
    """Return the epoch that an answer names; one that is none is none of our business."""
    value = fields.get("epoch")
    return value if _is_epoch(value) else None


def _is_epoch(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= EPOCH_LIMIT


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        decoded = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return decoded if isinstance(decoded, Mapping) else {}


def _pause_s(header: str) -> float | None:
    """Return the pause that a `Retry-After` asks for; 0 for a date, whose clock we do not trust; None for neither."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return 0.0


def _refusal_reason(status: int, body: bytes) -> str:
    try:
        phrase = f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = f"HTTP {status}"
    said = " ".join(body.decode("utf-8", "replace").replace("\0", " ").split())
    return f"{phrase}: {said[:_REASON_LIMIT]}" if said else phrase
