"""Spans of what this process asks and answers, sent to a collector by OTLP over HTTP.

All requests of one release have the release's own trace, whose id is kept with it; so spans of several processes, and
of the services that take part, come together whichever of them collects. Requests that are answered here go on with
the trace that their caller names, or begin one. OpenTelemetry is loaded only where a collector is named.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from lockstep import __version__
from lockstep.protocol.messages import Request

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

_TRACEPARENT: Final = "traceparent"
_OUR_FAULT: Final = 500


class Sending(Protocol):
    """A request to a task service while it is on its way."""

    traceparent: str

    def came_to(self, failure: str) -> None:
        """Take note of what came of it: why it failed, or nothing."""
        ...


class Spans(Protocol):
    """Takes note of requests to task services."""

    def sending(self, service_url: str, request: Request, trace_id: str) -> AbstractContextManager[Sending]:
        """Take note of a request of a release, whose trace is named by 32 hexadecimal digits; gives a `Sending`."""
        ...


class _Unseen:
    """A request that nobody takes note of; its services may all the same."""

    __slots__ = ("traceparent",)

    def __init__(self, trace_id: str) -> None:
        self.traceparent = f"00-{trace_id}-{secrets.token_hex(8)}-01"

    def came_to(self, failure: str) -> None:
        """Take note of nothing."""


class NoSpans:
    """Where no collector is named."""

    @contextmanager
    def sending(self, service_url: str, request: Request, trace_id: str) -> Iterator[Sending]:  # noqa: ARG002
        """Give what goes out to the service, and take note of nothing."""
        yield _Unseen(trace_id)


class _Seen:
    __slots__ = ("_span", "traceparent")

    def __init__(self, span: "Span") -> None:
        context = span.get_span_context()
        self.traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-01"
        self._span = span

    def came_to(self, failure: str) -> None:
        from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - only where a collector is named

        if failure:
            self._span.set_status(Status(StatusCode.ERROR, failure))


class CollectedSpans:
    """Spans for a collector."""

    def __init__(self, provider: "TracerProvider") -> None:
        self._tracer = provider.get_tracer("lockstep", __version__)

    @contextmanager
    def sending(self, service_url: str, request: Request, trace_id: str) -> Iterator[Sending]:
        """Make a span of a request to a task service, in the trace of its release."""
        from opentelemetry import trace  # noqa: PLC0415

        # Nobody has this parent: it is there so that the span is in the trace of the release.
        parent = trace.SpanContext(
            int(trace_id, 16), int(trace_id[16:], 16) or 1, is_remote=True, trace_flags=trace.TraceFlags(1)
        )
        with self._tracer.start_as_current_span(
            f"{request.action} task",
            trace.set_span_in_context(trace.NonRecordingSpan(parent)),
            trace.SpanKind.CLIENT,
            {
                "http.request.method": "POST",
                "url.full": f"{service_url}/tasks",
                "lockstep.action": str(request.action),
                "lockstep.task": request.task_id,
                "lockstep.release": request.release_id,
            },
        ) as span:
            yield _Seen(span)

    def serving(self, method: str, headers: Mapping[str, str]) -> "Span":
        """Begin a span of a request that is answered here."""
        from opentelemetry import trace  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        given = {_TRACEPARENT: headers.get(_TRACEPARENT, "")}
        context = TraceContextTextMapPropagator().extract(given)
        return self._tracer.start_span(method, context, trace.SpanKind.SERVER, {"http.request.method": method})

    def served(self, span: "Span", method: str, route: str, status: int) -> None:
        """End a span of a request that was answered here."""
        from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415

        span.update_name(f"{method} {route}")
        span.set_attributes({"http.route": route, "http.response.status_code": status})
        if status >= _OUR_FAULT:
            span.set_status(Status(StatusCode.ERROR))
        span.end()


@asynccontextmanager
async def collecting(endpoint: str) -> AsyncIterator[CollectedSpans]:
    """Send spans to a collector for as long as the context is open, and then what is left of them.

    Args:
        endpoint: where it is, such as `http://collector:4318`.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    named = Resource.create({"service.name": "lockstep", "service.version": __version__})
    provider = TracerProvider(resource=named, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces", timeout=5)))
    try:
        yield CollectedSpans(provider)
    finally:
        await asyncio.to_thread(provider.shutdown)
