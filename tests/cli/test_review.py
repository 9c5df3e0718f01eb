"""What a person is shown of a comparison: every kind of change, and every kind of not knowing."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from lockstep.cli.review import in_sentences, print_diff
from lockstep.dataservice.entities import REPORTED
from lockstep.reports.baseline import one_release
from lockstep.reports.counting import Count, Known, Unknown
from lockstep.reports.diff import compare
from lockstep.reports.diff_texts import diff_to_json
from lockstep.reports.report import Heading, Report, ReportState

CHANGED, GONE, NEW, SAME = "SD_CHANGED1", "SD_GONE0001", "SD_NEW00001", "SD_SAME0001"
WITHHELD = Unknown("not published by the source", "data service", withheld=True)
BROKEN = Unknown("the data service answered 500", "data service")


def _diff(last: Mapping[str, Mapping[str, Count]], now: Mapping[str, Mapping[str, Count]]) -> dict[str, object]:
    """Return the comparison of two releases, as it is sent; what is not given is withheld by the source."""
    then, later = (
        Report.of(
            Heading(f"RE_{version}", f"TA_{version}", version, ReportState.STAGED, datetime(2024, 2, 1, tzinfo=UTC)),
            {study: {entity: counts.get(entity, WITHHELD) for entity in REPORTED} for study, counts in studies.items()},
        )
        for version, studies in (("0.1.0", last), ("0.2.0", now))
    )
    sent: dict[str, object] = json.loads(json.dumps(diff_to_json(compare(later, one_release(then)))))
    return sent


def _known(**numbers: int) -> dict[str, Count]:
    return {entity.replace("_", "-"): Known(number, "data service") for entity, number in numbers.items()}


EVERYTHING = _diff(
    {
        CHANGED: {**_known(participants=100, biospecimens=20, families=4, diagnoses=0), "phenotypes": BROKEN},
        GONE: _known(participants=7),
        SAME: _known(participants=5),
    },
    {
        CHANGED: {
            **_known(participants=94, phenotypes=1200, families=4, diagnoses=3),
            "biospecimens": BROKEN,
        },
        NEW: _known(participants=1000),
        SAME: _known(participants=5),
    },
)
BECAME_UNKNOWN = "biospecimens of SD_CHANGED1 were 20 and are unknown now: the data service answered 500."


def test_only_what_changes_has_a_line_and_what_is_unknown_is_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_diff(EVERYTHING, {})
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines() if "\t" in line]
    assert lines == [
        [CHANGED, "changed", "participants", "100", "94", "-6", "-6.00 %", "falls"],
        [CHANGED, "changed", "biospecimens", "20", "unknown", "unknown", "-", "becomes unknown"],
        [CHANGED, "changed", "phenotypes", "unknown", "1,200", "unknown", "-", "-"],
        [CHANGED, "changed", "diagnoses", "0", "3", "+3", "-", "-"],
        [GONE, "gone", "participants", "7", "-", "-7", "-", "-"],
        [NEW, "new", "participants", "-", "1,000", "+1,000", "-", "-"],
        ["all studies", "-", "participants", "112", "1,099", "+987", "+881.25 %", "-"],
        ["all studies", "-", "biospecimens", "at least 20", "unknown", "unknown", "-", "becomes unknown"],
        ["all studies", "-", "phenotypes", "unknown", "at least 1,200", "unknown", "-", "-"],
        ["all studies", "-", "diagnoses", "at least 0", "at least 3", "unknown", "-", "-"],
        ["all studies", "-", "families", "at least 4", "at least 4", "unknown", "-", "-"],
    ]


def test_the_sentences_say_how_much_is_as_it_was_and_how_much_nobody_knows() -> None:
    assert [
        "Of 27 counts 5 change, 2 stay as they were, and 20 are unknown (not published by the source).",
        "Nothing is known of genomic files, study files, read groups, sequencing experiments.",
        f"As they were, as far as is known: {SAME}.",
        f"Not in this release: {GONE}.",
        "To look at: falls by more than 5 % (1), became unknown (1).",
        BECAME_UNKNOWN,
    ] == list(in_sentences(EVERYTHING))


def test_nothing_new_is_said_to_be_nothing_new(capsys: pytest.CaptureFixture[str]) -> None:
    everything = {SAME: {entity: Known(3, "data service") for entity in REPORTED}}
    print_diff(_diff(everything, everything), {})
    *lines, counts, same, flags = capsys.readouterr().out.splitlines()
    assert [["all studies", "", entity.replace("-", " "), "3", "3", "0", "0 %", ""] for entity in REPORTED] == [
        ["" if cell == "-" else cell for cell in line.split("\t")] for line in lines
    ]
    assert (
        "Of 9 counts none change, 9 stay as they were, and none are unknown.",
        f"As they were, as far as is known: {SAME}.",
        "Nothing stands out: no count fell by much or was lost.",
    ) == (counts, same, flags)


def test_another_source_is_something_to_look_at() -> None:
    diff = _diff({SAME: _known(families=9)}, {SAME: {"families": Known(9, "FHIR server")}})
    *_, flags, sentence = in_sentences(diff)
    assert flags == "To look at: from another source (1)."
    assert sentence.startswith(f"families of {SAME} were counted by the data service and are now by the FHIR server")


def test_many_studies_are_not_all_named() -> None:
    studies = {f"SD_{number:08d}": _known(participants=1) for number in range(2000)}
    assert "As they were, as far as is known: SD_00000000, SD_00000001, SD_00000002 and 1997 more." in list(
        in_sentences(_diff(studies, studies))
    )
