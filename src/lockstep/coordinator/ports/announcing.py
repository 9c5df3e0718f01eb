"""What the courier lives on: who is owed which events, and the way to each kind of receiver."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from lockstep.coordinator.core.announcing import Batch, Delivery, DeliveryState, Outcome, Receiver
from lockstep.coordinator.core.records import Event, Page, PageOf


class Outbox(Protocol):
    """Whom every event is announced to, and how far each of them is; every method is one transaction.

    Events leave the log in its order, and none is ever passed over: what a batch begins with is in the log for good.
    """

    async def owed(self, now: datetime, *, alone: bool) -> Sequence[str]:
        """Return the ids of the receivers for whom there is something to do now and whom nobody is at work on.

        `alone` means that no other process can be: whatever lease there is was left by one that has ended.
        """
        ...

    async def claim(self, receiver_id: str, owner: str, now: datetime, *, until: datetime, alone: bool) -> Batch | None:
        """Begin to work on a receiver and return what to try; None when it is switched off, or somebody is at it."""
        ...

    async def record(self, receiver: Receiver, deliveries: Sequence[Delivery]) -> None:
        """Store what came of a batch, and give the lease back.

        Raises:
            LeaseLost: somebody else has begun to work on it, or it was edited or deleted; nothing was stored.
        """
        ...

    async def set_topic(self, arn: str | None, now: datetime) -> None:
        """Make one topic, or none, the one that events are announced to; a new one begins with the next event."""
        ...

    async def add_webhook(self, webhook: Receiver) -> Receiver:
        """Store a new webhook under an id of its own (the one given is not used); it begins with the next event."""
        ...

    async def edit_webhook(self, webhook_id: str, fields: Mapping[str, object]) -> Receiver:
        """Change some of target, description, enabled and the secrets. Switched on, it begins with the next event.

        Raises:
            NotFound: there is no such webhook.
        """
        ...

    async def delete_webhook(self, webhook_id: str) -> None:
        """Remove a webhook and its deliveries.

        Raises:
            NotFound: there is no such webhook.
        """
        ...

    async def webhook(self, webhook_id: str) -> Receiver:
        """Return a webhook.

        Raises:
            NotFound: there is no such webhook.
        """
        ...

    async def webhooks(self, page: PageOf) -> Page[Receiver]:
        """Return a page of webhooks, newest created first."""
        ...

    async def deliveries(self, webhook_id: str, page: PageOf, state: DeliveryState | None = None) -> Page[Delivery]:
        """Return a page of what a webhook was sent, newest event first, in one state if one is given.

        Raises:
            NotFound: there is no such webhook.
        """
        ...

    async def redeliver(self, webhook_id: str, event_id: str, now: datetime) -> Delivery:
        """Have an event tried again at once, with a new day ahead of it; one that is in line anyhow keeps its turn.

        Raises:
            NotFound: there is no such webhook, or no such event.
        """
        ...

    async def backlog(self) -> Mapping[str, int]:
        """Return how many events are not done with yet, by kind of receiver that is switched on."""
        ...


class Carrier(Protocol):
    """The way to one kind of receiver."""

    async def carry(self, receiver: Receiver, event: Event) -> Outcome:
        """Try once to bring an event; whatever goes wrong on the way is an outcome."""
        ...
