"""Small charts, as the points that a template draws. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_WIDTH: Final = 100.0
_HEIGHT: Final = 40.0
_MARGIN: Final = 3.0


@dataclass(frozen=True, slots=True)
class Curve:
    """How a number went over releases: a line and the area under it, in a box of 100 by 40."""

    name: str
    line: str
    area: str
    first: int
    last: int
    points: tuple[tuple[str, int], ...]


def curve(name: str, points: Sequence[tuple[str, str, int]]) -> Curve:
    """Return the curve of some points: release id, version and number, oldest first. The axis begins at zero."""
    values = [value for *_, value in points]
    highest = max([*values, 1])
    drawn = values if len(values) > 1 else values * 2
    step = _WIDTH / (len(drawn) - 1)
    room = _HEIGHT - 2 * _MARGIN
    places = [
        (round(index * step, 2), round(_HEIGHT - _MARGIN - room * value / highest, 2))
        for index, value in enumerate(drawn)
    ]
    line = " ".join(f"{x},{y}" for x, y in places)
    area = f"0,{_HEIGHT:g} {line} {_WIDTH:g},{_HEIGHT:g}"
    return Curve(name, line, area, values[0], values[-1], tuple((version, value) for _, version, value in points))
