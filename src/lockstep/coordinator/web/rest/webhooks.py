"""`/webhooks`: register receivers of every event, change and remove them, see what they were sent, and send it again.

The secret with which messages are signed is shown in two answers, to whoever registers a webhook and to whoever gives
it a new one, and nowhere else.
"""

from typing import Annotated, Final, Literal

from fastapi import Query, Request
from pydantic import Field
from starlette.responses import Response
from typing_extensions import TypedDict

from lockstep.coordinator.core.announcing import Delivery, DeliveryState, Receiver
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.services.webhooks import WebhookEdit, WebhookInput, Webhooks
from lockstep.coordinator.web.answers import JsonAnswer, base_url, time
from lockstep.coordinator.web.bodies import read
from lockstep.coordinator.web.callers import caller_of
from lockstep.coordinator.web.desk import desk_of
from lockstep.coordinator.web.operations import Operation
from lockstep.coordinator.web.rest.pages import PageQuery, page_answer
from lockstep.coordinator.web.rest.shapes import id_pattern
from lockstep.protocol.ids import Prefix

_Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-01-31T12:00:00.000000Z"])]
_Link = Annotated[str, Field(json_schema_extra={"format": "uri"})]


class WebhookShape(TypedDict):
    """A receiver of every event."""

    kf_id: Annotated[str, Field(pattern=id_pattern(Prefix.WEBHOOK))]
    url: _Link
    description: str
    author: str
    created_at: _Time
    enabled: bool
    disabled_because: Annotated[str, Field(description="Why it was switched off, if it was not a person who did.")]
    failures: Annotated[int, Field(ge=0, description="Tries in a row that failed.")]
    held_until: Annotated[_Time | None, Field(description="When it is tried again; none while all is well.")]


class SecretShape(WebhookShape):
    """A webhook with its secret, which is shown this once."""

    secret: Annotated[str, Field(pattern="^whsec_", description="What messages are signed with; keep it, and safe.")]


class DeliveryShape(TypedDict):
    """What has become of an event at a webhook."""

    event: Annotated[str, Field(pattern=id_pattern(Prefix.EVENT, Prefix.TASK), description="Also the message's id.")]
    event_type: Annotated[str, Field(json_schema_extra={"enum": ["info", "warning", "error"]})]
    message: str
    state: Annotated[str, Field(json_schema_extra={"enum": list(DeliveryState)})]
    attempts: Annotated[int, Field(ge=0)]
    tried_at: _Time | None
    due_at: Annotated[_Time | None, Field(description="When it is tried again, if it was set aside.")]
    status: Annotated[int | None, Field(description="The HTTP status of the last answer; none if there was none.")]
    error: Annotated[str, Field(description="Why the last try failed; empty when it did not.")]


class _PageShape(TypedDict):
    count: Annotated[int, Field(ge=0, description="Rows in the whole list.")]
    next: _Link | None
    previous: _Link | None


class WebhookPage(_PageShape):
    """A page of webhooks."""

    results: list[WebhookShape]


class DeliveryPage(_PageShape):
    """A page of deliveries."""

    results: list[DeliveryShape]


class DeliveryQuery(PageQuery):
    """Which deliveries."""

    state: Annotated[
        Literal["", "waiting", "delivered", "given_up"], Field(description="Only deliveries in this state.")
    ] = ""


async def list_webhooks(request: Request, query: Annotated[PageQuery, Query()]) -> Response:
    """List webhooks, newest created first."""
    page = await _webhooks(request).listed(query.page_of(), caller_of(request))
    return page_answer(request, query, page, webhook_shape)


async def register_webhook(request: Request) -> Response:
    """Register a webhook. It is sent every event from now on; keep the secret, which is shown this once."""
    webhooks, base = _webhooks(request), base_url(request)
    webhook = await webhooks.register(await read(request, WebhookInput), caller_of(request))
    return JsonAnswer(_with_secret(webhook), 201, {"Location": f"{base}/webhooks/{webhook.kf_id}"})


async def show_webhook(request: Request, webhook_id: str) -> Response:
    """Show a webhook."""
    return JsonAnswer(webhook_shape(await _webhooks(request).one(webhook_id, caller_of(request))))


async def edit_webhook(request: Request, webhook_id: str) -> Response:
    """Change the given fields of a webhook. One that is switched on begins with the next event."""
    edit = await read(request, WebhookEdit)
    return JsonAnswer(webhook_shape(await _webhooks(request).edit(webhook_id, edit, caller_of(request))))


