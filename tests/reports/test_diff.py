"""What changes between two releases: differences where both numbers are known, flags, and honest totals."""

from datetime import UTC, datetime

import pytest

from lockstep.dataservice.entities import REPORTED
from lockstep.reports.counting import Count, Known, StudyCounts, Total, Unknown
from lockstep.reports.diff import Baseline, Cell, Diff, Flag, Kind, compare
from lockstep.reports.report import Heading, Report, ReportState

ONE, TWO, THREE = "SD_00000001", "SD_00000002", "SD_00000003"
BROKEN = Unknown("the data service answered 500", "data service")
LAST = Heading("RE_00000001", "TA_00000001", "0.1.0", ReportState.PUBLISHED, datetime(2024, 1, 1, tzinfo=UTC))
NOW = Heading("RE_00000002", "TA_00000002", "0.1.1", ReportState.STAGED, datetime(2024, 2, 1, tzinfo=UTC))


def known(number: int, source: str = "data service") -> Known:
    return Known(number, source)


def everything(number: int, **others: Count) -> StudyCounts:
    return {**{entity: known(number) for entity in REPORTED}, **others}


def diff(
    last: dict[str, StudyCounts], now: dict[str, StudyCounts], *, one_release: bool = False, threshold: float = 5
) -> Diff:
    rows = {row.study_id: row for row in Report.of(LAST, last).studies}
    baseline = Baseline(rows, LAST if last else None, one_release)
    return compare(Report.of(NOW, now), baseline, threshold_percent=threshold)


def cell(last: Count, now: Count, threshold: float = 5) -> Cell:
    (study,) = diff({ONE: {"participants": last}}, {ONE: {"participants": now}}, threshold=threshold).studies
    return study.cells["participants"]


@pytest.mark.parametrize(
    ("last", "now", "difference", "percent", "flags"),
    [
        (100, 100, 0, 0.0, ()),
        (100, 103, 3, 3.0, ()),
        (3, 4, 1, 33.33, ()),
        (100, 95, -5, -5.0, ()),
        (100, 94, -6, -6.0, (Flag.FALLS,)),
        (7, 0, -7, -100.0, (Flag.FALLS,)),
        (0, 0, 0, 0.0, ()),
        (0, 9, 9, None, ()),
        (10**12, 10**12 - 1, -1, -0.0, ()),
    ],
)
def test_two_known_counts_differ_by_a_number(
    last: int, now: int, difference: int, percent: float | None, flags: tuple[Flag, ...]
) -> None:
    """A fall by exactly the threshold is none, and there is no percentage of nothing."""
    assert cell(known(last), known(now)) == Cell(known(last), known(now), difference, percent, flags)


@pytest.mark.parametrize(("threshold", "flags"), [(0, (Flag.FALLS,)), (0.9, (Flag.FALLS,)), (1, ()), (100, ())])
def test_how_far_a_count_may_fall_is_a_setting(threshold: float, flags: tuple[Flag, ...]) -> None:
    assert cell(known(100), known(99), threshold).flags == flags


def test_an_unknown_count_has_no_difference() -> None:
    """It is flagged where it was known before, whoever's fault it is."""
    withheld = Unknown("not published by the source", "data service", withheld=True)
    assert cell(known(5), BROKEN) == Cell(known(5), BROKEN, None, None, (Flag.BECOMES_UNKNOWN,))
    assert cell(known(5), withheld).flags == (Flag.BECOMES_UNKNOWN,)
    assert cell(BROKEN, known(5)) == Cell(BROKEN, known(5), None, None, ())
    assert cell(BROKEN, withheld) == Cell(BROKEN, withheld, None, None, ())


def test_another_source_is_flagged_even_where_the_number_is_the_same() -> None:
    same = cell(known(334), known(334, "FHIR server"))
    assert (same.difference, same.flags) == (0, (Flag.SOURCE_CHANGED,))
    assert cell(known(668, "FHIR server"), known(334)).flags == (Flag.FALLS, Flag.SOURCE_CHANGED)


