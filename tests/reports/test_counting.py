"""What counts add up to, and which of the unknown ones are nobody's fault."""

from lockstep.dataservice.entities import REPORTED
from lockstep.reports.counting import Known, StudyCounts, Total, Unknown, failures, totals

SEVEN = Known(7, "data service")
WITHHELD = Unknown("not published by the source", "data service", withheld=True)
BROKEN = Unknown("the data service answered 500", "data service")


def total_of(*counts: Known | Unknown) -> Total:
    return totals({f"SD_{n:08d}": {"participants": count} for n, count in enumerate(counts)})["participants"]


def test_known_counts_add_up() -> None:
    assert total_of(SEVEN, Known(0, "data service"), SEVEN) == Total(14)


def test_a_zero_is_a_count() -> None:
    assert total_of(Known(0, "data service")) == Total(0)


def test_no_studies_hold_nothing() -> None:
    assert totals({}) == dict.fromkeys(REPORTED, Total(0))


def test_an_unknown_count_makes_the_sum_a_lower_bound() -> None:
    assert total_of(SEVEN, BROKEN) == Total(7, "unknown for 1 of 2 studies: the data service answered 500")


def test_several_reasons_are_left_to_the_studies() -> None:
    assert total_of(SEVEN, BROKEN, WITHHELD) == Total(
        7, "unknown for 2 of 3 studies: the reasons stand with the studies"
    )


def test_nothing_known_is_no_sum_and_not_zero() -> None:
    assert total_of(WITHHELD, WITHHELD) == Total(None, "unknown for 2 of 2 studies: not published by the source")


def test_what_was_not_counted_is_unknown() -> None:
    assert totals({"SD_00000001": {}})["families"] == Total(None, "unknown for 1 of 1 studies: not counted")


def test_only_counts_that_could_not_be_had_are_failures() -> None:
    """A source that says it publishes no such count has answered."""
    studies: dict[str, StudyCounts] = {
        "SD_00000001": {"participants": SEVEN, "families": WITHHELD},
        "SD_00000002": {"participants": BROKEN},
    }
    assert failures(studies) == ["participants of SD_00000002: the data service answered 500"]
