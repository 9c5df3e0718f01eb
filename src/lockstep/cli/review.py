"""What a person reads before a release is published: what changes with it, as the release reports compared it.

First the counts that change, study by study; then the totals; then how many counts are as they were, how many nobody
knows, and what to look at. A count that is unknown is called so, and a total of which a part is unknown "at least".

At a terminal it is a picture of columns. Elsewhere each count is a line: study, what the release does to it, entity,
last, now, difference, percent and flags, with a tab between them; the totals are those of `all studies`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lockstep.cli.tables import clean, is_terminal

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

Json = Mapping[str, Any]

UNKNOWN: Final = "unknown"
ALL_STUDIES: Final = "all studies"

_HEADINGS: Final = ("", "LAST", "NOW", "DIFFERENCE", "PERCENT", "")
_MOST_NAMED: Final = 3
_GAP: Final = 2


@dataclass(frozen=True, slots=True)
class Line:
    """One entity, of one study or of all: what is shown of it, and whether a person has to look at it."""

    cells: tuple[str, ...]
    is_flagged: bool


@dataclass(frozen=True, slots=True)
class Section:
    """One study, or all of them: what it is called, what the release does to it, and its lines."""

    study: str
    name: str
    kind: str
    lines: Sequence[Line]


def print_diff(diff: Json, names: Mapping[str, str]) -> None:
    """Print what changes with a release.

    Args:
        diff: the comparison, as the release reports answer it.
        names: the names of studies by their ids; a study may have none.
    """
    sections = [*_changed_studies(diff, names), _totals(diff)]
    if is_terminal():
        _print_picture(sections, in_sentences(diff))
        return
    for section in sections:
        for line in section.lines:
            print("\t".join(map(clean, (section.study, section.kind, *line.cells))))
    for sentence in in_sentences(diff):
        print(sentence)


def in_sentences(diff: Json) -> Iterator[str]:
    """Yield what there is to be said about the comparison as a whole, a sentence at a time."""
    yield _how_much(diff)
    silent = [entity.replace("-", " ") for entity, total in diff["totals"].items() if not _is_known(total)]
    if silent:
        yield f"Nothing is known of {', '.join(silent)}."
    unchanged, gone = diff["studies"]["unchanged"], diff["studies"]["gone"]
    if unchanged:
        yield f"As they were, as far as is known: {_some(unchanged)}."
    if gone:
        yield f"Not in this release: {_some(gone)}."
    flags = Counter(flag["flag"] for flag in diff["flags"])
    meanings = {
        "falls": f"falls by more than {diff['threshold_percent']:g} %",
        "becomes unknown": "became unknown",
        "source changed": "from another source",
    }
    parts = [f"{meaning} ({flags[flag]})" for flag, meaning in meanings.items() if flags[flag]]
    yield f"To look at: {', '.join(parts)}." if parts else "Nothing stands out: no count fell by much or was lost."
    yield from [f"{clean(flag['message'])}." for flag in diff["flags"] if flag["flag"] != "falls"][:_MOST_NAMED]


def _how_much(diff: Json) -> str:
    cells = [
        cell
        for study_id, study in diff["study_diffs"].items()
        if study_id not in diff["studies"]["gone"]
        for cell in study["entities"].values()
    ]
    unknown = [cell for cell in cells if not _is_known(cell)]
    changed = sum(map(_is_change, cells))
    unchanged = len(cells) - changed - len(unknown)
    reasons = _some(sorted({str(cell["now_unknown"]) for cell in unknown}), between="; ")
    return (
        f"Of {len(cells)} counts {changed or 'none'} change, {unchanged or 'none'} stay as they were, "
        f"and {len(unknown) or 'none'} are unknown{f' ({reasons})' if unknown else ''}."
    )


def _changed_studies(diff: Json, names: Mapping[str, str]) -> Iterator[Section]:
    for study_id, study in diff["study_diffs"].items():
        lines = [_line(entity, cell, _side) for entity, cell in study["entities"].items() if _is_change(cell)]
        if lines:
            yield Section(study_id, names.get(study_id, ""), study["kind"], lines)


def _totals(diff: Json) -> Section:
    """Return the totals of what is known at all; an entity of which nothing is known has none."""
    known = {entity: total for entity, total in diff["totals"].items() if _is_known(total)}
    return Section(ALL_STUDIES, "", "", [_line(entity, total, _total_side) for entity, total in known.items()])


def _is_known(count: Json) -> bool:
    return count["last"] is not None or count["now"] is not None


def _is_change(cell: Json) -> bool:
    return cell["last"] != cell["now"] or bool(cell["flags"])


def _line(entity: str, cell: Json, side: Any) -> Line:  # noqa: ANN401 - one of the two functions below
    difference, percent = cell["difference"], cell["percent"]
    is_unknown = difference is None and ("last_unknown" in cell or "now_unknown" in cell)
    shown = (
        entity.replace("-", " "),
        side(cell, "last"),
        side(cell, "now"),
        UNKNOWN if is_unknown else "" if difference is None else f"{difference:+,}" if difference else "0",
        "" if percent is None else f"{percent:+.2f} %" if percent else "0 %",
        ", ".join(cell["flags"]),
    )
    return Line(shown, bool(cell["flags"]))


def _side(cell: Json, when: str) -> str:
    """Return the count of a study then or now; "" if the study was or is no part of it."""
    if cell[when] is not None:
        return f"{cell[when]:,}"
    return UNKNOWN if f"{when}_unknown" in cell else ""


def _total_side(total: Json, when: str) -> str:
    if total[when] is None:
        return UNKNOWN
    return f"at least {total[when]:,}" if f"{when}_unknown" in total else f"{total[when]:,}"


def _some(names: Sequence[str], between: str = ", ") -> str:
    """Return the first few of some names, and how many more there are."""
    more = len(names) - _MOST_NAMED
    return between.join(map(clean, names[:_MOST_NAMED])) + (f" and {more} more" if more > 0 else "")


def _print_picture(sections: Sequence[Section], sentences: Iterable[str]) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(highlight=False)
    rows = [_HEADINGS, *(line.cells for section in sections for line in section.lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    # A terminal that is too narrow breaks lines, and never hides the end of a number.
    wide = Console(highlight=False, width=max(console.width, sum(widths) + _GAP * (len(widths) + 2)))
    wide.print(Padding(_columns(widths, [Line(_HEADINGS, is_flagged=False)], "dim"), (1, 0, 0, _GAP)))
    for section in sections:
        console.print(_opening(section), no_wrap=True, overflow="ellipsis")
        style = "bold" if section.study == ALL_STUDIES else ""
        wide.print(Padding(_columns(widths, section.lines, style), (0, 0, 0, _GAP)))
    console.print()
    for sentence in sentences:
        console.print(Text(sentence))


def _opening(section: Section) -> "Text":
    from rich.text import Text

    kind = "" if section.kind == "changed" else section.kind
    parts = ((section.study, "bold"), (kind, "cyan"), (section.name, ""))
    return Text("  ").join(Text(clean(text), style=style) for text, style in parts if text)


def _columns(widths: Sequence[int], lines: Sequence[Line], style: str) -> "Table":
    """Return lines in columns that stand under those of the other sections."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, _GAP))
    for place, width in enumerate(widths):
        table.add_column(width=width, justify="left" if place in {0, len(widths) - 1} else "right")
    for line in lines:
        entity, last, now, *change = line.cells
        styles = [style, "dim" if last == UNKNOWN else style, "dim" if now == UNKNOWN else style]
        styles += ["yellow" if line.is_flagged else "dim" if text == UNKNOWN else style for text in change]
        table.add_row(*map(Text, (entity, last, now, *change), styles))
    return table
