"""What the handlers of the REST face work with, found again from the request that they are given."""

import asyncio
from dataclasses import dataclass, field

from starlette.requests import Request

from lockstep.coordinator.core.callers import Sight
from lockstep.coordinator.metrics import Metrics
from lockstep.coordinator.ports import Feed, SignIn, Store
from lockstep.coordinator.services.access import Access
from lockstep.coordinator.services.commands import Commands
from lockstep.coordinator.services.health import Check, Pulse
from lockstep.coordinator.services.recognition import Recognition
from lockstep.coordinator.services.reporting import ReportShelf
from lockstep.coordinator.services.webhooks import Guard, unguarded
from lockstep.coordinator.tracing import CollectedSpans
from lockstep.coordinator.web.callers import caller_of


@dataclass(frozen=True, slots=True)
class Desk:
    """One application's things.

    Attributes:
        commands: what can be asked to be done.
        store: what can be asked to be shown.
        feed: where event streams listen.
        closing: set when the server is to stop: event streams end, without which it would wait for them for ever.
        commit: which commit was deployed, as `/status` tells it; empty when nobody said.
        heartbeat_s: how often a silent event stream shows that it lives, in seconds.
        environment: what this deployment is called, such as `production`; empty when nobody said.
        recognition: who finds out who callers are; None where they are not known, and may do everything.
        sign_in: where people sign in with a browser; None where they cannot.
        guard: lets an URL pass that may be called, or raises `Invalid`.
        reports: where release reports are read; None where there are none.
        metrics: what is counted.
        metrics_token: with which the metrics may be read from anywhere; empty where they may not.
        spans: takes note of requests for a collector; None where there is none.
        pulse: when the worker of this process last looked for work; None where there is none in it.
        check_queue: asks the queue between processes whether it answers; None where there is none.
    """

    commands: Commands
    store: Store
    feed: Feed
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    commit: str = ""
    heartbeat_s: float = 15
    environment: str = ""
    recognition: Recognition | None = None
    sign_in: SignIn | None = None
    guard: Guard = unguarded
    reports: ReportShelf | None = None
    metrics: Metrics = field(default_factory=Metrics)
    metrics_token: str = ""
    spans: CollectedSpans | None = None
    pulse: Pulse | None = None
    check_queue: Check | None = None

    @property
    def access(self) -> Access:
        """Return the table of who may do what."""
        return self.commands.access

    @property
    def identified(self) -> bool:
        """Tell whether callers are known."""
        return self.recognition is not None


def desk_of(request: Request) -> Desk:
    """Return the desk of the application that a request came to."""
    desk: Desk = request.app.state.desk
    return desk


def sight_of(request: Request) -> Sight:
    """Return which releases whoever is behind a request may see."""
    return desk_of(request).access.sight(caller_of(request))
