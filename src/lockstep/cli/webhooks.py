"""`lockstep webhook`: the receivers that every event is sent to, and what has become of it there."""

from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from lockstep.cli.conversation import talk
from lockstep.cli.endings import WrongUse
from lockstep.cli.lists import View, remove, show_facts, show_list
from lockstep.cli.options import (
    AS_FITS,
    FROM_PROFILE,
    AsJson,
    Everything,
    Limit,
    Server,
    WebhookId,
    example,
)

app = typer.Typer(
    name="webhook", help="Have every event sent to an address, and see what came of it.", no_args_is_help=True
)

_WEBHOOKS: Final = View(
    ("ID", "URL", "ENABLED", "FAILURES", "DESCRIPTION"),
    lambda webhook: (
        webhook["kf_id"],
        webhook["url"],
        "yes" if webhook["enabled"] else webhook["disabled_because"] or "no",
        webhook["failures"],
        webhook["description"],
    ),
    right=("FAILURES",),
)
_DELIVERIES: Final = View(
    ("EVENT", "STATE", "TRIES", "STATUS", "TRIED", "MESSAGE", "PROBLEM"),
    lambda delivery: (
        delivery["event"],
        delivery["state"],
        delivery["attempts"],
        delivery["status"],
        delivery["tried_at"],
        delivery["message"],
        delivery["error"],
    ),
    right=("TRIES", "STATUS"),
)


class Outcome(StrEnum):
    """What has become of a delivery."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@app.command(
    "add", epilog=example("lockstep webhook add https://portal.example.org/hook --description 'Tells the portal'")
)
def add_webhook(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where every event is posted to.")],
    *,
    description: Annotated[str, typer.Option("--description", metavar="TEXT", help="What it is for.")] = "",
    server: Server = FROM_PROFILE,
    as_json: AsJson = AS_FITS,
) -> None:
    """Register a webhook. It is sent every event from now on.

    The secret that messages are signed with is shown this once; keep it, and safe.
    """
    body = {"url": url, "description": description}
    _show_secret(talk(server, lambda coordinator: coordinator.post("webhooks", body)), as_json=as_json)


@app.command("list", epilog=example("lockstep webhook list"))
def list_webhooks(
    *,
    limit: Limit = 50,
    everything: Everything = False,
    server: Server = FROM_PROFILE,
    as_json: AsJson = AS_FITS,
) -> None:
    """List the webhooks, and whether events get through to them."""
    show_list(server, "webhooks", _WEBHOOKS, limit=limit, everything=everything, as_json=as_json)


@app.command("show", epilog=example("lockstep webhook show WH_8Y99QZJJ"))
def show_webhook(webhook_id: WebhookId, *, server: Server = FROM_PROFILE, as_json: AsJson = AS_FITS) -> None:
    """Show a webhook: where it is, and whether events get through."""
    what = f"webhook {webhook_id}"
    webhook = talk(server, lambda coordinator: coordinator.get(f"webhooks/{webhook_id}", what=what))
    _show(webhook, as_json=as_json)


@app.command(
    "edit", epilog=example("lockstep webhook edit WH_8Y99QZJJ --disable", "lockstep webhook edit WH_8Y99QZJJ --enable")
)
def edit_webhook(
    webhook_id: WebhookId,
    *,
    url: Annotated[str | None, typer.Option("--url", metavar="URL", help="Where it is.")] = None,
    description: Annotated[str | None, typer.Option("--description", metavar="TEXT", help="What it is for.")] = None,
    enabled: Annotated[
        bool | None,
        typer.Option("--enable/--disable", show_default=False, help="Send it events, from the next one on, or none."),
    ] = None,
    server: Server = FROM_PROFILE,
    as_json: AsJson = AS_FITS,
) -> None:
    """Change what is given of a webhook, or switch it on or off."""
    given = {"url": url, "description": description, "enabled": enabled}
    changes = {field: value for field, value in given.items() if value is not None}
    if not changes:
        raise WrongUse("Say what is to be changed: --url, --description, --enable or --disable.")
    what = f"webhook {webhook_id}"
    _show(
        talk(server, lambda coordinator: coordinator.patch(f"webhooks/{webhook_id}", changes, what=what)),
        as_json=as_json,
    )


@app.command("remove", epilog=example("lockstep webhook remove WH_8Y99QZJJ"))
def remove_webhook(webhook_id: WebhookId, *, server: Server = FROM_PROFILE, as_json: AsJson = AS_FITS) -> None:
    """Remove a webhook with the log of its deliveries."""
    remove(server, f"webhooks/{webhook_id}", f"webhook {webhook_id}", as_json=as_json)


@app.command("rotate", epilog=example("lockstep webhook rotate WH_8Y99QZJJ"))
def rotate_webhook(webhook_id: WebhookId, *, server: Server = FROM_PROFILE, as_json: AsJson = AS_FITS) -> None:
    """Give a webhook a new secret, which is shown this once. For a day messages are signed with both."""
    what = f"webhook {webhook_id}"
    webhook = talk(server, lambda coordinator: coordinator.post(f"webhooks/{webhook_id}/secret", what=what))
    _show_secret(webhook, as_json=as_json)


@app.command("deliveries", epilog=example("lockstep webhook deliveries WH_8Y99QZJJ --state given_up"))
def list_deliveries(
    webhook_id: WebhookId,
    *,
    state: Annotated[Outcome | None, typer.Option("--state", help="Only deliveries in this state.")] = None,
    limit: Limit = 20,
    everything: Everything = False,
    server: Server = FROM_PROFILE,
    as_json: AsJson = AS_FITS,
) -> None:
    """List what a webhook was sent, the newest event first."""
    path = f"webhooks/{webhook_id}/deliveries"
    show_list(server, path, _DELIVERIES, limit=limit, everything=everything, as_json=as_json, state=state)


@app.command("redeliver", epilog=example("lockstep webhook redeliver WH_8Y99QZJJ EV_8Y99QZJJ"))
def redeliver(
    webhook_id: WebhookId,
    event_id: Annotated[str, typer.Argument(metavar="EV_…", help="The event, which may be older than the webhook.")],
    *,
    server: Server = FROM_PROFILE,
    as_json: AsJson = AS_FITS,
) -> None:
    """Send an event to a webhook again, under the same id."""
    path = f"webhooks/{webhook_id}/deliveries/{event_id}"
    what = f"event {event_id} for a webhook {webhook_id}"
    delivery = talk(server, lambda coordinator: coordinator.post(path, what=what, mark="event"))
    _DELIVERIES.show_one(delivery, as_json=as_json)


def _show(webhook: dict[str, Any], *, as_json: bool, more: tuple[tuple[str, object], ...] = ()) -> None:
    facts = [
        ("id", webhook["kf_id"]),
        ("url", webhook["url"]),
        ("description", webhook["description"]),
        ("enabled", "yes" if webhook["enabled"] else webhook["disabled_because"] or "no"),
        ("failures", webhook["failures"]),
        ("tried again", webhook["held_until"]),
        ("author", webhook["author"]),
        ("registered", webhook["created_at"]),
        *more,
    ]
    show_facts(webhook, facts, as_json=as_json)


def _show_secret(webhook: dict[str, Any], *, as_json: bool) -> None:
    _show(webhook, as_json=as_json, more=(("secret", webhook["secret"]),))
