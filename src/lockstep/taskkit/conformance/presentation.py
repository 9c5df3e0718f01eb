"""A report for its readers: text for people, JSON for programs, JUnit's XML for build servers, Markdown for a README.

All of them tell the same: the cases by level, and of what was found the request, the answer, the rule's sentence and
what to do. Text is plain; whoever has colours to spend may look at how a line begins.
"""

import json
from collections.abc import Iterator
from typing import Any, Final
from xml.etree import ElementTree as ET

from lockstep.taskkit.conformance.cases import LEVELS, Force
from lockstep.taskkit.conformance.findings import Report, Tally, Verdict

_BADGE: Final = "https://img.shields.io/badge/lockstep_check-{text}-{colour}"
_COLOURS: Final = {-1: "red", 0: "yellow", 1: "yellowgreen", 2: "green", 3: "brightgreen"}
_MOST_NAMES: Final = 10
MARKS: Final = {Force.MUST: "✗ MUST", Force.SHOULD: "! SHOULD"}
"""How the first line of a finding begins."""


def text(report: Report, wanted: int) -> str:
    """Return a report as people read it; `wanted` is the level that the service has to reach."""
    return "\n".join(_lines(report, wanted))


def as_json(report: Report, wanted: int) -> str:
    """Return a report as one JSON document."""
    document = {
        "url": report.url,
        "name": report.name,
        "version": report.version,
        "level": report.level,
        "wanted": wanted,
        "passed": report.reaches(wanted),
        "timed_out": report.timed_out,
        "seconds": round(report.elapsed_s, 3),
        "notes": report.notes,
        "cases": [_case(tally) for tally in report.tallies.values()],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def junit(report: Report, wanted: int) -> str:
    """Return a report as JUnit's XML: a suite for each level; what the wanted level does not need is no failure."""
    suites = ET.Element("testsuites", name=f"lockstep check {report.url}", time=f"{report.elapsed_s:.3f}")
    for level, meaning in enumerate(LEVELS):
        tallies = report.tallies_of(level)
        failures = sum(_is_failure(tally, wanted) for tally in tallies)
        skipped = sum(tally.verdict is Verdict.OPEN and not _is_failure(tally, wanted) for tally in tallies)
        counts = {"tests": str(len(tallies)), "failures": str(failures), "skipped": str(skipped)}
        suite = ET.SubElement(suites, "testsuite", {"name": f"level {level}: {meaning}", **counts})
        for tally in tallies:
            _testcase(suite, tally, wanted)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True)


def markdown(report: Report) -> str:
    """Return a badge with the level as one line of Markdown; what the level means is its alternative text."""
    level = report.level
    text, meaning = (f"level_{level}", f"level {level}: {LEVELS[level]}") if level >= 0 else ("no_level", "no level")
    return f"![lockstep check, {meaning}]({_BADGE.format(text=text, colour=_COLOURS[level])})"


def _lines(report: Report, wanted: int) -> Iterator[str]:
    who = f"{report.name} {report.version}".strip() or "a service that does not say its name"
    yield f"{report.url} · {who}"
    yield ""
    for level, meaning in enumerate(LEVELS):
        yield f"level {level}  {meaning:<26}{_summary(report.tallies_of(level))}"
    for note in report.notes:
        yield f"\nNote: {note}"
    for tally in report.tallies.values():
        if tally.verdict is Verdict.FAILED and tally.case.level <= wanted:
            yield from _finding(tally)
    yield ""
    yield from _further(report, wanted)
    yield from _not_checked(report)
    yield _verdict(report, wanted)


def _further(report: Report, wanted: int) -> Iterator[str]:
    """Name what failed above the wanted level: it is no fault, but the next thing to do."""
    for level in range(wanted + 1, len(LEVELS)):
        if names := [tally.case.name for tally in report.tallies_of(level) if tally.verdict is Verdict.FAILED]:
            yield f"Missing for level {level}: {', '.join(names)}; --level {level} says more."


