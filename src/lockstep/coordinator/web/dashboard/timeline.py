"""The timeline of a release: a row for every service, time from left to right. Pure; the template draws it.

Places are percent of the width, so that the picture fits any screen and its letters keep their size. A review may
take days between minutes of work: where it would fill the picture it is drawn shorter, with a word that says so.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

from lockstep.coordinator.core.model import Release
from lockstep.coordinator.web.dashboard.history import Lane, Span, spans
from lockstep.coordinator.web.dashboard.words import exact, seconds
from lockstep.protocol.states import SETTLED_RELEASES, SETTLED_TASKS

_REVIEW_AT_MOST: Final = 0.22
"""The part of the width that the time of review may take."""

_GRAINS: Final = 32
"""While a release goes on, its picture ends at most so small a part of its length after now."""

_TICKS: Final = 5
_ROW, _DENSE_ROW, _DENSE_FROM, _HEAD = 24, 7, 60, 22
_STEPS_S: Final = (0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400, 604800)


@dataclass(frozen=True, slots=True)
class Bar:
    """One state of one task; its place and length are percent of the width."""

    x: float
    width: float
    state: str
    title: str


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One service."""

    name: str
    y: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line with a word: a tick of the clock, or a step of the release."""

    x: str
    text: str
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class Timeline:
    """The picture, in pixels from top to bottom and percent from left to right."""

    height: int
    row_height: int
    head: int
    dense: bool
    rows: tuple[TimelineRow, ...]
    ticks: tuple[Mark, ...]
    review: Mark | None
    states: tuple[str, ...]

    @property
    def passed(self) -> list[str]:
        """Return the states that take their time; in the others a task has ended."""
        return [state for state in self.states if state not in SETTLED_TASKS]

    @property
    def paths(self) -> dict[str, str]:
        """Return the bars of each state as one path of lines, which a page with hundreds of services can carry."""
        found: dict[str, str] = {}
        for row in self.rows:
            for bar in row.bars:
                line = f"M{bar.x:g} {row.y + self.row_height // 2}h{bar.width:g}"
                found[bar.state] = found.get(bar.state, "") + line
        return found


@dataclass(frozen=True)
class _Scale:
    """Turns times into places; the time of review may be squeezed."""

    start: datetime
    end: datetime
    review: Span | None
    squeezed_s: float

    def _worked_s(self, moment: datetime) -> float:
        """Return the seconds from the start to a time, with the review as long as it is drawn."""
        passed_s = (moment - self.start).total_seconds()
        if self.review is None or moment <= self.review.start:
            return max(0.0, passed_s)
        review_s = max(1e-6, ((self.review.end or self.end) - self.review.start).total_seconds())
        inside_s = min(review_s, (moment - self.review.start).total_seconds())
        return passed_s - inside_s + inside_s / review_s * self.squeezed_s

    def place(self, moment: datetime) -> float:
        """Return where a time is, in percent of the width."""
        return 100 * self._worked_s(min(moment, self.end)) / self._whole_s

    @cached_property
    def _whole_s(self) -> float:
        return max(1e-6, self._worked_s(self.end))


def draw(release: Release, lanes: Sequence[Lane], moves: Sequence[tuple[str, datetime]], now: datetime) -> Timeline:
    """Return the timeline of a release.

    Args:
        release: the release.
        lanes: the ways of its tasks.
        moves: the states that it came to, and when.
        now: until when it is drawn while it goes on.
    """
    settled = release.state in SETTLED_RELEASES
    end = release.step_since if settled else _soon_after(release.created_at, now)
    steps = spans(release.created_at, "waiting", moves)
    scale = _scale(release.created_at, max(end, release.created_at), steps)
    dense = len(lanes) > _DENSE_FROM
    row_height = _DENSE_ROW if dense else _ROW
    rows = tuple(
        TimelineRow(lane.task.service_name, _HEAD + index * row_height, _bars(scale, lane, dense=dense))
        for index, lane in enumerate(lanes)
    )
    states = dict.fromkeys(bar.state for row in rows for bar in row.bars)
    return Timeline(
        _HEAD + max(1, len(rows)) * row_height,
        row_height,
        _HEAD,
        dense,
        rows,
        tuple(_ticks(scale)),
        _review(scale),
        tuple(states),
    )


def _scale(start: datetime, end: datetime, steps: Sequence[Span]) -> _Scale:
    review = next((step for step in steps if step.state == "staged"), None)
    if review is None:
        return _Scale(start, end, None, 0)
    review_s = ((review.end or end) - review.start).total_seconds()
    work_s = (end - start).total_seconds() - review_s
    most_s = max(work_s, 1e-3) * _REVIEW_AT_MOST / (1 - _REVIEW_AT_MOST)
    return _Scale(start, end, review, min(review_s, most_s)) if review_s > most_s else _Scale(start, end, None, 0)


def _bars(scale: _Scale, lane: Lane, *, dense: bool) -> tuple[Bar, ...]:
    found = []
    for span in lane.spans:
        if span.state in SETTLED_TASKS and span.end is None and span.start >= scale.end:
            continue
        x, until = scale.place(span.start), scale.place(span.end or scale.end)
        if dense and until - x < 0.05:  # noqa: PLR2004 - nothing to be seen at this size
            continue
        found.append(Bar(round(x, 2), round(max(0.15, until - x), 2), span.state, "" if dense else _title(span)))
    return tuple(found)


def _title(span: Span) -> str:
    if span.end is None:
        return f"{span.state} since {exact(span.start)}"
    return f"{span.state}, {seconds((span.end - span.start).total_seconds())}"


def _soon_after(start: datetime, now: datetime) -> datetime:
    """Return a time at or a little after now that stays the same for a while: the picture need not move each second."""
    passed_s = max(0.01, (now - start).total_seconds())
    grain_s = 2.0 ** math.floor(math.log2(passed_s / _GRAINS))
    return start + timedelta(seconds=math.ceil(passed_s / grain_s) * grain_s)


def _ticks(scale: _Scale) -> list[Mark]:
    """Return ticks at round times since the start; after a squeezed review the clock would mean nothing."""
    until = scale.review.start if scale.review else scale.end
    whole_s, shown = (until - scale.start).total_seconds(), scale.place(until) / 100
    step_s = next((step for step in _STEPS_S if whole_s / step <= max(1.5, _TICKS * shown)), _STEPS_S[-1])
    marks = [Mark("0%", "start", "start")]
    number = 1
    while number * step_s <= whole_s and number < 20:  # noqa: PLR2004 - a bound, should a step be too small
        x = shown * 100 * number * step_s / max(1e-6, whole_s)
        if x <= 94 and (scale.review is None or x < shown * 100 - 8):  # noqa: PLR2004 - room for the words
            marks.append(Mark(_percent(x), seconds(number * step_s)))
        number += 1
    return marks


def _review(scale: _Scale) -> Mark | None:
    if scale.review is None:
        return None
    start, end = scale.review.start, scale.review.end
    middle = (scale.place(start) + scale.place(end or scale.end)) / 2
    return Mark(_percent(middle), f"review {seconds((end - start).total_seconds())}" if end else "review")


def _percent(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") + "%"