def test_an_entity_that_was_not_counted_is_unknown() -> None:
    (study,) = diff({ONE: {}}, {ONE: everything(1)}).studies
    assert study.cells["families"] == Cell(Unknown("not counted", ""), known(1), None, None, ())


def test_studies_are_new_gone_changed_or_unchanged() -> None:
    """Unchanged is what is known and the same, from the same source; unknown on both sides is no change."""
    found = diff(
        {
            "SD_CHANGED0": everything(1),
            "SD_GONE0000": everything(1),
            "SD_SAME0000": everything(1, families=BROKEN),
            "SD_KNOWN000": everything(1, families=BROKEN),
            "SD_SOURCE00": everything(1),
        },
        {
            "SD_CHANGED0": everything(1, families=known(2)),
            "SD_SAME0000": everything(1, families=Unknown("another reason", "data service")),
            "SD_KNOWN000": everything(1),
            "SD_NEW00000": everything(1),
            "SD_SOURCE00": everything(1, families=known(1, "FHIR server")),
        },
    )
    assert {kind: found.of_kind(kind) for kind in Kind} == {
        Kind.NEW: ["SD_NEW00000"],
        Kind.CHANGED: ["SD_CHANGED0", "SD_KNOWN000", "SD_SOURCE00"],
        Kind.UNCHANGED: ["SD_SAME0000"],
        Kind.GONE: ["SD_GONE0000"],
    }


def test_beside_what_is_public_a_study_that_is_gone_stays_as_it_is() -> None:
    """It is listed, and no total counts it; what is new counts as a difference from nothing."""
    found = diff({ONE: everything(10), TWO: everything(5)}, {ONE: everything(10), THREE: everything(2)})
    gone, new = found.studies[1].cells["families"], found.studies[2].cells["families"]
    assert gone == Cell(known(5), None, None, None, ())
    assert new == Cell(None, known(2), 2, None, ())
    families = found.totals["families"]
    assert (families.last, families.now, families.difference, families.percent) == (Total(10), Total(12), 2, 20.0)


def test_beside_one_release_the_totals_are_those_of_the_two_reports() -> None:
    found = diff({ONE: everything(10), TWO: everything(5)}, {ONE: everything(10)}, one_release=True)
    assert found.studies[1].cells["families"] == Cell(known(5), None, -5, None, ())
    families = found.totals["families"]
    assert (families.last, families.now, families.difference, families.percent) == (Total(15), Total(10), -5, -33.33)
    assert families.flags == (Flag.FALLS,)


def test_the_differences_of_the_studies_add_up_to_that_of_the_total() -> None:
    found = diff(
        {ONE: everything(10), TWO: everything(7)}, {ONE: everything(12), THREE: everything(4)}, one_release=True
    )
    parts = [study.cells["families"].difference or 0 for study in found.studies]
    assert (sum(parts), found.totals["families"].difference) == (-1, -1)


def test_a_total_that_is_a_lower_bound_has_no_difference() -> None:
    """It may have risen or fallen: nobody knows."""
    found = diff({ONE: everything(10), TWO: everything(5)}, {ONE: everything(99), TWO: everything(5, families=BROKEN)})
    total = found.totals["families"]
    assert total.now == Total(99, "unknown for 1 of 2 studies: the data service answered 500")
    assert (total.last, total.difference, total.percent) == (Total(15), None, None)
    assert total.flags == (Flag.BECOMES_UNKNOWN,)


def test_a_total_of_several_sources_says_so() -> None:
    found = diff(
        {ONE: everything(1), TWO: everything(1)}, {ONE: everything(1), TWO: everything(1, families=known(1, "x"))}
    )
    assert found.totals["families"].flags == (Flag.SOURCE_CHANGED,)
    assert found.totals["participants"].flags == ()


def test_what_was_never_public_is_new_and_falls_from_nothing() -> None:
    found = diff({}, {ONE: everything(3), TWO: {}})
    assert (found.of_kind(Kind.NEW), found.against) == ([ONE, TWO], None)
    assert (found.totals["families"].last, found.totals["families"].difference) == (Total(0), None)
    assert all(cell.flags == () for study in found.studies for cell in study.cells.values())
