"""Announcements to receivers outside: what is owed to whom, and what follows from each try. Pure.

The log of events is the outbox. Each receiver has a cursor, the place in the log up to which it has been served, so
that nothing is written for announcements when a release changes. What happened to each event at each receiver is a
`Delivery`, written when it was tried.

Events go to a receiver one after the other, in the order of the log. When one does not arrive, the line is held and
tried again with growing pauses, so that a receiver that was away gets everything, in order. There is one exception:
an answer that is about this event rather than about the receiver (`ABOUT_THE_EVENT`). An event that got five of
those is set aside, to be tried by itself, and the line goes on without it. Whatever has not arrived after a day and
is tried in vain once more is given up. 410 says that the receiver is no more, and switches it off.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from lockstep.coordinator.core.records import Event

DAY: Final = timedelta(days=1)
"""How long an event is tried, from when it happened, or from when its redelivery was asked for."""

FIRST_PAUSE_S: Final = 5.0
PAUSE_GROWTH: Final = 3.0
LONGEST_PAUSE_S: Final = 3600.0
"""An hour: a receiver that comes back within its day has the last of its tries not far behind."""

TRIES_IN_LINE: Final = 5
"""About three minutes, in which a receiver that is being restarted comes back, and no event loses its place."""

OLD_SECRET_STAYS: Final = DAY
"""How long messages are signed with the secret before as well, after a new one was made."""

ABOUT_THE_EVENT: Final = frozenset({400, 409, 413, 415, 422, 500})
"""Statuses that a receiver can give for one event and not for the next; the others are about the receiver."""

_GONE: Final = 410


class ReceiverKind(StrEnum):
    """What sort of receiver: one that people register, or the topic that the deployment names."""

    WEBHOOK = "webhook"
    TOPIC = "topic"


class DeliveryState(StrEnum):
    """What has become of an event at a receiver."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Receiver:
    """Somebody whom every event is announced to.

    Attributes:
        target: where it is: an address, or a topic's ARN.
        secret: what messages to a webhook are signed with; empty for a topic.
        old_secret: the secret before, with which messages are signed as well until `old_secret_until`.
        disabled_because: why it was switched off, if it was not a person who did.
        cursor: the position of the last event that is done with, be it delivered, set aside or given up.
        failures: tries in line that failed in a row.
        held_until: when the line goes on; None when nothing holds it.
        lease_epoch: rises whenever somebody begins to work on it, and fences what others hold of it.
    """

    kf_id: str
    kind: ReceiverKind
    target: str
    created_at: datetime
    description: str = ""
    author: str = "admin"
    secret: str = ""
    old_secret: str = ""
    old_secret_until: datetime | None = None
    enabled: bool = True
    disabled_because: str = ""
    cursor: int = 0
    failures: int = 0
    held_until: datetime | None = None
    lease_epoch: int = 0

    def secrets(self, now: datetime) -> tuple[str, ...]:
        """Return the secrets to sign with, the current one first."""
        old_counts = self.old_secret and self.old_secret_until is not None and now < self.old_secret_until
        return (self.secret, self.old_secret) if old_counts else (self.secret,)


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way to a receiver.

    Attributes:
        since: when its day began.
        attempts: tries so far.
        tried_at: the last try.
        due_at: when it is tried next, if it was set aside; None in line, where its turn comes, and when it is over.
        status: the HTTP status of the last answer, None where there was none.
        error: why the last try failed, in words; empty when it did not.
    """

    event: Event
    since: datetime
    state: DeliveryState = DeliveryState.WAITING
    attempts: int = 0
    tried_at: datetime | None = None
    due_at: datetime | None = None
    status: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one try.

    Attributes:
        taken: the receiver has it.
        status: the HTTP status, None where there was no answer.
        error: why it failed, in words.
        retry_after_s: the pause that the receiver asked for, in seconds.
    """

    taken: bool
    status: int | None = None
    error: str = ""
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be tried at one receiver now: what was set aside and is due, and the next of the line in order."""

    receiver: Receiver
    aside: tuple[Delivery, ...] = ()
    line: tuple[Delivery, ...] = ()


def pause(failures: int, asked_for_s: float | None = None) -> timedelta:
    """Return the pause after so many failures in a row: longer each time, and not shorter than was asked for."""
    grown = FIRST_PAUSE_S * PAUSE_GROWTH ** min(failures - 1, 20)
    return timedelta(seconds=min(max(grown, asked_for_s or 0), LONGEST_PAUSE_S))


def tried_in_line(receiver: Receiver, delivery: Delivery, outcome: Outcome, now: datetime) -> tuple[Receiver, Delivery]:
    """Return the receiver and the delivery after a try of the first in line; the line goes on unless it is held."""
    after = _tried(delivery, outcome, now)
    on = replace(receiver, cursor=delivery.event.position, failures=0, held_until=None)
    if outcome.taken:
        return on, after
    if outcome.status == _GONE:
        return _switched_off(on), after
    if after.state is DeliveryState.GIVEN_UP:
        return replace(on, failures=receiver.failures + 1), after
    if outcome.status in ABOUT_THE_EVENT and after.attempts >= TRIES_IN_LINE:
        return on, replace(after, due_at=now + pause(after.attempts, outcome.retry_after_s))
    failures = receiver.failures + 1
    return replace(receiver, failures=failures, held_until=now + pause(failures, outcome.retry_after_s)), after


def tried_aside(receiver: Receiver, delivery: Delivery, outcome: Outcome, now: datetime) -> tuple[Receiver, Delivery]:
    """Return the receiver and the delivery after a try of one that was set aside."""
    after = _tried(delivery, outcome, now)
    if outcome.status == _GONE:
        return _switched_off(receiver), after
    if after.state is DeliveryState.WAITING:
        after = replace(after, due_at=now + pause(after.attempts, outcome.retry_after_s))
    return receiver, after


def _tried(delivery: Delivery, outcome: Outcome, now: datetime) -> Delivery:
    state = DeliveryState.WAITING
    if outcome.taken:
        state = DeliveryState.DELIVERED
    elif outcome.status == _GONE or now - delivery.since >= DAY:
        state = DeliveryState.GIVEN_UP
    return replace(
        delivery,
        state=state,
        attempts=delivery.attempts + 1,
        tried_at=now,
        due_at=None,
        status=outcome.status,
        error=outcome.error,
    )


def _switched_off(receiver: Receiver) -> Receiver:
    reason = "It answered 410, which says that it is gone for good."
    return replace(receiver, enabled=False, disabled_because=reason)
