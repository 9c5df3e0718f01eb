"""How a service has been over time, from the events that its health leaves. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from lockstep.coordinator.core.records import Event, TaskService
from lockstep.coordinator.web.dashboard.words import ago, between, count, exact, seconds

MARK: Final = "; health changed from "
"""What is in the message of an event of a service's health, and in no other."""

PERIOD: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Spell:
    """A time in which a service answered or was down; places are percent of the period."""

    state: str
    x: str
    width: str
    title: str


@dataclass(frozen=True, slots=True)
class Health:
    """A service over the period: its spells, and the same in a sentence."""

    spells: tuple[Spell, ...]
    sentence: str
    since: datetime


def health(service: TaskService, events: Sequence[Event], now: datetime) -> Health:
    """Return how a service has been.

    Args:
        service: the service as it is now.
        events: the newest events of its health, newest first.
        now: the end of the period.
    """
    since = max(service.created_at, now - PERIOD)
    changes = [(event.created_at, event.message.endswith("to ok")) for event in reversed(events)]
    inside = [(at, up) for at, up in changes if at > since]
    up_before = not inside[0][1] if inside else service.health_status == "ok"
    starts = [(since, up_before), *inside]
    ends = [at for at, _ in starts[1:]] + [now]
    whole_s = max(1e-6, (now - since).total_seconds())
    spells, down_s = [], 0.0
    for (start, up), end in zip(starts, ends, strict=True):
        length_s = (end - start).total_seconds()
        down_s += 0 if up else length_s
        x, width = 100 * (start - since).total_seconds() / whole_s, max(0.3, 100 * length_s / whole_s)
        title = f"{'answered' if up else 'down'} for {between(start, end)} from {exact(start)}"
        spells.append(Spell("published" if up else "failed", f"{x:.2f}%", f"{width:.2f}%", title))
    return Health(tuple(spells), _sentence(starts, down_s, since, now), since)


def _sentence(starts: Sequence[tuple[datetime, bool]], down_s: float, since: datetime, now: datetime) -> str:
    times = sum(not up for _, up in starts)
    over = f"the last {between(since, now)}"
    if not times:
        return f"It was never down in {over}."
    last = max(start for start, up in starts if not up)
    return f"Down {count(times, 'time')} in {over}, {seconds(down_s)} in all; the last time began {ago(last, now)}."