def _summary(tallies: list[Tally]) -> str:
    counted = [
        (sum(tally.verdict is Verdict.PASSED for tally in tallies), "passed"),
        (sum(tally.verdict is Verdict.FAILED and tally.case.force is Force.MUST for tally in tallies), "failed"),
        (sum(tally.verdict is Verdict.FAILED and tally.case.force is Force.SHOULD for tally in tallies), "warned of"),
        (sum(tally.verdict is Verdict.OPEN for tally in tallies), "not checked"),
    ]
    return ", ".join(f"{count} {what}" for count, what in counted if count)


def _finding(tally: Tally) -> Iterator[str]:
    case = tally.case
    yield f"\n{MARKS[case.force]}  {case.name}  (level {case.level})"
    for finding in tally.findings[:1]:
        yield f"    seen   {finding.seen}{_more(tally)}"
        if finding.asked:
            yield f"    asked  {finding.asked}"
            yield f"    got    {finding.answered}"
    yield f"    rule   {case.rule}: {case.sentence}"
    yield f"    to do  {case.remedy}"


def _more(tally: Tally) -> str:
    return f" ({tally.failed} times in all)" if tally.failed > 1 else ""


def _not_checked(report: Report) -> Iterator[str]:
    reasons: dict[str, list[str]] = {}
    for name, tally in report.tallies.items():
        if tally.verdict is Verdict.OPEN:
            reasons.setdefault(tally.reason, []).append(name)
    for reason, names in reasons.items():
        shown = ", ".join(names) if len(names) <= _MOST_NAMES else "everything else"
        yield f"Not checked, since {reason}: {shown}."
    if reasons:
        yield ""


def _verdict(report: Report, wanted: int) -> str:
    level = report.level
    reached = f"It reaches level {level}: it {LEVELS[level]}." if level >= 0 else "It reaches no level."
    took = f" Checked in {report.elapsed_s:.1f} s."
    if report.timed_out:
        return f"{reached} The time was over before everything was checked.{took}"
    if report.reaches(wanted):
        return f"{reached}{took}"
    return f"{reached} Level {wanted} was wanted.{took}"


def _case(tally: Tally) -> dict[str, Any]:
    case = tally.case
    told: dict[str, Any] = {
        "name": case.name,
        "level": case.level,
        "force": case.force,
        "rule": case.rule,
        "sentence": case.sentence,
        "verdict": tally.verdict,
    }
    if tally.verdict is Verdict.OPEN:
        return {**told, "reason": tally.reason}
    if tally.verdict is Verdict.PASSED:
        return told
    found = [{"seen": each.seen, "asked": each.asked, "answered": each.answered} for each in tally.findings]
    return {**told, "times": tally.failed, "remedy": case.remedy, "findings": found}


def _is_failure(tally: Tally, wanted: int) -> bool:
    return tally.costs_the_level and tally.case.level <= wanted


def _testcase(suite: ET.Element, tally: Tally, wanted: int) -> None:
    case = tally.case
    element = ET.SubElement(suite, "testcase", classname=f"lockstep.check.level{case.level}", name=case.name)
    if tally.verdict is Verdict.PASSED:
        return
    if tally.verdict is Verdict.OPEN and not _is_failure(tally, wanted):
        ET.SubElement(element, "skipped", message=tally.reason)
        return
    seen = tally.findings[0].seen if tally.findings else f"Not checked, since {tally.reason}."
    told = _printable("\n".join(_finding(tally)).strip())
    if _is_failure(tally, wanted):
        ET.SubElement(element, "failure", message=_printable(seen), type=case.rule).text = told
    else:
        ET.SubElement(element, "system-out").text = told


def _printable(shown: str) -> str:
    """Return a text without characters that XML has no place for."""
    return "".join(letter for letter in shown if letter.isprintable() or letter == "\n")
