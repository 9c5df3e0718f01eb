"""How the dashboard says times, numbers and states. Pure functions, which the templates use as filters."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from lockstep.protocol.states import ReleaseState, TaskState

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_NAMED: Final = 3

MINUS: Final = "\N{MINUS SIGN}"

STATES: Final = frozenset({*ReleaseState, *TaskState})
"""Every state that a release or a task can have."""

STATE_SENTENCES: Final = {
    ReleaseState.WAITING: "About to begin",
    ReleaseState.INITIALIZING: "Asking every service to get ready",
    ReleaseState.RUNNING: "Being staged, out of the public's sight",
    ReleaseState.STAGED: "Staged on every service and ready for review",
    ReleaseState.PUBLISHING: "Being published",
    ReleaseState.PUBLISHED: "Public on every service",
    ReleaseState.CANCELING: "Being canceled",
    ReleaseState.CANCELED: "Canceled",
    ReleaseState.FAILED: "Failed",
}
"""What each state of a release means to a reader."""


def seconds(amount_s: float) -> str:
    """Return a length of time in its two largest units, such as `3 min 20 s` or `2 d 4 h`."""
    whole = max(0, int(amount_s))
    if 0 <= amount_s < 0.05:  # noqa: PLR2004
        return "a moment"
    if whole < _MINUTE:
        return f"{round(amount_s, 1):g} s" if 0 < amount_s < 10 else f"{whole} s"  # noqa: PLR2004 - a digit more for short ones
    for unit_s, unit, part_s, part in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "min"), (_MINUTE, "min", 1, "s")):
        if whole >= unit_s:
            rest = whole % unit_s // part_s
            return f"{whole // unit_s} {unit}" + (f" {rest} {part}" if rest else "")
    return f"{whole} s"


def between(start: datetime, end: datetime) -> str:
    """Return how long it is from one time to another."""
    return seconds((end - start).total_seconds())


def ago(moment: datetime, now: datetime) -> str:
    """Return a time as seen from now: `just now`, `5 min ago`, `3 d ago`; a date when it is long past."""
    amount_s = (now - moment).total_seconds()
    if amount_s < 10:  # noqa: PLR2004
        return "just now"
    if amount_s > 60 * _DAY:
        return f"{moment.astimezone(UTC):%-d %b %Y}"
    for unit_s, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if amount_s >= unit_s:
            return f"{int(amount_s // unit_s)} {unit} ago"
    return f"{int(amount_s)} s ago"


def exact(moment: datetime) -> str:
    """Return a time to the second, in UTC."""
    return f"{moment.astimezone(UTC):%-d %B %Y, %H:%M:%S} UTC"


def minute(moment: datetime) -> str:
    """Return a time to the minute, in UTC, without its year."""
    return f"{moment.astimezone(UTC):%-d %b, %H:%M} UTC"


def date(moment: datetime) -> str:
    """Return the day of a time, in UTC."""
    return f"{moment.astimezone(UTC):%-d %B %Y}"


def number(value: float | None) -> str:
    """Return a number with its thousands parted; the word `unknown` for none."""
    return "unknown" if value is None else f"{value:,}"


def signed(value: int) -> str:
    """Return a difference with its sign."""
    return f"+{value:,}" if value > 0 else f"{MINUS}{-value:,}" if value < 0 else "0"


def count(amount: int, singular: str, plural: str = "") -> str:
    """Return an amount of things: `1 service`, `3 services`."""
    return f"{amount:,} {singular if amount == 1 else plural or singular + 's'}"


def listed(names: Sequence[str], *, most: int = _NAMED) -> str:
    """Return names as a sentence has them: `a, b and c`, or `a, b, c and 7 more`."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join((", ".join(names[:-1]), names[-1]) if len(names) > 1 else names)
