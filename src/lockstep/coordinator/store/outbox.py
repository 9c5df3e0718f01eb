"""The outbox on a SQL database: every method is one piece of work in one transaction.

This class holds no statement and no rule, as `sql`: how far receivers are is in `delivering`, who they are in
`receivers`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from lockstep.coordinator.core.announcing import Batch, Delivery, DeliveryState, Receiver
from lockstep.coordinator.core.records import Page, PageOf
from lockstep.coordinator.store import delivering, receivers
from lockstep.coordinator.store.database import Database
from lockstep.coordinator.store.fresh import FreshIds


class SqlOutbox:
    """The port `Outbox` on a database whose schema is the current one."""

    def __init__(self, database: Database, ids: FreshIds) -> None:
        self._database = database
        self._ids = ids

    async def owed(self, now: datetime, *, alone: bool) -> Sequence[str]:
        """Return the ids of the receivers for whom there is something to do."""
        return await self._database.read(partial(delivering.owed, now=now, alone=alone))

    async def claim(self, receiver_id: str, owner: str, now: datetime, *, until: datetime, alone: bool) -> Batch | None:
        """Begin to work on a receiver."""
        claim = {"of_kf_id": receiver_id, "owner": owner, "until": until, "now": now, "alone": alone}
        return await self._database.write(partial(delivering.claim, claim=claim))

    async def record(self, receiver: Receiver, deliveries: Sequence[Delivery]) -> None:
        """Store what came of a batch."""
        await self._database.write(partial(delivering.record, served=receiver, deliveries=deliveries))

    async def set_topic(self, arn: str | None, now: datetime) -> None:
        """Make one topic, or none, the one that events are announced to."""
        await self._database.write(partial(receivers.set_topic, ids=self._ids, arn=arn, now=now))

    async def add_webhook(self, webhook: Receiver) -> Receiver:
        """Store a new webhook."""
        return await self._database.write(partial(receivers.add_receiver, ids=self._ids, new=webhook))

    async def edit_webhook(self, webhook_id: str, fields: Mapping[str, object]) -> Receiver:
        """Change some fields of a webhook."""
        return await self._database.write(partial(receivers.edit_webhook, webhook_id=webhook_id, fields=fields))

    async def delete_webhook(self, webhook_id: str) -> None:
        """Remove a webhook and its deliveries."""
        await self._database.write(partial(receivers.delete_webhook, webhook_id=webhook_id))

    async def webhook(self, webhook_id: str) -> Receiver:
        """Return a webhook."""
        return await self._database.read(partial(receivers.one_webhook, webhook_id=webhook_id))

    async def webhooks(self, page: PageOf) -> Page[Receiver]:
        """Return a page of webhooks."""
        return await self._database.read(partial(receivers.webhooks, page=page))

    async def deliveries(self, webhook_id: str, page: PageOf, state: DeliveryState | None = None) -> Page[Delivery]:
        """Return a page of what a webhook was sent."""
        return await self._database.read(partial(receivers.deliveries, webhook_id=webhook_id, page=page, state=state))

    async def redeliver(self, webhook_id: str, event_id: str, now: datetime) -> Delivery:
        """Have an event tried again at once."""
        work = partial(receivers.redeliver, webhook_id=webhook_id, event_id=event_id, now=now)
        return await self._database.write(work)

    async def backlog(self) -> Mapping[str, int]:
        """Return how many events are not done with yet, by kind of receiver."""
        return await self._database.read(delivering.backlog)
