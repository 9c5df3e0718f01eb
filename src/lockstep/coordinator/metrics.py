"""The metrics of one coordinator, as Prometheus reads them at `/metrics`.

Everything that counts is counted here, by whoever sees it happen; what can be read off the database (how many
releases are in which state) is read when somebody asks. Labels come from small, closed sets: states, actions, routes.
Nothing has a label that grows with the number of releases, tasks, callers or addresses. `docs/metrics.md` says what
each means; a test compares the two.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from lockstep import __version__
from lockstep.coordinator.core.announcing import Outcome, ReceiverKind
from lockstep.coordinator.core.model import Release
from lockstep.protocol.messages import Action, Refusal, Reply, Silence
from lockstep.protocol.states import SETTLED_RELEASES, ReleaseState

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

STEPS: Final[Mapping[ReleaseState, str]] = {
    ReleaseState.INITIALIZING: "initialize",
    ReleaseState.RUNNING: "stage",
    ReleaseState.STAGED: "review",
    ReleaseState.PUBLISHING: "publish",
    ReleaseState.CANCELING: "cancel",
}
"""What a release is doing while it is in a state, for the states that take time."""

# Times at which each series began: as many series again, and of no use here.
disable_created_metrics()  # type: ignore[no-untyped-call]

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_STEP_BUCKETS_S: Final = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 86_400, 3 * 86_400, 7 * 86_400)
_SEND_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_HTTP_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class Metrics:
    """What is counted of one coordinator, in a registry of its own."""

    def __init__(self, commit: str = "") -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._releases = Gauge("lockstep_releases", "Releases by state.", ["state"], registry=registry)
        self._tasks = Gauge("lockstep_tasks", "Tasks by state.", ["state"], registry=registry)
        self._events = Gauge("lockstep_events", "Events in the log by type.", ["event_type"], registry=registry)
        self._lag = Gauge(
            "lockstep_queue_lag_seconds", "How long the longest overdue release has been due.", registry=registry
        )
        self._backlog = Gauge(
            "lockstep_announcement_backlog", "Events not done with, by kind of receiver.", ["kind"], registry=registry
        )
        self._database = Gauge("lockstep_database_up", "Whether the database answers.", registry=registry)
        self._build = Gauge("lockstep_build_info", "What runs here.", ["version", "commit"], registry=registry)
        self._build.labels(__version__, commit).set(1)
        self._steps = Histogram(
            "lockstep_step_duration_seconds",
            "How long releases were in each step.",
            ["step"],
            buckets=_STEP_BUCKETS_S,
            registry=registry,
        )
        self._ends = Counter(
            "lockstep_releases_ended", "Releases that ended, by their last state.", ["state"], registry=registry
        )
        self._sends = Histogram(
            "lockstep_send_duration_seconds",
            "Requests to task services, by action and outcome.",
            ["action", "outcome"],
            buckets=_SEND_BUCKETS_S,
            registry=registry,
        )
        self._announcements = Counter(
            "lockstep_announcements", "Tries to announce an event.", ["kind", "outcome"], registry=registry
        )
        self._requests = Histogram(
            "lockstep_http_request_duration_seconds",
            "Requests answered, by route.",
            ["method", "route", "status"],
            buckets=_HTTP_BUCKETS_S,
            registry=registry,
        )
        self._limited = Counter(
            "lockstep_http_requests_limited", "Requests refused because their caller had too many.", registry=registry
        )
        self._streams = Gauge("lockstep_event_streams", "Event streams that are open.", registry=registry)

    def moved(self, before: Release, after: Release) -> None:
        """Take note of a release that has changed, if it has left a step, or has ended."""
        if after.state is before.state:
            return
        if step := STEPS.get(before.state):
            self._steps.labels(step).observe((after.step_since - before.step_since).total_seconds())
        if after.state in SETTLED_RELEASES:
            self._ends.labels(after.state).inc()

    def sent(self, action: Action, reply: Reply, seconds: float) -> None:
        """Take note of a request to a task service and what came of it."""
        outcome = "silence" if isinstance(reply, Silence) else "refusal" if isinstance(reply, Refusal) else "answer"
        self._sends.labels(action, outcome).observe(seconds)

    def announced(self, kind: ReceiverKind, outcome: Outcome) -> None:
        """Take note of a try to announce an event."""
        self._announcements.labels(kind, "delivered" if outcome.taken else "failed").inc()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Take note of an answered request; `route` is the path as it is documented, never as it was asked for."""
        self._requests.labels(method if method in _METHODS else "other", route, str(status)).observe(seconds)

    def limited(self) -> None:
        """Take note of a request that was refused because its caller had too many."""
        self._limited.inc()

    def streams(self, more: int) -> None:
        """Take note of event streams that were opened, or closed if `more` is negative."""
        self._streams.inc(more)

    def read(
        self, tallies: Mapping[str, int], backlog: Mapping[str, int], next_look: datetime | None, now: datetime
    ) -> None:
        """Take note of what was just read off the database."""
        self._database.set(1)
        gauges = {"releases": self._releases, "tasks": self._tasks, "events": self._events}
        for name, n in tallies.items():
            what, _, word = name.partition(":")
            gauges[what].labels(word).set(n)
        for kind in ReceiverKind:
            self._backlog.labels(kind).set(backlog.get(kind, 0))
        self._lag.set(0.0 if next_look is None else max(0.0, (now - next_look).total_seconds()))

    def unread(self) -> None:
        """Take note that the database could not be read; what was read before stays."""
        self._database.set(0)

    def render(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)
