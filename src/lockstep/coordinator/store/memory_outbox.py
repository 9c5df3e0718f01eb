"""The outbox in memory, beside the store in memory and on the same log of events."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from lockstep.coordinator.core.announcing import Batch, Delivery, DeliveryState, Receiver, ReceiverKind
from lockstep.coordinator.core.errors import LeaseLost
from lockstep.coordinator.core.records import Event, Page, PageOf
from lockstep.coordinator.store.fresh import FreshIds
from lockstep.coordinator.store.promises import missing
from lockstep.protocol.ids import Prefix


@dataclass(slots=True)
class _Row:
    receiver: Receiver
    leased_until: datetime | None = None
    deliveries: dict[int, Delivery] = field(default_factory=dict)

    def due(self, now: datetime) -> list[Delivery]:
        return [one for one in self.deliveries.values() if one.due_at is not None and one.due_at <= now]

    def free(self, now: datetime, *, alone: bool) -> bool:
        free = alone or self.leased_until is None or self.leased_until <= now
        return free and self.receiver.enabled

    def held(self, now: datetime) -> bool:
        return self.receiver.held_until is not None and now < self.receiver.held_until


class MemoryOutbox:
    """The port `Outbox` until the process ends; `events` is the log, by id and in its order."""

    def __init__(self, events: Mapping[str, Event], ids: FreshIds) -> None:
        self._events = events
        self._ids = ids
        self._rows: dict[str, _Row] = {}

    async def owed(self, now: datetime, *, alone: bool) -> Sequence[str]:
        """Return the ids of the receivers for whom there is something to do."""
        return [
            kf_id
            for kf_id, row in self._rows.items()
            if row.free(now, alone=alone)
            and ((row.receiver.cursor < self._end() and not row.held(now)) or row.due(now))
        ]

    async def claim(self, receiver_id: str, owner: str, now: datetime, *, until: datetime, alone: bool) -> Batch | None:  # noqa: ARG002
        """Begin to work on a receiver."""
        row = self._rows.get(receiver_id)
        if row is None or not row.free(now, alone=alone):
            return None
        row.leased_until = until
        row.receiver = _next_epoch(row.receiver)
        aside = sorted(row.due(now), key=lambda one: (one.due_at, one.event.position))
        cursor = row.receiver.cursor
        line = [] if row.held(now) else [event for event in self._events.values() if event.position > cursor]
        owed = (row.deliveries.get(event.position, Delivery(event, event.created_at)) for event in line)
        return Batch(row.receiver, tuple(aside), tuple(owed))

    async def record(self, receiver: Receiver, deliveries: Sequence[Delivery]) -> None:
        """Store what came of a batch."""
        row = self._rows.get(receiver.kf_id)
        if row is None or row.receiver.lease_epoch != receiver.lease_epoch:
            raise LeaseLost(f"receiver {receiver.kf_id} is somebody else's by now, or was edited or deleted")
        row.receiver, row.leased_until = receiver, None
        row.deliveries |= {one.event.position: one for one in deliveries}

    async def set_topic(self, arn: str | None, now: datetime) -> None:
        """Make one topic, or none, the one that events are announced to."""
        for row in self._of(ReceiverKind.TOPIC):
            if row.receiver.target != arn:
                row.receiver = replace(row.receiver, enabled=False)
            elif not row.receiver.enabled:
                row.receiver, row.leased_until = _next_epoch(self._afresh(row.receiver)), None
        if arn is not None and arn not in {row.receiver.target for row in self._of(ReceiverKind.TOPIC)}:
            self._add(Receiver("", ReceiverKind.TOPIC, arn, now))

    async def add_webhook(self, webhook: Receiver) -> Receiver:
        """Store a new webhook."""
        return self._add(webhook)

    async def edit_webhook(self, webhook_id: str, fields: Mapping[str, Any]) -> Receiver:
        """Change some fields of a webhook."""
        row = self._webhook(webhook_id)
        before = row.receiver
        if fields.get("enabled") and not before.enabled:
            before = self._afresh(before)
        row.receiver, row.leased_until = _next_epoch(replace(before, **fields)), None
        return row.receiver

    async def delete_webhook(self, webhook_id: str) -> None:
        """Remove a webhook and its deliveries."""
        self._webhook(webhook_id)
        del self._rows[webhook_id]

    async def webhook(self, webhook_id: str) -> Receiver:
        """Return a webhook."""
        return self._webhook(webhook_id).receiver

    async def webhooks(self, page: PageOf) -> Page[Receiver]:
        """Return a page of webhooks."""
        webhooks = [row.receiver for row in self._of(ReceiverKind.WEBHOOK)][::-1]
        return Page(tuple(webhooks[page.offset : page.offset + page.limit]), len(webhooks))

    async def deliveries(self, webhook_id: str, page: PageOf, state: DeliveryState | None = None) -> Page[Delivery]:
        """Return a page of what a webhook was sent."""
        deliveries = self._webhook(webhook_id).deliveries
        listed = [deliveries[at] for at in sorted(deliveries, reverse=True) if state in {None, deliveries[at].state}]
        return Page(tuple(listed[page.offset : page.offset + page.limit]), len(listed))

    async def redeliver(self, webhook_id: str, event_id: str, now: datetime) -> Delivery:
        """Have an event tried again at once."""
        row = self._webhook(webhook_id)
        if event_id not in self._events:
            raise missing("event", event_id)
        event = self._events[event_id]
        if event.position > row.receiver.cursor:
            row.receiver = replace(row.receiver, held_until=None)
            return Delivery(event, now)
        row.deliveries[event.position] = due = Delivery(event, now, due_at=now)
        return due

    async def backlog(self) -> Mapping[str, int]:
        """Return how many events are not done with yet, by kind of receiver."""
        owed: Counter[str] = Counter()
        for row in self._rows.values():
            if row.receiver.enabled:
                aside = sum(one.due_at is not None for one in row.deliveries.values())
                owed[str(row.receiver.kind)] += self._end() - row.receiver.cursor + aside
        return dict(owed)

    def pass_over(self, until: int, now: datetime) -> None:
        """Announce what stands after a position to nobody; what a receiver has not got up to there is set aside."""
        for row in self._rows.values():
            if row.receiver.enabled:
                for event in self._events.values():
                    if row.receiver.cursor < event.position <= until:
                        owed = row.deliveries.get(event.position, Delivery(event, event.created_at))
                        row.deliveries[event.position] = replace(owed, due_at=now)
                on = replace(row.receiver, cursor=self._end(), held_until=None)
                row.receiver, row.leased_until = _next_epoch(on), None

    def _end(self) -> int:
        return max((event.position for event in self._events.values()), default=0)

    def _of(self, kind: ReceiverKind) -> Iterable[_Row]:
        return [row for row in self._rows.values() if row.receiver.kind is kind]

    def _webhook(self, webhook_id: str) -> _Row:
        row = self._rows.get(webhook_id)
        if row is None or row.receiver.kind is not ReceiverKind.WEBHOOK:
            raise missing("webhook", webhook_id)
        return row

    def _add(self, new: Receiver) -> Receiver:
        kf_id = self._ids.free_kf_id(Prefix.WEBHOOK, self._rows)
        added = replace(new, kf_id=kf_id, cursor=self._end())
        self._rows[kf_id] = _Row(added)
        return added

    def _afresh(self, receiver: Receiver) -> Receiver:
        return replace(receiver, enabled=True, disabled_because="", cursor=self._end(), failures=0, held_until=None)


def _next_epoch(receiver: Receiver) -> Receiver:
    return replace(receiver, lease_epoch=receiver.lease_epoch + 1)
