"""What the events of a release tell about the way that it and its tasks went. Pure.

Every move stands in the log, in words that never change: `… changed from running to staged`. Read in order they give
the time that each task spent in each state.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lockstep.coordinator.core.model import COORDINATOR, Release, Task
from lockstep.coordinator.core.records import Event
from lockstep.coordinator.web.dashboard.words import STATES
from lockstep.protocol.states import ReleaseState

_MOVE: Final = re.compile(r"(?:release|task) \w+(?:, version [0-9.]+)? changed from (\w+) to (\w+)")


@dataclass(frozen=True, slots=True)
class Span:
    """A state, and from when to when; `end` is None while it lasts."""

    state: str
    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Lane:
    """One task's way, as spans in their order."""

    task: Task
    spans: tuple[Span, ...]

    @property
    def by_state(self) -> Mapping[str, Span]:
        """Return when it was in each state; it comes to none of them twice."""
        return {span.state: span for span in self.spans}


def moves_of_release(events: Iterable[Event]) -> list[tuple[str, datetime]]:
    """Return the states that the release came to, and when."""
    return [(state, event.created_at) for event in events if not event.task_id and (state := _to(event))]


def lanes(release: Release, tasks: Sequence[Task], events: Iterable[Event]) -> list[Lane]:
    """Return the way of every task."""
    moves: defaultdict[str, list[tuple[str, datetime]]] = defaultdict(list)
    for event in events:
        if event.task_id and (state := _to(event)):
            moves[event.task_id].append((state, event.created_at))
    return [Lane(task, spans(release.created_at, "waiting", moves[task.kf_id])) for task in tasks]


def spans(start: datetime, state: str, moves: Sequence[tuple[str, datetime]]) -> tuple[Span, ...]:
    """Return the spans between some moves; the last one is open."""
    found = []
    for to, at in moves:
        found.append(Span(state, start, at))
        state, start = to, at
    return (*found, Span(state, start, None))


def move_of(event: Event) -> tuple[str, str] | None:
    """Return from which state to which something moved; None for an event that tells of something else."""
    match = _MOVE.fullmatch(event.message)
    return (match[1], match[2]) if match and match[2] in STATES else None


def person_of(event: Event) -> str:
    """Return who decided what an event tells; empty for what came of it, though a request brought it."""
    moved = _to(event)
    decided = not moved or moved in {ReleaseState.PUBLISHING, ReleaseState.CANCELING}
    return event.actor if decided and event.task_id is None and event.actor != COORDINATOR else ""


def deciders(release: Release, events: Iterable[Event]) -> list[tuple[str, str]]:
    """Return who had the release published or canceled, as what was done and by whom; a failure is nobody's wish."""
    decisions = {"publishing": "published"}
    if release.ending is ReleaseState.CANCELED:
        decisions["canceling"] = "canceled"
    found = [(decisions.get(_to(event), ""), person_of(event)) for event in events]
    return [(done, who) for done, who in found if done and who]


def _to(event: Event) -> str:
    move = move_of(event)
    return move[1] if move else ""
