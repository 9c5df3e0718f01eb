"""The report of a release, ready to be shown: totals, what to look at, and the table of studies and entities.

What the reports service sends is somebody else's word. Whatever is not as it should be is left out or called unknown;
nothing in it can break a page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lockstep.coordinator.web.dashboard.words import MINUS, number, signed

_BAR: Final = 100.0
_CHANGES: Final = 2

ABSENT: Final = "\N{EN DASH}"
"""Where there is nothing to count: the study is not part of that side."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One count, then and now.

    Attributes:
        last: as it was, in words; empty where there was nothing.
        now: as it is, in words.
        difference: with its sign, and in percent if that means something; empty when nothing changed.
        direction: up, down or empty.
        flags: why a person has to look at it, in words.
        why: why it is unknown.
        last_width, now_width: how long its bars are, in percent of the longer; None without numbers.
    """

    last: str
    now: str
    difference: str
    direction: str
    flags: tuple[str, ...]
    why: str
    last_width: float | None
    now_width: float | None

    @property
    def changed(self) -> bool:
        """Tell whether there is anything to say beside the number."""
        return bool(self.difference or self.flags)


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One study: what the release does to it, and its counts in the order of the columns."""

    study_id: str
    name: str
    kind: str
    version: str
    figures: tuple[Figure | None, ...]


