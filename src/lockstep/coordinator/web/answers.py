"""How every answer of the REST face is written: compact JSON, times in UTC, absolute links.

Links are built from the request's `Host` header, since only the caller knows by which name it reaches us. A header
that is no host name would end up in every link, so it is refused.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from lockstep.coordinator.core.errors import CoordinatorError

_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":"))


class BadHost(CoordinatorError):
    """The request's `Host` header is no host name."""


class JsonAnswer(Response):
    """JSON, which browsers are told to take for nothing else."""

    media_type = "application/json"

    def __init__(self, content: object, status_code: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(content, status_code, {"X-Content-Type-Options": "nosniff", **(headers or {})})

    def render(self, content: Any) -> bytes:  # noqa: ANN401 - whatever JSON can say
        """Return the body."""
        return to_json(content).encode()


def to_json(content: object) -> str:
    """Return content as JSON in one line."""
    return _ENCODER.encode(content)


def base_url(request: Request) -> str:
    """Return the address by which the caller reaches us, without a slash at the end.

    Raises:
        BadHost: the `Host` header is no host name.
    """
    scope = request.scope
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), None)
    if host is None:
        name, port = scope.get("server") or ("localhost", 80)
        host = f"{name}:{port}"
    if not _HOST.fullmatch(host):
        raise BadHost("The Host header is not a host name with an optional port, such as localhost:5000.")
    return f"{scope['scheme']}://{host}{scope.get('root_path', '')}"


@lru_cache(maxsize=10_000)
def time(moment: datetime) -> str:
    """Return a time as clients know it: in UTC, with microseconds and `Z`. A release and its tasks share most times."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return f"{moment.isoformat(timespec='microseconds')[:-6]}Z"