async def delete_webhook(request: Request, webhook_id: str) -> Response:
    """Remove a webhook with the log of its deliveries."""
    await _webhooks(request).delete(webhook_id, caller_of(request))
    return Response(status_code=204)


async def rotate_webhook_secret(request: Request, webhook_id: str) -> Response:
    """Give a webhook a new secret, which is shown this once. For a day messages are signed with both."""
    return JsonAnswer(_with_secret(await _webhooks(request).rotate(webhook_id, caller_of(request))))


async def list_deliveries(request: Request, webhook_id: str, query: Annotated[DeliveryQuery, Query()]) -> Response:
    """List what a webhook was sent, newest event first."""
    state = DeliveryState(query.state) if query.state else None
    page = await _webhooks(request).deliveries(webhook_id, query.page_of(), state, caller_of(request))
    return page_answer(request, query, page, delivery_shape)


async def redeliver_event(request: Request, webhook_id: str, event_id: str) -> Response:
    """Send an event to a webhook again, under the same id; also one from before it was registered."""
    delivery = await _webhooks(request).redeliver(webhook_id, event_id, caller_of(request))
    return JsonAnswer(delivery_shape(delivery), 202)


def webhook_shape(webhook: Receiver, base: str = "") -> WebhookShape:  # noqa: ARG001 - one signature for every shape
    """Return a webhook as it is shown."""
    return {
        "kf_id": webhook.kf_id,
        "url": webhook.target,
        "description": webhook.description,
        "author": webhook.author,
        "created_at": time(webhook.created_at),
        "enabled": webhook.enabled,
        "disabled_because": webhook.disabled_because,
        "failures": webhook.failures,
        "held_until": time(webhook.held_until) if webhook.held_until else None,
    }


def delivery_shape(delivery: Delivery, base: str = "") -> DeliveryShape:  # noqa: ARG001 - one signature for every shape
    """Return a delivery as it is shown."""
    return {
        "event": delivery.event.kf_id,
        "event_type": delivery.event.event_type.value,
        "message": delivery.event.message,
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "tried_at": time(delivery.tried_at) if delivery.tried_at else None,
        "due_at": time(delivery.due_at) if delivery.due_at else None,
        "status": delivery.status,
        "error": delivery.error,
    }


def _with_secret(webhook: Receiver) -> SecretShape:
    return {**webhook_shape(webhook), "secret": webhook.secret}


def _webhooks(request: Request) -> Webhooks:
    desk = desk_of(request)
    return Webhooks(desk.store.outbox, desk.commands.clock, desk.access, desk.guard)


_ALL: Final = "/webhooks"
_ONE: Final = "/webhooks/{webhook_id}"

OPERATIONS: Final = (
    Operation(method="GET", path=_ALL, act=Act.SEE_ANNOUNCEMENTS, call=list_webhooks, shape=WebhookPage),
    Operation(
        method="POST",
        path=_ALL,
        act=Act.EDIT_ANNOUNCEMENTS,
        call=register_webhook,
        status=201,
        shape=SecretShape,
        body=WebhookInput,
    ),
    Operation(method="GET", path=_ONE, act=Act.SEE_ANNOUNCEMENTS, call=show_webhook, shape=WebhookShape, also=(404,)),
    Operation(
        method="PATCH",
        path=_ONE,
        act=Act.EDIT_ANNOUNCEMENTS,
        call=edit_webhook,
        shape=WebhookShape,
        also=(404,),
        body=WebhookEdit,
    ),
    Operation(method="DELETE", path=_ONE, act=Act.EDIT_ANNOUNCEMENTS, call=delete_webhook, status=204, also=(404,)),
    Operation(
        method="POST",
        path=f"{_ONE}/secret",
        act=Act.EDIT_ANNOUNCEMENTS,
        call=rotate_webhook_secret,
        shape=SecretShape,
        also=(404,),
    ),
    Operation(
        method="GET",
        path=f"{_ONE}/deliveries",
        act=Act.SEE_ANNOUNCEMENTS,
        call=list_deliveries,
        shape=DeliveryPage,
        also=(404,),
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/deliveries/{{event_id}}",
        act=Act.EDIT_ANNOUNCEMENTS,
        call=redeliver_event,
        status=202,
        shape=DeliveryShape,
        also=(404, 409),
    ),
)
