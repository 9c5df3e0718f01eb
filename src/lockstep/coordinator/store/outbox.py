"""The outbox on a SQL database: the log of events, a cursor in it for every receiver, and what was tried.

Nothing is written here when a release changes. Events are committed in the order of their positions (`turns.EVENTS`),
so that a cursor passes none by. A receiver's row is claimed for one batch, under an epoch that fences what others may
still hold of it; the batch's outcome, the new cursor and the end of the claim are one transaction.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Connection,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    update,
)

from lockstep.coordinator.core.announcing import Batch, Delivery, DeliveryState, Receiver, ReceiverKind
from lockstep.coordinator.core.errors import LeaseLost
from lockstep.coordinator.core.records import Event, Page, PageOf
from lockstep.coordinator.store.column_types import POSITION
from lockstep.coordinator.store.database import Database
from lockstep.coordinator.store.fresh import FreshIds
from lockstep.coordinator.store.reading import found
from lockstep.coordinator.store.rows import EVENT_COLUMNS, AnyRow, Values
from lockstep.coordinator.store.tables import delivery, event, receiver
from lockstep.protocol.ids import Prefix

AT_ONCE: Final = 100
"""Events in one batch."""

KEPT: Final = 100_000
"""The log of a receiver reaches back over so many events; what is older and over is removed."""

_FIELDS: Final = tuple(Receiver.__dataclass_fields__)
_RECEIVER_COLUMNS: Final = tuple(receiver.c[name] for name in _FIELDS)
_DELIVERY_FIELDS: Final = ("since", "state", "attempts", "tried_at", "due_at", "status", "error")
_DELIVERY_COLUMNS: Final = tuple(delivery.c[name] for name in _DELIVERY_FIELDS)
_EVENT_WIDTH: Final = len(EVENT_COLUMNS)

_END: Final = select(func.coalesce(func.max(event.c.position), 0)).scalar_subquery()
_IS_WEBHOOK: Final = and_(receiver.c.kf_id == bindparam("of_kf_id"), receiver.c.kind == ReceiverKind.WEBHOOK)
_WEBHOOK: Final = select(receiver.c.position, *_RECEIVER_COLUMNS).where(_IS_WEBHOOK)
_UPDATE_WEBHOOK: Final = update(receiver).where(_IS_WEBHOOK)

_FREE: Final = or_(
    bindparam("alone", type_=Boolean), receiver.c.lease_until.is_(None), receiver.c.lease_until <= bindparam("now")
)
_NOT_HELD: Final = or_(receiver.c.held_until.is_(None), receiver.c.held_until <= bindparam("now"))
_DUE: Final = and_(
    delivery.c.receiver_position == receiver.c.position,
    delivery.c.due_at.is_not(None),
    delivery.c.due_at <= bindparam("now"),
)
_OWED: Final = (
    select(receiver.c.kf_id)
    .where(receiver.c.enabled == true(), _FREE, or_(and_(receiver.c.cursor < _END, _NOT_HELD), exists().where(_DUE)))
    .order_by(receiver.c.position)
)
_CLAIM: Final = (
    update(receiver)
    .where(receiver.c.kf_id == bindparam("of_kf_id"), receiver.c.enabled == true(), _FREE)
    .values(lease_owner=bindparam("owner"), lease_until=bindparam("until"), lease_epoch=receiver.c.lease_epoch + 1)
)
_CLAIMED: Final = select(receiver.c.position, *_RECEIVER_COLUMNS).where(receiver.c.kf_id == bindparam("of_kf_id"))
_ASIDE: Final = (
    select(*EVENT_COLUMNS, *_DELIVERY_COLUMNS)
    .join_from(delivery, event, event.c.position == delivery.c.event_position)
    .where(
        delivery.c.receiver_position == bindparam("receiver"),
        delivery.c.due_at.is_not(None),
        delivery.c.due_at <= bindparam("now"),
    )
    .order_by(delivery.c.due_at, delivery.c.event_position)
    .limit(AT_ONCE)
)
_LINE: Final = (
    select(*EVENT_COLUMNS, *_DELIVERY_COLUMNS)
    .join_from(
        event,
        delivery,
        and_(delivery.c.event_position == event.c.position, delivery.c.receiver_position == bindparam("receiver")),
        isouter=True,
    )
    .where(event.c.position > bindparam("cursor"))
    .order_by(event.c.position)
    .limit(AT_ONCE)
)
_RECORD: Final = update(receiver).where(
    receiver.c.kf_id == bindparam("of_kf_id"), receiver.c.lease_epoch == bindparam("epoch")
)
_POSITION_OF: Final = select(receiver.c.position).where(receiver.c.kf_id == bindparam("of_kf_id"))
_FORGET: Final = delete(delivery).where(
    delivery.c.receiver_position == bindparam("receiver"), delivery.c.event_position == bindparam("of_event")
)
_PRUNE: Final = delete(delivery).where(
    delivery.c.receiver_position == bindparam("receiver"),
    delivery.c.event_position < bindparam("oldest"),
    delivery.c.state != DeliveryState.WAITING,
)
_WAITING: Final = (
    select(func.count())
    .where(
        delivery.c.receiver_position == receiver.c.position,
        delivery.c.due_at.is_not(None),
    )
    .scalar_subquery()
)
_BACKLOG: Final = (
    select(receiver.c.kind, func.sum(_END - receiver.c.cursor + _WAITING))
    .where(receiver.c.enabled == true())
    .group_by(receiver.c.kind)
)


_PENDING: Final = and_(
    receiver.c.enabled == true(),
    receiver.c.cursor < event.c.position,
    event.c.position <= bindparam("until", type_=POSITION),
)
_SET_ASIDE: Final = insert(delivery).from_select(
    ["receiver_position", "event_position", "since", "state", "attempts", "due_at", "error"],
    select(
        receiver.c.position,
        event.c.position,
        event.c.created_at,
        literal(DeliveryState.WAITING, delivery.c.state.type),
        literal(0),
        bindparam("now", type_=delivery.c.due_at.type),
        literal(""),
    )
    .select_from(receiver.join(event, _PENDING))
    .where(
        ~exists().where(
            delivery.c.receiver_position == receiver.c.position, delivery.c.event_position == event.c.position
        )
    ),
)
_TRIED_SET_ASIDE: Final = (
    update(delivery)
    .where(
        delivery.c.state == DeliveryState.WAITING,
        delivery.c.due_at.is_(None),
        exists().where(receiver.c.position == delivery.c.receiver_position, receiver.c.enabled == true()),
    )
    .values(due_at=bindparam("now", type_=delivery.c.due_at.type))
)


class SqlOutbox:
    """The port `Outbox` on a database whose schema is the current one."""

    def __init__(self, database: Database, ids: FreshIds) -> None:
        self._database = database
        self._ids = ids

    async def owed(self, now: datetime, *, alone: bool) -> Sequence[str]:
        """Return the ids of the receivers for whom there is something to do."""
        return await self._database.read(partial(_owed, now=now, alone=alone))

    async def claim(self, receiver_id: str, owner: str, now: datetime, *, until: datetime, alone: bool) -> Batch | None:
        """Begin to work on a receiver."""
        claim = {"of_kf_id": receiver_id, "owner": owner, "until": until, "now": now, "alone": alone}
        return await self._database.write(partial(_claim, claim=claim))

    async def record(self, receiver: Receiver, deliveries: Sequence[Delivery]) -> None:
        """Store what came of a batch."""
        await self._database.write(partial(_record, served=receiver, deliveries=deliveries))

    async def set_topic(self, arn: str | None, now: datetime) -> None:
        """Make one topic, or none, the one that events are announced to."""
        await self._database.write(partial(_set_topic, ids=self._ids, arn=arn, now=now))

    async def add_webhook(self, webhook: Receiver) -> Receiver:
        """Store a new webhook."""
        return await self._database.write(partial(_add, ids=self._ids, new=webhook))

    async def edit_webhook(self, webhook_id: str, fields: Mapping[str, object]) -> Receiver:
        """Change some fields of a webhook."""
        return await self._database.write(partial(_edit, webhook_id=webhook_id, fields=fields))

    async def delete_webhook(self, webhook_id: str) -> None:
        """Remove a webhook and its deliveries."""
        await self._database.write(partial(_delete, webhook_id=webhook_id))

    async def webhook(self, webhook_id: str) -> Receiver:
        """Return a webhook."""
        return await self._database.read(lambda connection: _receiver(_webhook_row(connection, webhook_id)))

    async def webhooks(self, page: PageOf) -> Page[Receiver]:
        """Return a page of webhooks."""
        return await self._database.read(partial(_webhooks, page=page))

    async def deliveries(self, webhook_id: str, page: PageOf, state: DeliveryState | None = None) -> Page[Delivery]:
        """Return a page of what a webhook was sent."""
        return await self._database.read(partial(_deliveries, webhook_id=webhook_id, page=page, state=state))

    async def redeliver(self, webhook_id: str, event_id: str, now: datetime) -> Delivery:
        """Have an event tried again at once."""
        return await self._database.write(partial(_redeliver, webhook_id=webhook_id, event_id=event_id, now=now))

    async def backlog(self) -> Mapping[str, int]:
        """Return how many events are not done with yet, by kind of receiver."""
        return await self._database.read(
            lambda connection: {str(kind): int(n) for kind, n in connection.execute(_BACKLOG)}
        )


def end_of_log(connection: Connection) -> int:
    """Return the position of the last event, 0 when there is none."""
    return int(connection.execute(select(_END)).scalar_one())


def pass_over(connection: Connection, until: int, now: datetime) -> None:
    """Announce what stands after a position to nobody; what a receiver has not got up to there is set aside for it.

    To be called in the turn of events, and the transaction, in which these were added.
    """
    connection.execute(_SET_ASIDE, {"until": until, "now": now})
    connection.execute(_TRIED_SET_ASIDE, {"now": now})
    behind = update(receiver).where(receiver.c.enabled == true())
    connection.execute(behind.values(cursor=_END, held_until=None, **_void_claims()))


def _owed(connection: Connection, now: datetime, alone: bool) -> list[str]:
    return list(connection.execute(_OWED, {"now": now, "alone": alone}).scalars())


def _claim(connection: Connection, claim: Mapping[str, Any]) -> Batch | None:
    if connection.execute(_CLAIM, claim).rowcount == 0:
        return None
    row = connection.execute(_CLAIMED, {"of_kf_id": claim["of_kf_id"]}).one()
    claimed, now = _receiver(row), claim["now"]
    aside = connection.execute(_ASIDE, {"receiver": row[0], "now": now}).all()
    line: Sequence[AnyRow] = ()
    if claimed.held_until is None or claimed.held_until <= now:
        line = connection.execute(_LINE, {"receiver": row[0], "cursor": claimed.cursor}).all()
    return Batch(claimed, tuple(map(_delivery, aside)), tuple(map(_delivery, line)))


def _record(connection: Connection, served: Receiver, deliveries: Sequence[Delivery]) -> None:
    values: Values = {"cursor": served.cursor, "failures": served.failures, "held_until": served.held_until}
    if not served.enabled:
        values |= {"enabled": False, "disabled_because": served.disabled_because}
    key = {"of_kf_id": served.kf_id, "epoch": served.lease_epoch}
    if connection.execute(_RECORD.values(**values, lease_owner=None, lease_until=None), key).rowcount == 0:
        raise LeaseLost(f"receiver {served.kf_id} is somebody else's by now, or was edited or deleted")
    position = connection.execute(_POSITION_OF, {"of_kf_id": served.kf_id}).scalar_one()
    _store(connection, position, deliveries)
    connection.execute(_PRUNE, {"receiver": position, "oldest": served.cursor - KEPT})


def _store(connection: Connection, position: int, deliveries: Sequence[Delivery]) -> None:
    if not deliveries:
        return
    connection.execute(_FORGET, [{"receiver": position, "of_event": one.event.position} for one in deliveries])
    connection.execute(
        insert(delivery),
        [
            {
                "receiver_position": position,
                "event_position": one.event.position,
                **{name: getattr(one, name) for name in _DELIVERY_FIELDS},
            }
            for one in deliveries
        ],
    )


def _set_topic(connection: Connection, ids: FreshIds, arn: str | None, now: datetime) -> None:
    topics = receiver.c.kind == ReceiverKind.TOPIC
    others = topics if arn is None else and_(topics, receiver.c.target != arn)
    connection.execute(update(receiver).where(others).values(enabled=False))
    if arn is None:
        return
    this = and_(topics, receiver.c.target == arn)
    enabled = connection.execute(select(receiver.c.enabled).where(this)).scalar_one_or_none()
    if enabled is None:
        _add(connection, ids, Receiver("", ReceiverKind.TOPIC, arn, now))
    elif not enabled:
        connection.execute(update(receiver).where(this).values(**_afresh()))


def _add(connection: Connection, ids: FreshIds, new: Receiver) -> Receiver:
    kf_id = ids.kf_id(Prefix.WEBHOOK)
    row = {name: getattr(new, name) for name in _FIELDS} | {"kf_id": kf_id, "cursor": connection.scalar(select(_END))}
    connection.execute(insert(receiver), row)
    return _receiver(connection.execute(_CLAIMED, {"of_kf_id": kf_id}).one())


def _edit(connection: Connection, webhook_id: str, fields: Mapping[str, object]) -> Receiver:
    before = _receiver(_webhook_row(connection, webhook_id))
    values: Values = dict(fields)
    if fields.get("enabled") and not before.enabled:
        values |= _afresh()
    values |= _void_claims()
    connection.execute(_UPDATE_WEBHOOK.values(**values), {"of_kf_id": webhook_id})
    return _receiver(_webhook_row(connection, webhook_id))


def _afresh() -> Values:
    """Return what a receiver is given when it is switched on: it begins with the next event."""
    return {
        "enabled": True,
        "disabled_because": "",
        "cursor": _END,
        "failures": 0,
        "held_until": None,
        **_void_claims(),
    }


def _void_claims() -> Values:
    """Return what makes void whatever somebody is at with a receiver, to be begun anew with what it is now."""
    return {"lease_epoch": receiver.c.lease_epoch + 1, "lease_owner": None, "lease_until": None}


def _delete(connection: Connection, webhook_id: str) -> None:
    position = _webhook_row(connection, webhook_id)[0]
    connection.execute(delete(delivery).where(delivery.c.receiver_position == position))
    connection.execute(delete(receiver).where(receiver.c.position == position))


def _webhooks(connection: Connection, page: PageOf) -> Page[Receiver]:
    webhooks = receiver.c.kind == ReceiverKind.WEBHOOK
    listed = select(receiver.c.position, *_RECEIVER_COLUMNS).where(webhooks).order_by(receiver.c.position.desc())
    count = connection.execute(select(func.count()).select_from(receiver).where(webhooks)).scalar_one()
    return Page(tuple(map(_receiver, connection.execute(listed.limit(page.limit).offset(page.offset)))), count)


def _deliveries(connection: Connection, webhook_id: str, page: PageOf, state: DeliveryState | None) -> Page[Delivery]:
    wanted = delivery.c.receiver_position == _webhook_row(connection, webhook_id)[0]
    if state is not None:
        wanted = and_(wanted, delivery.c.state == state)
    listed = (
        select(*EVENT_COLUMNS, *_DELIVERY_COLUMNS)
        .join_from(delivery, event, event.c.position == delivery.c.event_position)
        .where(wanted)
        .order_by(delivery.c.event_position.desc())
    )
    count = connection.execute(select(func.count()).select_from(delivery).where(wanted)).scalar_one()
    return Page(tuple(map(_delivery, connection.execute(listed.limit(page.limit).offset(page.offset)))), count)


def _redeliver(connection: Connection, webhook_id: str, event_id: str, now: datetime) -> Delivery:
    row = _webhook_row(connection, webhook_id)
    position, webhook = row[0], _receiver(row)
    happened = select(*EVENT_COLUMNS).where(event.c.kf_id == event_id)
    again = Event(*found(connection.execute(happened).one_or_none(), "event", event_id))
    if again.position > webhook.cursor:
        connection.execute(_UPDATE_WEBHOOK.values(held_until=None), {"of_kf_id": webhook_id})
        return Delivery(again, now)
    due = Delivery(again, now, due_at=now)
    _store(connection, position, [due])
    return due


def _webhook_row(connection: Connection, webhook_id: str) -> AnyRow:
    return found(connection.execute(_WEBHOOK, {"of_kf_id": webhook_id}).one_or_none(), "webhook", webhook_id)


def _receiver(row: AnyRow) -> Receiver:
    return Receiver(*row[1:])


def _delivery(row: AnyRow) -> Delivery:
    """Return the delivery of a row of an event and its delivery, which has not begun where that is empty."""
    happened = Event(*row[:_EVENT_WIDTH])
    since, *rest = row[_EVENT_WIDTH:]
    return Delivery(happened, happened.created_at) if since is None else Delivery(happened, since, *rest)
