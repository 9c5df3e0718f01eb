"""How far each receiver is in the log of events: what is owed to it, who is at work on it, and what was tried.

Nothing is written here when a release changes. Events are committed in the order of their positions (`turns.EVENTS`),
so that a cursor passes none by. A receiver's row is claimed for one batch, under an epoch that fences what others may
still hold of it; the batch's outcome, the new cursor and the end of the claim are one transaction.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
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

from lockstep.coordinator.core.announcing import Batch, Delivery, DeliveryState, Receiver
from lockstep.coordinator.core.errors import LeaseLost
from lockstep.coordinator.core.records import Event
from lockstep.coordinator.store.column_types import POSITION
from lockstep.coordinator.store.rows import EVENT_COLUMNS, AnyRow, Values
from lockstep.coordinator.store.tables import delivery, event, receiver

AT_ONCE: Final = 100
"""Events in one batch."""

KEPT: Final = 100_000
"""The log of a receiver reaches back over so many events; what is older and over is removed."""

RECEIVER_FIELDS: Final = tuple(Receiver.__dataclass_fields__)
RECEIVER_COLUMNS: Final = tuple(receiver.c[name] for name in RECEIVER_FIELDS)
_DELIVERY_FIELDS: Final = ("since", "state", "attempts", "tried_at", "due_at", "status", "error")
DELIVERY_COLUMNS: Final = tuple(delivery.c[name] for name in _DELIVERY_FIELDS)
_EVENT_WIDTH: Final = len(EVENT_COLUMNS)
END: Final = select(func.coalesce(func.max(event.c.position), 0)).scalar_subquery()
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
    .where(receiver.c.enabled == true(), _FREE, or_(and_(receiver.c.cursor < END, _NOT_HELD), exists().where(_DUE)))
    .order_by(receiver.c.position)
)
_CLAIM: Final = (
    update(receiver)
    .where(receiver.c.kf_id == bindparam("of_kf_id"), receiver.c.enabled == true(), _FREE)
    .values(lease_owner=bindparam("owner"), lease_until=bindparam("until"), lease_epoch=receiver.c.lease_epoch + 1)
)
CLAIMED: Final = select(receiver.c.position, *RECEIVER_COLUMNS).where(receiver.c.kf_id == bindparam("of_kf_id"))
_ASIDE: Final = (
    select(*EVENT_COLUMNS, *DELIVERY_COLUMNS)
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
    select(*EVENT_COLUMNS, *DELIVERY_COLUMNS)
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
    select(receiver.c.kind, func.sum(END - receiver.c.cursor + _WAITING))
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


def owed(connection: Connection, now: datetime, alone: bool) -> list[str]:
    """Return the ids of the receivers for whom there is something to do."""
    return list(connection.execute(_OWED, {"now": now, "alone": alone}).scalars())


def claim(connection: Connection, claim: Mapping[str, Any]) -> Batch | None:
    """Begin to work on a receiver, and return what to try."""
    if connection.execute(_CLAIM, claim).rowcount == 0:
        return None
    row = connection.execute(CLAIMED, {"of_kf_id": claim["of_kf_id"]}).one()
    claimed, now = to_receiver(row), claim["now"]
    aside = connection.execute(_ASIDE, {"receiver": row[0], "now": now}).all()
    line: Sequence[AnyRow] = ()
    if claimed.held_until is None or claimed.held_until <= now:
        line = connection.execute(_LINE, {"receiver": row[0], "cursor": claimed.cursor}).all()
    return Batch(claimed, tuple(map(to_delivery, aside)), tuple(map(to_delivery, line)))


def record(connection: Connection, served: Receiver, deliveries: Sequence[Delivery]) -> None:
    """Store what came of a batch.

    Raises:
        LeaseLost: somebody else has begun to work on it, or it was edited or deleted.
    """
    values: Values = {"cursor": served.cursor, "failures": served.failures, "held_until": served.held_until}
    if not served.enabled:
        values |= {"enabled": False, "disabled_because": served.disabled_because}
    key = {"of_kf_id": served.kf_id, "epoch": served.lease_epoch}
    if connection.execute(_RECORD.values(**values, lease_owner=None, lease_until=None), key).rowcount == 0:
        raise LeaseLost(f"receiver {served.kf_id} is somebody else's by now, or was edited or deleted")
    position = connection.execute(_POSITION_OF, {"of_kf_id": served.kf_id}).scalar_one()
    store_deliveries(connection, position, deliveries)
    connection.execute(_PRUNE, {"receiver": position, "oldest": served.cursor - KEPT})


def store_deliveries(connection: Connection, position: int, deliveries: Sequence[Delivery]) -> None:
    """Store how far deliveries to a receiver are, in place of what was there of them."""
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


def backlog(connection: Connection) -> dict[str, int]:
    """Return how many events are not done with yet, by kind of receiver."""
    return {str(kind): int(n) for kind, n in connection.execute(_BACKLOG)}


def end_of_log(connection: Connection) -> int:
    """Return the position of the last event, 0 when there is none."""
    return int(connection.execute(select(END)).scalar_one())


def pass_over(connection: Connection, until: int, now: datetime) -> None:
    """Announce what stands after a position to nobody; what a receiver has not got up to there is set aside for it.

    To be called in the turn of events, and the transaction, in which these were added.
    """
    connection.execute(_SET_ASIDE, {"until": until, "now": now})
    connection.execute(_TRIED_SET_ASIDE, {"now": now})
    behind = update(receiver).where(receiver.c.enabled == true())
    connection.execute(behind.values(cursor=END, held_until=None, **void_claims()))


def void_claims() -> Values:
    """Return what makes void whatever somebody is at with a receiver, to be begun anew with what it is now."""
    return {"lease_epoch": receiver.c.lease_epoch + 1, "lease_owner": None, "lease_until": None}


def to_receiver(row: AnyRow) -> Receiver:
    """Return the receiver of a row that begins with its position."""
    return Receiver(*row[1:])


def to_delivery(row: AnyRow) -> Delivery:
    """Return the delivery of a row of an event and its delivery, which has not begun where that is empty."""
    happened = Event(*row[:_EVENT_WIDTH])
    since, *rest = row[_EVENT_WIDTH:]
    return Delivery(happened, happened.created_at) if since is None else Delivery(happened, since, *rest)
