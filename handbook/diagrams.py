"""State diagrams as SVG, drawn from tables of moves: no script, no font and no program is needed to see them."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

Moves = Mapping[str, frozenset[str]]

_BOX_W: Final = 104
_BOX_H: Final = 34
_GAP_X: Final = 44
_GAP_Y: Final = 74
_MARGIN: Final = 12

_ARROW: Final = (
    '<marker id="{id}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0 0L8 4L0 8z" class="head"/></marker>'
)


def drawn(name: str, line: tuple[str, ...], moves: Moves) -> str:
    """Return a diagram: the way when all goes well from left to right, what leaves it below, step by step.

    Args:
        name: what is drawn, for readers who do not see it, and for the names of its parts.
        line: the states of the way when all goes well, in order.
        moves: every state with those that it can change to; settled ones have none.
    """
    places = _places(line, moves)
    width = 2 * _MARGIN + max(x for x, _ in places.values()) + _BOX_W
    height = 2 * _MARGIN + max(y for _, y in places.values()) + _BOX_H
    arrow = f"arrow-{name}"
    edges = [
        _edge(places[here], places[there], arrow, on_line=(here, there) in set(pairwise(line)))
        for here, wanted in moves.items()
        for there in sorted(wanted)
    ]
    boxes = [_box(state, places[state], is_settled=not wanted) for state, wanted in moves.items()]
    head = (
        f'<div class="states"><svg viewBox="{-_MARGIN} {-_MARGIN} {width} {height}" width="{width}" role="img" '
        f'aria-label="The states of a {name} and the moves between them">'
    )
    return "\n".join((head, f"<defs>{_ARROW.format(id=arrow)}</defs>", *edges, *boxes, "</svg></div>"))


def mermaid(line: tuple[str, ...], moves: Moves) -> str:
    """Return the same diagram in Mermaid, as pages have it that are read on a forge."""
    first = [f"[*] --> {line[0]}", *(f"{here} --> {there}" for here, there in pairwise(line))]
    aside = [
        f"{here} --> {there}"
        for here, wanted in moves.items()
        for there in sorted(wanted)
        if (here, there) not in set(pairwise(line))
    ]
    ends = [f"{state} --> [*]" for state, wanted in moves.items() if not wanted]
    return "\n".join(("```mermaid", "stateDiagram-v2", *(f"    {each}" for each in (*first, *aside, *ends)), "```"))


def _places(line: tuple[str, ...], moves: Moves) -> dict[str, tuple[int, int]]:
    """Return the upper left corner of each state's box: those off the line as far below it as they are steps away."""
    depth = dict.fromkeys(line, 0)
    while len(depth) < len(moves):
        found = {
            there: depth[here] + 1 for here, wanted in moves.items() if here in depth for there in wanted - depth.keys()
        }
        if not found:
            raise ValueError(f"nothing leads to {', '.join(sorted(moves.keys() - depth.keys()))}")
        depth |= found
    rows: dict[int, list[str]] = {}
    for state in (*line, *(state for state in moves if state not in line)):
        rows.setdefault(depth[state], []).append(state)
    whole = len(line) * (_BOX_W + _GAP_X) - _GAP_X
    places = {}
    for row, states in rows.items():
        each = whole / len(states)
        for n, state in enumerate(states):
            x = n * (_BOX_W + _GAP_X) if row == 0 else round(each * (n + 0.5) - _BOX_W / 2)
            places[state] = (x, row * (_BOX_H + _GAP_Y))
    return places


def _edge(here: tuple[int, int], there: tuple[int, int], arrow: str, *, on_line: bool) -> str:
    (x, y), (to_x, to_y) = here, there
    if on_line:
        way = f"M{x + _BOX_W} {y + _BOX_H // 2}H{to_x}"
    else:
        way = f"M{x + _BOX_W // 2} {y + _BOX_H}L{to_x + _BOX_W // 2} {to_y}"
    aside = "" if on_line else ' class="aside"'
    return f'<path d="{way}" marker-end="url(#{arrow})"{aside}/>'


def _box(state: str, place: tuple[int, int], *, is_settled: bool) -> str:
    x, y = place
    end = ' class="end"' if is_settled else ""
    return (
        f'<rect x="{x}" y="{y}" width="{_BOX_W}" height="{_BOX_H}" rx="8"{end}/>'
        f'<text x="{x + _BOX_W // 2}" y="{y + 22}">{state}</text>'
    )
