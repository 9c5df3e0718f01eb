"""`/healthz`, `/readyz` and `/metrics`: what those ask who keep the coordinator running.

The metrics tell strangers too much of what goes on here. Whoever has the token of the setting may read them; without
one, only this machine may, and nobody whom a proxy brings.
"""

import hmac
from ipaddress import ip_address
from typing import Final

from fastapi import Request
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from typing_extensions import TypedDict

from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.metrics import CONTENT_TYPE
from lockstep.coordinator.services.health import OK, examine
from lockstep.coordinator.web.answers import JsonAnswer
from lockstep.coordinator.web.desk import Desk, desk_of
from lockstep.coordinator.web.errors import detail
from lockstep.coordinator.web.operations import Operation

_BROUGHT: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""Headers by which a proxy shows itself."""


class LifeShape(TypedDict):
    """A sign of life."""

    status: str


class ReadinessShape(TypedDict):
    """Whether requests can be served, and what is not well if they cannot."""

    status: str
    database: str
    queue: str
    worker: str


async def show_life(request: Request) -> Response:  # noqa: ARG001 - as every handler
    """Tell that the process lives; nothing else is asked."""
    return JsonAnswer({"status": OK})


async def show_readiness(request: Request) -> Response:
    """Tell whether requests can be served: the database answers, and the coordinator is not about to stop."""
    desk = desk_of(request)
    found = await examine(desk.store, desk.commands.clock, desk.pulse, desk.check_queue)
    ready = found.database == OK and not desk.closing.is_set()
    told = {"status": OK if ready else "not ready"}
    told |= {"database": found.database, "queue": found.queue, "worker": found.worker}
    return JsonAnswer(told, 200 if ready else 503)


async def show_metrics(request: Request) -> Response:
    """Show the metrics, as Prometheus reads them."""
    desk = desk_of(request)
    if not _may_read(request, desk):
        return detail(
            "The metrics are shown to whoever has the token of LOCKSTEP_METRICS_TOKEN and, without one, to this "
            "machine alone.",
            403,
        )
    store, metrics = desk.store, desk.metrics
    try:
        tallies, backlog, next_look = await store.tallies(), await store.outbox.backlog(), await store.next_look()
        metrics.read(tallies, backlog, next_look, desk.commands.clock.now())
    except Unavailable:
        metrics.unread()
    return Response(metrics.render(), media_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})


def _may_read(request: Request, desk: Desk) -> bool:
    if desk.metrics_token:
        given = request.headers.get("authorization", "").encode()
        return hmac.compare_digest(given, f"Bearer {desk.metrics_token}".encode())
    if any(name in request.headers for name in _BROUGHT) or request.client is None:
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def only_probes(desk: Desk) -> Starlette:
    """Make an application that answers probes and nothing else, for a process that serves nothing else."""
    app = Starlette(routes=[Route(operation.path, operation.call) for operation in OPERATIONS])
    app.state.desk = desk
    return app


OPERATIONS: Final = (
    Operation(method="GET", path="/healthz", act=None, call=show_life, shape=LifeShape),
    Operation(
        method="GET",
        path="/readyz",
        act=None,
        call=show_readiness,
        shape=ReadinessShape,
        answers={503: {"model": ReadinessShape, "description": "Requests cannot be served."}},
    ),
    Operation(
        method="GET",
        path="/metrics",
        act=None,
        call=show_metrics,
        also=(403,),
        answers={
            200: {"description": "The metrics.", "content": {"text/plain": {"schema": {"type": "string"}}}},
        },
    ),
)
