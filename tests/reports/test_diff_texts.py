"""A comparison as JSON, CSV and Markdown: the same facts, nothing that a spreadsheet or a page would act on."""

import csv
import io
from datetime import UTC, datetime

from lockstep.dataservice.entities import REPORTED
from lockstep.reports.counting import Known, StudyCounts, Unknown
from lockstep.reports.diff import Baseline, Diff, compare
from lockstep.reports.diff_texts import diff_to_csv, diff_to_json, diff_to_markdown
from lockstep.reports.report import Heading, Report, ReportState

BEGAN = datetime(2024, 1, 1, tzinfo=UTC)
LAST = Heading("RE_00000001", "TA_00000001", "0.1.0", ReportState.PUBLISHED, BEGAN)
NOW = Heading("RE_00000002", "TA_00000002", "0.1.1", ReportState.STAGED, BEGAN)
BAD = "=cmd|' /C calc'!A0, \"quoted\"\r\nand a second line"


def known(number: int, source: str = "data service") -> Known:
    return Known(number, source)


def sample() -> Diff:
    """One study that changed in every way, one new, one unchanged, one gone."""
    last = {
        "SD_00000001": {"participants": known(100), "families": known(7), "biospecimens": known(334)},
        "SD_00000003": {"participants": known(1)},
        "SD_00000004": {"participants": known(1)},
    }
    now: dict[str, StudyCounts] = {
        "SD_00000001": {
            "participants": known(80),
            "families": Unknown(BAD, "data service"),
            "biospecimens": known(1668, "FHIR server"),
        },
        "SD_00000002": {"participants": known(5)},
        "SD_00000003": {"participants": known(1)},
    }
    rows = {row.study_id: row for row in Report.of(LAST, last).studies}
    return compare(Report.of(NOW, now), Baseline(rows, LAST, is_one_release=False))


def table(diff: Diff) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(diff_to_csv(diff), newline="")))


def test_json_holds_every_number_with_its_reason_and_source() -> None:
    shown = diff_to_json(sample())
    assert {name: shown[name] for name in ("release_id", "version", "state", "compared_with", "threshold_percent")} == {
        "release_id": "RE_00000002",
        "version": "0.1.1",
        "state": "staged",
        "compared_with": "last published",
        "threshold_percent": 5.0,
    }
    assert shown["against"] == {"release_id": "RE_00000001", "version": "0.1.0"}
    assert shown["studies"] == {
        "new": ["SD_00000002"],
        "changed": ["SD_00000001"],
        "unchanged": ["SD_00000003"],
        "gone": ["SD_00000004"],
    }
    changed = shown["study_diffs"]["SD_00000001"]
    assert (changed["kind"], changed["last"]) == ("changed", {"release_id": "RE_00000001", "version": "0.1.0"})
    assert changed["entities"]["participants"] == {
        "last": 100,
        "now": 80,
        "difference": -20,
        "percent": -20.0,
        "flags": ["falls"],
        "last_source": "data service",
        "now_source": "data service",
    }
    assert changed["entities"]["families"] == {
        "last": 7,
        "now": None,
        "difference": None,
        "percent": None,
        "flags": ["becomes unknown"],
        "last_source": "data service",
        "now_unknown": BAD,
    }
    assert shown["study_diffs"]["SD_00000004"]["entities"]["participants"]["now"] is None
    assert shown["totals"]["participants"] == {
        "last": 101,
        "now": 86,
        "difference": -15,
        "percent": -14.85,
        "flags": ["falls"],
    }
    assert [(flag["study_id"], flag["entity"], flag["flag"]) for flag in shown["flags"]] == [
        ("SD_00000001", "participants", "falls"),
        ("SD_00000001", "biospecimens", "source changed"),
        ("SD_00000001", "families", "becomes unknown"),
    ]
    assert shown["flags"][0]["message"] == "participants of SD_00000001 fall from 100 to 80 (-20.00 %)"


