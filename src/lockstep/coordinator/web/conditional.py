"""Conditional requests: nobody is sent what they have, and nobody changes what they have not seen.

The tag of a thing (`ETag`) is made of what is shown of it, so that it changes exactly when that does. `If-None-Match`
with it is answered 304 and no body. `If-Match` lets an edit pass only while the thing is as it was shown; the edit
itself is then told what was seen, so that nothing can come between the look and the change.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from lockstep.coordinator.core.errors import Changed, Invalid
from lockstep.coordinator.web.answers import JsonAnswer

ASK_AGAIN: Final = "private, no-cache"
"""How single things are cached: by their reader alone, who asks each time whether they have changed."""

FOR_ALL: Final = "public, max-age=30"
"""How what is public is cached: by everybody, for as long as nobody minds not knowing of a new release."""

_DIGITS: Final = 32
_KEY_CHARS: Final = 255
_KEPT: Final = ("etag", "cache-control", "access-control-allow-origin", "vary")


def one(request: Request, content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer that shows one thing, with its tag."""
    return tagged(request, JsonAnswer(content, status, headers), ASK_AGAIN)


def tagged(request: Request, answer: Response, cached: str) -> Response:
    """Return an answer with its tag, or 304 if the caller has it already."""
    answer.headers["ETag"] = tag = tag_of(bytes(answer.body))
    answer.headers["Cache-Control"] = cached
    given = request.headers.get("if-none-match")
    if request.method not in {"GET", "HEAD"} or given is None or not _names(given, tag, weak=True):
        return answer
    return Response(status_code=304, headers={name: answer.headers[name] for name in _KEPT if name in answer.headers})


def expects(request: Request) -> bool:
    """Tell whether the caller wants its change made only to what it has seen."""
    return "if-match" in request.headers


def check_seen(request: Request, content: object) -> None:
    """Let a change pass if the caller has seen the thing as it would be shown now.

    Raises:
        Changed: it has not.
    """
    given = request.headers.get("if-match")
    if given is not None and not _names(given, tag_of(bytes(JsonAnswer(content).body)), weak=False):
        raise Changed("This is no longer what the If-Match header names; look at it again, then decide anew.")


def tag_of(body: bytes) -> str:
    """Return the tag of a body."""
    return f'"{sha256(body).hexdigest()[:_DIGITS]}"'


def _names(given: str, tag: str, *, weak: bool) -> bool:
    """Tell whether a header names a tag, or anything. A proxy may have made a tag weak, which is enough to compare."""
    tags = [part.strip() for part in given.split(",")]
    if weak:
        tags = [part.removeprefix("W/") for part in tags]
    return tag in tags or "*" in tags


def header(name: str, description: str) -> Mapping[str, Any]:
    """Return how a header of a request is documented."""
    return {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}


def idempotency_key(request: Request) -> str:
    """Return the caller's own word for its request, empty if it gives none.

    Raises:
        Invalid: it is longer than what is kept.
    """
    key = request.headers.get("idempotency-key", "")
    if len(key) > _KEY_CHARS:
        raise Invalid({"Idempotency-Key": [f"This key is too long; at most {_KEY_CHARS} characters are allowed."]})
    return key


IDEMPOTENCY_KEY: Final[Mapping[str, Any]] = {
    **header("Idempotency-Key", "A word of the caller's for this request; sent again with it, it is the same one."),
    "schema": {"type": "string", "maxLength": 255},
}
IF_NONE_MATCH: Final = header("If-None-Match", "Tags of what the caller has; 304 when one of them is still right.")
IF_MATCH: Final = header("If-Match", "The tag of what was seen; 412 when it has changed since.")
