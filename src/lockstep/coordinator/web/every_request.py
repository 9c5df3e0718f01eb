"""What is the same for every request: an id, headers that keep browsers careful, the metrics, and a line in the log.

This is the outermost of everything, so that answers to our own mistakes have all of it too. The id is the caller's
`X-Request-ID` where that is a sound one, and made here otherwise; every line that is logged on the way has it. A line
is logged for each request that changes something, and for each answer of 500 and above; the metrics count them all.

The headers are a minimum: an answer that sets one of them itself knows better. What does not say that it may be kept
is kept by nobody, since most answers depend on who asks, and what is public is meant to be behind shared caches.
"""

import re
import secrets
import time
from collections.abc import Iterable
from typing import Any, Final

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lockstep.coordinator.metrics import Metrics
from lockstep.coordinator.tracing import CollectedSpans

log = structlog.get_logger("lockstep.web")

REQUEST_ID: Final = "X-Request-ID"

_SOUND: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,127}")
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OUR_FAULT: Final = 500

_PAGE_POLICY: Final = (
    b"default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_DATA_POLICY: Final = b"default-src 'none'; frame-ancestors 'none'"
_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cache-control", b"no-store"),
)
_TRANSPORT: Final = (b"strict-transport-security", b"max-age=31536000")

RawHeaders = list[tuple[bytes, bytes]]


class EveryRequest:
    """The outermost middleware."""

    def __init__(self, app: ASGIApp, metrics: Metrics, spans: CollectedSpans | None = None) -> None:
        self._app = app
        self._metrics = metrics
        self._spans = spans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, and add to its answer what every answer has."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        passing = _Passing(scope, send, self._metrics, self._spans)
        with structlog.contextvars.bound_contextvars(request_id=passing.request_id):
            try:
                await self._app(scope, receive, passing.send)
            finally:
                passing.end()


class _Passing:
    """One request on its way through."""

    __slots__ = ("_begun", "_metrics", "_scope", "_send", "_span", "_spans", "_status", "_streams", "request_id")

    def __init__(self, scope: Scope, send: Send, metrics: Metrics, spans: CollectedSpans | None) -> None:
        self._scope = scope
        self._send = send
        self._metrics = metrics
        self._begun = time.perf_counter()
        self._status = 0
        self._streams = False
        headers = Headers(scope=scope)
        self._spans = spans
        self._span = spans and spans.serving(scope["method"], headers)
        given = headers.get(REQUEST_ID, "")
        self.request_id = given if _SOUND.fullmatch(given) else secrets.token_hex(8)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            message["headers"] = headers = [*message.get("headers", ())]
            self._add_to(headers)
        await self._send(message)

    def end(self) -> None:
        """Take note of how it went; a request whose caller left before there was an answer is not counted."""
        if self._streams:
            self._metrics.streams(-1)
        if not self._status:
            return
        scope, seconds = self._scope, time.perf_counter() - self._begun
        method = scope["method"]
        route = getattr(scope.get("route"), "path", "other")
        if self._spans and self._span:
            self._spans.served(self._span, method, route, self._status)
        if not self._streams:
            self._metrics.answered(method, route, self._status, seconds)
        state = scope.get("state", {})
        if state.get("changes", method not in _SAFE) or self._status >= _OUR_FAULT:
            caller = state.get("caller")
            log.info(
                "request",
                method=method,
                path=scope["path"],
                status=self._status,
                caller=getattr(caller, "name", ""),
                ms=round(seconds * 1000, 1),
            )

    def _add_to(self, headers: RawHeaders) -> None:
        kind = next((value for name, value in headers if name == b"content-type"), b"")
        if kind.startswith(b"text/event-stream"):
            self._streams = True
            self._metrics.streams(1)
        has = {name for name, _ in headers}
        policy = _PAGE_POLICY if kind.startswith(b"text/html") else _DATA_POLICY
        headers += _missing((*_ALWAYS, (b"content-security-policy", policy)), has)
        if self._scope["scheme"] == "https":
            headers += _missing((_TRANSPORT,), has)
        headers.append((b"x-request-id", self.request_id.encode()))


def _missing(wanted: Iterable[tuple[bytes, bytes]], has: set[Any]) -> RawHeaders:
    return [(name, value) for name, value in wanted if name not in has]