@dataclass(frozen=True, slots=True)
class Flagged:
    """What a person has to look at about one study, in sentences."""

    study_id: str
    name: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A report as a page shows it.

    Attributes:
        against: what it is compared with, in words.
        columns: the entities of which something is known.
        silent: those of which nothing is.
        totals: by entity, of those that are columns.
        rows: the studies that are part of the release, and those that are gone from it.
        flags: what a person has to look at, by study.
        reasons: why counts are unknown.
    """

    against: str
    columns: tuple[str, ...]
    silent: tuple[str, ...]
    totals: Mapping[str, Figure]
    rows: tuple[StudyRow, ...]
    flags: tuple[Flagged, ...]
    reasons: tuple[str, ...]

    @property
    def number_of_flags(self) -> int:
        """Return how many things are flagged."""
        return number_of(self.flags)


def study_ids(diff: Mapping[str, Any]) -> list[str]:
    """Return the studies that a comparison is about."""
    return list(_mapping(diff.get("study_diffs")))


def flags_of(diff: Mapping[str, Any] | None, names: Mapping[str, str]) -> tuple[Flagged, ...]:
    """Return everything that a person has to look at before publishing, by study."""
    flags = (diff or {}).get("flags")
    found: dict[str, list[str]] = {}
    for flag in map(_mapping, flags if isinstance(flags, list) else ()):
        kf_id, sentence = flag.get("study_id"), flag.get("message")
        if isinstance(sentence, str):
            entity = str(flag.get("entity", ""))
            said = sentence.replace(f" of {kf_id}", "", 1).replace(entity, entity.replace("-", " "), 1)
            found.setdefault(str(kf_id), []).append(said.replace("(-", f"({MINUS}"))
    return tuple(Flagged(kf_id, names.get(kf_id, kf_id), tuple(said)) for kf_id, said in found.items())


def number_of(flags: Sequence[Flagged]) -> int:
    """Return how many things are flagged."""
    return sum(len(study.sentences) for study in flags)


def shown(diff: Mapping[str, Any], names: Mapping[str, str]) -> Shown:
    """Return a report as a page shows it.

    Args:
        diff: the comparison with what is public, as the reports service sends it.
        names: the names of studies by their ids.
    """
    studies = {kf_id: _mapping(row) for kf_id, row in _mapping(diff.get("study_diffs")).items()}
    totals = {str(entity): _mapping(total) for entity, total in _mapping(diff.get("totals")).items()}
    cells = {kf_id: _mapping(row.get("entities")) for kf_id, row in studies.items()}
    columns = tuple(e for e in totals if any(_says(_mapping(found.get(e))) for found in cells.values()))
    rows = tuple(
        StudyRow(
            kf_id,
            names.get(kf_id, kf_id),
            str(row.get("kind", "")),
            str(_mapping(row.get("last")).get("version") or ""),
            tuple(_figure(_mapping(cells[kf_id].get(entity))) for entity in columns),
        )
        for kf_id, row in studies.items()
    )
    reasons = {
        str(cell["now_unknown"])
        for found in cells.values()
        for cell in found.values()
        if "now_unknown" in _mapping(cell)
    }
    return Shown(
        _against(diff),
        columns,
        tuple(entity for entity in totals if entity not in columns),
        {entity: _figure(totals[entity], total=True) for entity in columns},
        rows,
        flags_of(diff, names),
        tuple(sorted(reasons))[:5],
    )


def _against(diff: Mapping[str, Any]) -> str:
    against = _mapping(diff.get("against"))
    if not against:
        return "None of these studies has been published before."
    name = against.get("version") or against.get("release_id")
    return f"Compared with what is public of each study, most recently by release {name}."


def _figure(cell: Mapping[str, Any], *, total: bool = False) -> Figure:
    last, now = _number(cell.get("last")), _number(cell.get("now"))
    was_there = last is not None or "last_unknown" in cell
    gone = now is None and "now_unknown" not in cell
    difference = _number(cell.get("difference"))
    longer = max(last or 0, now or 0, 1)
    both = last is not None and now is not None
    lower = {
        side: "at least " if total and f"{side}_unknown" in cell and value is not None else ""
        for side, value in (("last", last), ("now", now))
    }
    return Figure(
        lower["last"] + number(last) if was_there else "",
        ABSENT if gone and not total else lower["now"] + number(now),
        _difference(difference, cell.get("percent")) if difference and was_there else "",
        "" if not difference else "up" if difference > 0 else "down",
        tuple(flag for flag in cell.get("flags", ()) if isinstance(flag, str))
        if isinstance(cell.get("flags"), list)
        else (),
        str(cell.get("now_unknown", "")),
        round(_BAR * (last or 0) / longer, 1) if both else None,
        round(_BAR * (now or 0) / longer, 1) if both else None,
    )


def _difference(difference: int, percent: object) -> str:
    share = f" ({percent:+.1f} %)".replace("-", MINUS) if isinstance(percent, int | float) else ""
    return f"{signed(difference)}{share}"


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _says(cell: Mapping[str, Any]) -> bool:
    return _number(cell.get("last")) is not None or _number(cell.get("now")) is not None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def series(history: Mapping[str, Any]) -> dict[str, list[tuple[str, str, int]]]:
    """Return the counts of a study over time: by entity, oldest first, as release id, version and number."""
    rows = history.get("releases")
    found: dict[str, list[tuple[str, str, int]]] = {}
    for row in reversed(rows if isinstance(rows, Sequence) else ()):
        facts = _mapping(row)
        if facts.get("state") != "published":
            continue
        for entity in _mapping(facts.get("sources")):
            value = _number(facts.get(entity))
            if value is not None:
                found.setdefault(entity, []).append((str(facts.get("release_id")), str(facts.get("version")), value))
    return found


def changed(diff: Mapping[str, Any], study_id: str) -> str:
    """Return which counts of a study are others than those that are public, in words; never a guess."""
    row = _mapping(_mapping(diff.get("study_diffs")).get(study_id))
    both = [
        (str(entity).replace("-", " "), was, now)
        for entity, cell in _mapping(row.get("entities")).items()
        if (was := _number(_mapping(cell).get("last"))) is not None
        and (now := _number(_mapping(cell).get("now"))) is not None
    ]
    if not both:
        return "unknown"
    changes = [f"{name} {number(was)} → {number(now)} ({signed(now - was)})" for name, was, now in both if was != now]
    more = f" and {len(changes) - _CHANGES} more" if len(changes) > _CHANGES else ""
    return f"{', '.join(changes[:_CHANGES])}{more}" if changes else "no count has changed"