def test_csv_has_a_line_for_each_study_and_entity_and_then_the_totals() -> None:
    """Lines end as RFC 4180 has it, and every one has all the columns."""
    text = diff_to_csv(sample())
    assert text.endswith("\r\n")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert {len(row) for row in rows} == {14}
    assert len(rows) == 1 + 4 * len(REPORTED) + len(REPORTED)
    found = {(row["study_id"], row["entity"]): row for row in table(sample())}
    assert found["SD_00000001", "participants"] == {
        "study_id": "SD_00000001",
        "kind": "changed",
        "last_release_id": "RE_00000001",
        "last_version": "0.1.0",
        "entity": "participants",
        "last": "100",
        "now": "80",
        "difference": "-20",
        "percent": "-20.0",
        "flags": "falls",
        "last_source": "data service",
        "now_source": "data service",
        "last_unknown": "",
        "now_unknown": "",
    }
    assert found["all studies", "participants"]["difference"] == "-15"
    assert found["SD_00000002", "participants"]["last"] == ""


def test_no_text_in_csv_is_a_formula() -> None:
    """Quotes, commas and line breaks come back as they were, behind an apostrophe; numbers stay numbers."""
    found = {(row["study_id"], row["entity"]): row for row in table(sample())}
    assert found["SD_00000001", "families"]["now_unknown"] == f"'{BAD}"
    for opening in ("=1", "+1", "-1", "@x", "\tx", "\rx"):
        heading = Heading("RE_00000002", "TA_00000002", None, ReportState.STAGED, BEGAN)
        report = Report.of(heading, {opening: {"families": Unknown(opening, opening)}})
        diff = compare(report, Baseline({}, None, is_one_release=False))
        row = next(row for row in table(diff) if row["entity"] == "families")
        assert (row["study_id"], row["now_unknown"]) == (f"'{opening}", f"'{opening}")


def test_markdown_is_ready_for_release_notes() -> None:
    text = diff_to_markdown(sample())
    assert text.startswith("## What changes with release 0.1.1 (RE_00000002, staged)\n\nCompared with what is public")
    assert "| participants | 101 | 86 | -15 (-14.85 %) |\n" in text
    assert "| biospecimens | at least 334 | at least 1,668 | unknown |\n" in text
    assert "| phenotypes | unknown | unknown | unknown |\n" in text
    assert "| study | | participants | biospecimens | families |\n|---|---|---:|---:|---:|\n" in text
    assert "| SD_00000001 | changed | 100 → 80 (-20) **!** | 334 → 1,668 (+1,334) **!** | 7 → unknown **!** |\n" in text
    assert "| SD_00000002 | new | 5 | unknown | unknown |\n" in text
    assert "\nUnchanged, as far as is known: SD_00000003.\n" in text
    gone = "In release 0.1.0 (RE_00000001, published) and not in this release, so that they stay as they are"
    assert f"\n{gone}: SD_00000004.\n" in text
    assert "- participants of SD_00000001 fall from 100 to 80 (-20.00 %)\n" in text
    assert "SD_00000003 |" not in text


def test_foreign_text_does_nothing_in_markdown() -> None:
    reason = "<script>alert(1)</script> [x](http://x.test) | `code` **bold**\nnext"
    heading = Heading("RE_00000002", "TA_00000002", "<b>", ReportState.STAGED, BEGAN)
    rows = {row.study_id: row for row in Report.of(LAST, {"SD_00000001": {"families": known(1)}}).studies}
    report = Report.of(heading, {"SD_00000001": {"families": Unknown(reason, "data service")}})
    text = diff_to_markdown(compare(report, Baseline(rows, LAST, is_one_release=True)))
    assert "release \\<b\\> (RE_00000002" in text
    assert "\\<script\\>alert(1)\\</script\\> \\[x\\](http://x.test) \\| \\`code\\` \\*\\*bold\\*\\* next\n" in text


def test_nothing_to_look_at_is_said() -> None:
    counts = {"SD_00000001": {"participants": known(1)}}
    rows = {row.study_id: row for row in Report.of(LAST, counts).studies}
    text = diff_to_markdown(compare(Report.of(NOW, counts), Baseline(rows, LAST, is_one_release=True)))
    assert text.endswith("Nothing to look at: no count fell by more than 5 %, became unknown or changed its source.\n")
    assert "| study |" not in text
    alone = diff_to_markdown(compare(Report.of(NOW, counts), Baseline({}, None, is_one_release=False)))
    assert "none of these studies has been published before" in alone
