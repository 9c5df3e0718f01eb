"""Who is told of events: the one topic, and the webhooks with what each of them was sent.

Whatever changes a receiver makes void what somebody is at with it (`delivering`), so that what was begun with the
older one is not recorded for the newer.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from lockstep.coordinator.core.announcing import Delivery, DeliveryState, Receiver, ReceiverKind
from lockstep.coordinator.core.records import Event, Page, PageOf
from lockstep.coordinator.store.delivering import (
    CLAIMED,
    DELIVERY_COLUMNS,
    END,
    RECEIVER_COLUMNS,
    RECEIVER_FIELDS,
    store_deliveries,
    to_delivery,
    to_receiver,
    void_claims,
)
from lockstep.coordinator.store.fresh import FreshIds
from lockstep.coordinator.store.reading import found
from lockstep.coordinator.store.rows import EVENT_COLUMNS, AnyRow, Values
from lockstep.coordinator.store.tables import delivery, event, receiver
from lockstep.protocol.ids import Prefix

_IS_WEBHOOK: Final = and_(receiver.c.kf_id == bindparam("of_kf_id"), receiver.c.kind == ReceiverKind.WEBHOOK)
_WEBHOOK: Final = select(receiver.c.position, *RECEIVER_COLUMNS).where(_IS_WEBHOOK)
_UPDATE_WEBHOOK: Final = update(receiver).where(_IS_WEBHOOK)


def set_topic(connection: Connection, ids: FreshIds, arn: str | None, now: datetime) -> None:
    """Make one topic, or none, the one that events are announced to."""
    topics = receiver.c.kind == ReceiverKind.TOPIC
    others = topics if arn is None else and_(topics, receiver.c.target != arn)
    connection.execute(update(receiver).where(others).values(enabled=False))
    if arn is None:
        return
    this = and_(topics, receiver.c.target == arn)
    enabled = connection.execute(select(receiver.c.enabled).where(this)).scalar_one_or_none()
    if enabled is None:
        add_receiver(connection, ids, Receiver("", ReceiverKind.TOPIC, arn, now))
    elif not enabled:
        connection.execute(update(receiver).where(this).values(**_afresh()))


def add_receiver(connection: Connection, ids: FreshIds, new: Receiver) -> Receiver:
    """Store a new receiver under an id of its own; it begins with the next event."""
    kf_id = ids.kf_id(Prefix.WEBHOOK)
    fields = {name: getattr(new, name) for name in RECEIVER_FIELDS}
    row = {**fields, "kf_id": kf_id, "cursor": connection.scalar(select(END))}
    connection.execute(insert(receiver), row)
    return to_receiver(connection.execute(CLAIMED, {"of_kf_id": kf_id}).one())


def edit_webhook(connection: Connection, webhook_id: str, fields: Mapping[str, object]) -> Receiver:
    """Change some fields of a webhook."""
    before = one_webhook(connection, webhook_id)
    values: Values = dict(fields)
    if fields.get("enabled") and not before.enabled:
        values |= _afresh()
    values |= void_claims()
    connection.execute(_UPDATE_WEBHOOK.values(**values), {"of_kf_id": webhook_id})
    return one_webhook(connection, webhook_id)


def delete_webhook(connection: Connection, webhook_id: str) -> None:
    """Remove a webhook and its deliveries."""
    position = _webhook_row(connection, webhook_id)[0]
    connection.execute(delete(delivery).where(delivery.c.receiver_position == position))
    connection.execute(delete(receiver).where(receiver.c.position == position))


def one_webhook(connection: Connection, webhook_id: str) -> Receiver:
    """Return a webhook."""
    return to_receiver(_webhook_row(connection, webhook_id))


def webhooks(connection: Connection, page: PageOf) -> Page[Receiver]:
    """Return a page of webhooks, newest created first."""
    webhooks = receiver.c.kind == ReceiverKind.WEBHOOK
    listed = select(receiver.c.position, *RECEIVER_COLUMNS).where(webhooks).order_by(receiver.c.position.desc())
    count = connection.execute(select(func.count()).select_from(receiver).where(webhooks)).scalar_one()
    return Page(tuple(map(to_receiver, connection.execute(listed.limit(page.limit).offset(page.offset)))), count)


def deliveries(connection: Connection, webhook_id: str, page: PageOf, state: DeliveryState | None) -> Page[Delivery]:
    """Return a page of what a webhook was sent, newest event first."""
    wanted = delivery.c.receiver_position == _webhook_row(connection, webhook_id)[0]
    if state is not None:
        wanted = and_(wanted, delivery.c.state == state)
    listed = (
        select(*EVENT_COLUMNS, *DELIVERY_COLUMNS)
        .join_from(delivery, event, event.c.position == delivery.c.event_position)
        .where(wanted)
        .order_by(delivery.c.event_position.desc())
    )
    count = connection.execute(select(func.count()).select_from(delivery).where(wanted)).scalar_one()
    return Page(tuple(map(to_delivery, connection.execute(listed.limit(page.limit).offset(page.offset)))), count)


def redeliver(connection: Connection, webhook_id: str, event_id: str, now: datetime) -> Delivery:
    """Have an event tried again at once."""
    row = _webhook_row(connection, webhook_id)
    position, webhook = row[0], to_receiver(row)
    happened = select(*EVENT_COLUMNS).where(event.c.kf_id == event_id)
    again = Event(*found(connection.execute(happened).one_or_none(), "event", event_id))
    if again.position > webhook.cursor:
        connection.execute(_UPDATE_WEBHOOK.values(held_until=None), {"of_kf_id": webhook_id})
        return Delivery(again, now)
    due = Delivery(again, now, due_at=now)
    store_deliveries(connection, position, [due])
    return due


def _afresh() -> Values:
    """Return what a receiver is given when it is switched on: it begins with the next event."""
    return {
        "enabled": True,
        "disabled_because": "",
        "cursor": END,
        "failures": 0,
        "held_until": None,
        **void_claims(),
    }


def _webhook_row(connection: Connection, webhook_id: str) -> AnyRow:
    return found(connection.execute(_WEBHOOK, {"of_kf_id": webhook_id}).one_or_none(), "webhook", webhook_id)
