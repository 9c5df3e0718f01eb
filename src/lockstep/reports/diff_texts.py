"""A comparison of releases as JSON for programs, as CSV for spreadsheets, and as Markdown for release notes.

All three say the same in the same words. What is unknown is never an empty place that could be read as zero: JSON has
`null` and a reason, CSV an empty cell with the reason in a column of its own, Markdown the word.

In CSV, a text that a spreadsheet would take for a formula gets an apostrophe in front. Numbers are numbers of ours and
stay as they are, negative ones too.
"""

import csv
import io
import re
from collections.abc import Iterator
from typing import Any, Final

from lockstep.dataservice.entities import REPORTED
from lockstep.reports.counting import Count, Known, Total, Unknown
from lockstep.reports.diff import Cell, Diff, Flag, Kind, StudyDiff, TotalDiff
from lockstep.reports.report import Heading

_COLUMNS: Final = (
    "study_id",
    "kind",
    "last_release_id",
    "last_version",
    "entity",
    "last",
    "now",
    "difference",
    "percent",
    "flags",
    "last_source",
    "now_source",
    "last_unknown",
    "now_unknown",
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_MARKDOWN: Final = re.compile(r"([\\`*\[\]<>|~])")


def diff_to_json(diff: Diff) -> dict[str, Any]:
    """Return everything that changes, as the API shows it."""
    return {
        **_heading_to_json(diff.heading),
        "state": diff.heading.state.value,
        "against": _heading_to_json(diff.against) if diff.against else None,
        "compared_with": "release" if diff.is_one_release else "last published",
        "threshold_percent": diff.threshold_percent,
        "studies": {kind.value: diff.of_kind(kind) for kind in Kind},
        "flags": [
            {"study_id": study_id, "entity": entity, "flag": flag.value, "message": sentence}
            for study_id, entity, flag, sentence in flagged(diff)
        ],
        "totals": {entity: _total_to_json(total) for entity, total in diff.totals.items()},
        "study_diffs": {study.study_id: _study_to_json(study) for study in diff.studies},
    }


def flagged(diff: Diff) -> Iterator[tuple[str, str, Flag, str]]:
    """Yield study, entity, flag and sentence for everything that a person has to look at."""
    for study in diff.studies:
        for entity, cell in study.cells.items():
            for flag in cell.flags:
                yield study.study_id, entity, flag, _sentence(study.study_id, entity, cell, flag)


def diff_to_csv(diff: Diff) -> str:
    """Return a line per study and entity, then one per entity over all studies; RFC 4180."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for study in diff.studies:
        last = study.last
        opening = (study.study_id, study.kind.value, last.release_id if last else None, last.version if last else None)
        for entity, cell in study.cells.items():
            writer.writerow(map(_csv_value, (*opening, entity, *_cell_to_row(cell))))
    for entity, total in diff.totals.items():
        writer.writerow(map(_csv_value, ("all studies", None, None, None, entity, *_total_to_row(total))))
    return text.getvalue()


def diff_to_markdown(diff: Diff) -> str:
    """Return tables that can stand in release notes: the totals, and the studies that are not as they were."""
    known = [entity for entity in REPORTED if any(_says_something(study.cells[entity]) for study in diff.studies)]
    silent = [entity for entity in REPORTED if entity not in known]
    parts = [
        f"## What changes with {_name(diff.heading)}",
        f"Compared with {_compared_with(diff)}.",
        "\n".join(_totals_table(diff)),
        "\n".join(_studies_table(diff, known)),
        f"Of these studies nothing is known of {', '.join(silent)}." if silent else "",
        _list_of_studies(diff, Kind.UNCHANGED, "Unchanged, as far as is known"),
        _list_of_studies(diff, Kind.GONE, _gone(diff)),
        _to_look_at(diff),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _heading_to_json(heading: Heading) -> dict[str, Any]:
    return {"release_id": heading.release_id, "version": heading.version}


def _total_to_json(total: TotalDiff) -> dict[str, Any]:
    return {
        "last": total.last.number,
        "now": total.now.number,
        "difference": total.difference,
        "percent": total.percent,
        "flags": [flag.value for flag in total.flags],
        **({"last_unknown": total.last.gap} if total.last.gap else {}),
        **({"now_unknown": total.now.gap} if total.now.gap else {}),
    }


def _study_to_json(study: StudyDiff) -> dict[str, Any]:
    return {
        "kind": study.kind.value,
        "last": _heading_to_json(study.last) if study.last else None,
        "entities": {entity: _cell_to_json(cell) for entity, cell in study.cells.items()},
    }


def _cell_to_json(cell: Cell) -> dict[str, Any]:
    return {
        "last": _number(cell.last),
        "now": _number(cell.now),
        "difference": cell.difference,
        "percent": cell.percent,
        "flags": [flag.value for flag in cell.flags],
        **({"last_source": cell.last.source} if isinstance(cell.last, Known) else {}),
        **({"now_source": cell.now.source} if isinstance(cell.now, Known) else {}),
        **({"last_unknown": cell.last.reason} if isinstance(cell.last, Unknown) else {}),
        **({"now_unknown": cell.now.reason} if isinstance(cell.now, Unknown) else {}),
    }


def _sentence(study_id: str, entity: str, cell: Cell, flag: Flag) -> str:
    last, now = cell.last, cell.now
    if flag is Flag.FALLS:
        return f"{entity} of {study_id} fall from {_shown(last)} to {_shown(now)} ({cell.percent:+.2f} %)"
    if flag is Flag.BECOMES_UNKNOWN:
        reason = now.reason if isinstance(now, Unknown) else ""
        return f"{entity} of {study_id} were {_shown(last)} and are unknown now: {reason}"
    before, after = (count.source if isinstance(count, Known) else "" for count in (last, now))
    return f"{entity} of {study_id} were counted by the {before} and are now by the {after}; the two may differ"


def _cell_to_row(cell: Cell) -> tuple[object, ...]:
    flags = "; ".join(flag.value for flag in cell.flags)
    sources = (count.source if isinstance(count, Known) else None for count in (cell.last, cell.now))
    reasons = (count.reason if isinstance(count, Unknown) else None for count in (cell.last, cell.now))
    return (_number(cell.last), _number(cell.now), cell.difference, cell.percent, flags, *sources, *reasons)


def _total_to_row(total: TotalDiff) -> tuple[object, ...]:
    flags = "; ".join(flag.value for flag in total.flags)
    numbers = (total.last.number, total.now.number, total.difference, total.percent)
    return (*numbers, flags, None, None, total.last.gap, total.now.gap)


def _csv_value(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _number(count: Count | None) -> int | None:
    return count.number if isinstance(count, Known) else None


def _says_something(cell: Cell) -> bool:
    return isinstance(cell.last, Known) or isinstance(cell.now, Known)


def _totals_table(diff: Diff) -> Iterator[str]:
    yield "| | last | now | difference |"
    yield "|---|---:|---:|---:|"
    for entity, total in diff.totals.items():
        change = "unknown" if total.difference is None else _change(total.difference, total.percent)
        yield f"| {entity} | {_total_shown(total.last)} | {_total_shown(total.now)} | {change} |"


def _studies_table(diff: Diff, entities: list[str]) -> Iterator[str]:
    shown = [study for study in diff.studies if study.kind in {Kind.NEW, Kind.CHANGED}]
    if shown and entities:
        yield f"| study | | {' | '.join(entities)} |"
        yield f"|---|---|{'---:|' * len(entities)}"
    for study in shown if entities else ():
        cells = " | ".join(_cell_shown(study.cells[entity]) for entity in entities)
        yield f"| {_plain(study.study_id)} | {study.kind} | {cells} |"


def _cell_shown(cell: Cell) -> str:
    """Return what stands in a table: last → now, or the number alone when nothing changed."""
    if cell.last is None or (_number(cell.last) == _number(cell.now) and not cell.flags):
        return _shown(cell.now)
    change = f" ({cell.difference:+,})" if cell.difference else ""
    mark = " **!**" if cell.flags else ""
    return f"{_shown(cell.last)} → {_shown(cell.now)}{change}{mark}"


def _shown(count: Count | None) -> str:
    return f"{count.number:,}" if isinstance(count, Known) else "unknown"


def _total_shown(total: Total) -> str:
    if total.number is None:
        return "unknown"
    return f"at least {total.number:,}" if total.gap else f"{total.number:,}"


def _change(difference: int, percent: float | None) -> str:
    return f"{difference:+,}" if percent is None or difference == 0 else f"{difference:+,} ({percent:+.2f} %)"


def _to_look_at(diff: Diff) -> str:
    flags = [f"- {_plain(sentence)}" for *_, sentence in flagged(diff)]
    if flags:
        return "\n".join(("To look at, marked **!** above:", "", *flags))
    threshold = f"{diff.threshold_percent:g} %"
    return f"Nothing to look at: no count fell by more than {threshold}, became unknown or changed its source."


def _list_of_studies(diff: Diff, kind: Kind, opening: str) -> str:
    ids = diff.of_kind(kind)
    return f"{opening}: {', '.join(map(_plain, ids))}." if ids else ""


def _gone(diff: Diff) -> str:
    where = _name(diff.against) if diff.against else ""
    return f"In {where} and not in this release" + ("" if diff.is_one_release else ", so that they stay as they are")


def _compared_with(diff: Diff) -> str:
    if diff.is_one_release and diff.against:
        return _name(diff.against)
    if diff.against is None:
        return "what is public: none of these studies has been published before"
    return f"what is public of each study, most recently by {_name(diff.against)}"


def _name(heading: Heading) -> str:
    version = f"release {_plain(heading.version)}" if heading.version else "release"
    return f"{version} ({_plain(heading.release_id)}, {heading.state})"


def _plain(text: str) -> str:
    """Return a text so that Markdown shows it and does nothing else with it."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))
