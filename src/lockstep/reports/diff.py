"""What changes with a release: its counts beside those of an earlier state of things. Pure.

Two comparisons are possible, and they mean two things.

* *With what is public*: each study beside its own last published row, whichever release that is from. This is what
  changes for the public when the release is published. Studies that are not part of the release stay as they are; the
  ones that the newest of the earlier releases holds are listed as gone all the same, so that a forgotten one is seen,
  but no total counts them.
* *With one release*: everything in it beside everything in the other. The totals are those of the two reports.

A difference needs two known numbers. A number beside an unknown one has none, and a total that is only a lower bound
has none either: it may have risen or fallen. Three things are flagged, because a person has to look at them: a count
that falls by more than a threshold, one that was known and is unknown now, and one that comes from another source.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lockstep.dataservice.entities import REPORTED
from lockstep.reports.counting import NOT_COUNTED, Count, Known, Total, Unknown, totals
from lockstep.reports.report import Heading, Report, StudySummary

THRESHOLD_PERCENT: Final = 5.0


class Flag(StrEnum):
    """What a person has to look at."""

    FALLS = "falls"
    BECOMES_UNKNOWN = "becomes unknown"
    SOURCE_CHANGED = "source changed"


class Kind(StrEnum):
    """What a release does to a study."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a release is compared with.

    Attributes:
        rows: the earlier row of each study that has one, those of studies that are gone among them.
        release: the heading of the release compared with, or of the newest that rows are from; None without any.
        is_one_release: whether all of it is one release, chosen by whoever asked.
    """

    rows: Mapping[str, StudySummary]
    release: Heading | None
    is_one_release: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """One entity of one study. `last` or `now` is None where the study is not part of that side."""

    last: Count | None
    now: Count | None
    difference: int | None
    percent: float | None
    flags: tuple[Flag, ...]


@dataclass(frozen=True, slots=True)
class StudyDiff:
    """One study, and the heading of its earlier row if there is one."""

    study_id: str
    kind: Kind
    last: Heading | None
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class TotalDiff:
    """One entity over all studies."""

    last: Total
    now: Total
    difference: int | None
    percent: float | None
    flags: tuple[Flag, ...]


@dataclass(frozen=True, slots=True)
class Diff:
    """Everything that changes: `heading` is that of the release, the studies are in the order of their ids."""

    heading: Heading
    against: Heading | None
    is_one_release: bool
    threshold_percent: float
    studies: tuple[StudyDiff, ...]
    totals: Mapping[str, TotalDiff]

    def of_kind(self, kind: Kind) -> list[str]:
        """Return the ids of the studies to which the release does one thing."""
        return [study.study_id for study in self.studies if study.kind is kind]


def compare(report: Report, baseline: Baseline, *, threshold_percent: float = THRESHOLD_PERCENT) -> Diff:
    """Return what changes with a release.

    Args:
        report: the report of the release.
        baseline: what it is compared with.
        threshold_percent: a count that falls by more than this is flagged.
    """
    now = {summary.study_id: summary for summary in report.studies}
    studies = tuple(
        _study(study_id, baseline.rows.get(study_id), now.get(study_id), baseline.is_one_release, threshold_percent)
        for study_id in sorted(now.keys() | baseline.rows.keys())
    )
    earlier = {
        study_id: row.counts for study_id, row in baseline.rows.items() if study_id in now or baseline.is_one_release
    }
    last_totals = totals(earlier)
    return Diff(
        heading=report.summary.heading,
        against=baseline.release,
        is_one_release=baseline.is_one_release,
        threshold_percent=threshold_percent,
        studies=studies,
        totals={
            entity: _total(
                last_totals[entity],
                report.summary.totals[entity],
                [study.cells[entity] for study in studies],
                threshold_percent,
            )
            for entity in REPORTED
        },
    )


def _study(
    study_id: str,
    last: StudySummary | None,
    now: StudySummary | None,
    is_one_release: bool,
    threshold_percent: float,
) -> StudyDiff:
    cells = {
        entity: _cell(_count(last, entity), _count(now, entity), is_one_release, threshold_percent)
        for entity in REPORTED
    }
    return StudyDiff(study_id, _kind(last, now, cells), last.heading if last else None, cells)


def _kind(last: StudySummary | None, now: StudySummary | None, cells: Mapping[str, Cell]) -> Kind:
    if last is None:
        return Kind.NEW
    if now is None:
        return Kind.GONE
    return Kind.UNCHANGED if all(_is_same(cell) for cell in cells.values()) else Kind.CHANGED


def _is_same(cell: Cell) -> bool:
    """Tell whether nothing that is known has changed."""
    if isinstance(cell.last, Known) or isinstance(cell.now, Known):
        return cell.last == cell.now
    return True


def _count(summary: StudySummary | None, entity: str) -> Count | None:
    return None if summary is None else summary.counts.get(entity, Unknown(NOT_COUNTED, ""))


def _cell(last: Count | None, now: Count | None, is_one_release: bool, threshold_percent: float) -> Cell:
    flags: tuple[Flag, ...] = ()
    difference, percent = None, None
    if isinstance(last, Known) and isinstance(now, Known):
        difference, percent = now.number - last.number, _percent(last.number, now.number)
        flags += (Flag.FALLS,) if _falls(last.number, now.number, threshold_percent) else ()
        flags += (Flag.SOURCE_CHANGED,) if last.source != now.source else ()
    elif isinstance(last, Known) and isinstance(now, Unknown):
        flags = (Flag.BECOMES_UNKNOWN,)
    elif last is None and isinstance(now, Known):
        difference = now.number
    elif now is None and isinstance(last, Known) and is_one_release:
        difference = -last.number
    return Cell(last, now, difference, percent, flags)


def _total(last: Total, now: Total, cells: list[Cell], threshold_percent: float) -> TotalDiff:
    flags: tuple[Flag, ...] = ()
    difference, percent = None, None
    if last.gap is None and now.gap is None and last.number is not None and now.number is not None:
        difference, percent = now.number - last.number, _percent(last.number, now.number)
        flags += (Flag.FALLS,) if _falls(last.number, now.number, threshold_percent) else ()
    if any(Flag.BECOMES_UNKNOWN in cell.flags for cell in cells):
        flags += (Flag.BECOMES_UNKNOWN,)
    if any(Flag.SOURCE_CHANGED in cell.flags for cell in cells):
        flags += (Flag.SOURCE_CHANGED,)
    return TotalDiff(last, now, difference, percent, flags)


def _percent(last: int, now: int) -> float | None:
    """Return the difference in percent of the earlier number, to two digits; there is no percentage of nothing."""
    if last == 0:
        return 0.0 if now == 0 else None
    return round(100 * (now - last) / last, 2) + 0.0


def _falls(last: int, now: int, threshold_percent: float) -> bool:
    return 100 * (last - now) > threshold_percent * last
