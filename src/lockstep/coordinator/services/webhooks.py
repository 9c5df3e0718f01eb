"""What people may ask about webhooks: register, change and remove them, see what they were sent, and send it again.

A secret is made here and leaves once, in the answer to whoever asked for it; it is never shown again. That an address
may be called is asked of the guard, now and before every request.
"""

import base64
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from lockstep.coordinator.core.announcing import OLD_SECRET_STAYS, Delivery, DeliveryState, Receiver, ReceiverKind
from lockstep.coordinator.core.callers import Caller
from lockstep.coordinator.core.errors import Conflict
from lockstep.coordinator.core.records import Page, PageOf
from lockstep.coordinator.ports import Clock, Outbox
from lockstep.coordinator.services.access import Access, Act
from lockstep.coordinator.services.inputs import Input

URL_LIMIT: Final = 2000
_SECRET_BYTES: Final = 32
_AUTHOR_LIMIT: Final = 100


def _address(given: str) -> str:
    try:
        parts = urlsplit(given)
        sound = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not given.isprintable() or any(mark in given for mark in " #\\@"):
        raise ValueError(
            f"Enter a valid URL. It looks like https://receiver.example.org/hook, with at most {URL_LIMIT} characters."
        )
    return given


_Url = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=URL_LIMIT),
    AfterValidator(_address),
    Field(description="Where every event is posted to."),
]
_Description = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500, pattern=r"^[^\u0000]*$")]
_Enabled = Annotated[bool, Field(description="Events are sent to it; switched on, it begins with the next event.")]


class WebhookInput(Input):
    """A webhook to be registered."""

    url: _Url
    description: _Description = ""
    enabled: _Enabled = True


class WebhookEdit(Input):
    """A change to a webhook: the fields that are given, and no others."""

    url: _Url = ""
    description: _Description = ""
    enabled: _Enabled = True


Guard = Callable[[str], Awaitable[None]]
"""Lets an address pass, or raises `Invalid` with the reason why this deployment does not call it."""


async def unguarded(address: str) -> None:
    """Let every address pass."""


def make_secret() -> str:
    """Make a secret as the Standard Webhooks scheme writes them."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}"


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The commands and queries about webhooks, and what they work on."""

    outbox: Outbox
    clock: Clock
    access: Access
    guard: Guard = unguarded

    async def register(self, new: WebhookInput, caller: Caller) -> Receiver:
        """Register a webhook; its secret is in what is returned.

        Raises:
            Unauthorized, Forbidden: the caller may not.
            Invalid: its address may not be called.
        """
        self.access.check(caller, Act.EDIT_ANNOUNCEMENTS)
        await self.guard(new.url)
        receiver = Receiver("", ReceiverKind.WEBHOOK, new.url, self.clock.now())
        author = caller.name[:_AUTHOR_LIMIT]
        return await self.outbox.add_webhook(
            replace(receiver, description=new.description, author=author, secret=make_secret(), enabled=new.enabled)
        )

    async def edit(self, webhook_id: str, edit: WebhookEdit, caller: Caller) -> Receiver:
        """Change a webhook.

        Raises:
            Unauthorized, Forbidden: the caller may not.
            NotFound: there is no such webhook.
            Invalid: its new address may not be called.
        """
        self.access.check(caller, Act.EDIT_ANNOUNCEMENTS)
        before = await self.outbox.webhook(webhook_id)
        fields = edit.model_dump(exclude_unset=True)
        if "url" in fields:
            fields["target"] = fields.pop("url")
            await self.guard(fields["target"])
        changed = {name: value for name, value in fields.items() if value != getattr(before, name)}
        return await self.outbox.edit_webhook(webhook_id, changed) if changed else before

    async def rotate(self, webhook_id: str, caller: Caller) -> Receiver:
        """Give a webhook a new secret, beside which the old one signs for another day.

        Raises:
            Unauthorized, Forbidden: the caller may not.
            NotFound: there is no such webhook.
        """
        self.access.check(caller, Act.EDIT_ANNOUNCEMENTS)
        before = await self.outbox.webhook(webhook_id)
        change = {"old_secret": before.secret, "old_secret_until": self.clock.now() + OLD_SECRET_STAYS}
        return await self.outbox.edit_webhook(webhook_id, {"secret": make_secret(), **change})

    async def delete(self, webhook_id: str, caller: Caller) -> None:
        """Remove a webhook with the log of its deliveries.

        Raises:
            Unauthorized, Forbidden: the caller may not.
            NotFound: there is no such webhook.
        """
        self.access.check(caller, Act.EDIT_ANNOUNCEMENTS)
        await self.outbox.delete_webhook(webhook_id)

    async def redeliver(self, webhook_id: str, event_id: str, caller: Caller) -> Delivery:
        """Have an event sent again.

        Raises:
            Unauthorized, Forbidden: the caller may not.
            NotFound: there is no such webhook, or no such event.
            Conflict: the webhook is switched off.
        """
        self.access.check(caller, Act.EDIT_ANNOUNCEMENTS)
        if not (await self.outbox.webhook(webhook_id)).enabled:
            raise Conflict(f"Webhook {webhook_id} is switched off; switch it on first, by setting enabled to true.")
        return await self.outbox.redeliver(webhook_id, event_id, self.clock.now())

    async def one(self, webhook_id: str, caller: Caller) -> Receiver:
        """Return a webhook.

        Raises:
            Unauthorized, Forbidden: the caller may not see webhooks.
            NotFound: there is no such webhook.
        """
        self.access.check(caller, Act.SEE_ANNOUNCEMENTS)
        return await self.outbox.webhook(webhook_id)

    async def listed(self, page: PageOf, caller: Caller) -> Page[Receiver]:
        """Return a page of webhooks.

        Raises:
            Unauthorized, Forbidden: the caller may not see webhooks.
        """
        self.access.check(caller, Act.SEE_ANNOUNCEMENTS)
        return await self.outbox.webhooks(page)

    async def deliveries(
        self, webhook_id: str, page: PageOf, state: DeliveryState | None, caller: Caller
    ) -> Page[Delivery]:
        """Return a page of what a webhook was sent, newest event first.

        Raises:
            Unauthorized, Forbidden: the caller may not see webhooks.
            NotFound: there is no such webhook.
        """
        self.access.check(caller, Act.SEE_ANNOUNCEMENTS)
        return await self.outbox.deliveries(webhook_id, page, state)
