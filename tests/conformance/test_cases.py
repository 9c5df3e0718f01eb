"""The cases and the rule book say the same, and what can be reached follows from what was found."""

import re

import pytest

from lockstep.taskkit.conformance import CASES, LEVELS, Force, Report
from lockstep.taskkit.conformance.rules import RULES
from tests.rules import book

_RULE = re.compile(r"^\* \*\*(K[0-9]+)\*\* (.*?)(?=^\* |^#|\Z)", re.MULTILINE | re.DOTALL)


def test_the_sentences_are_those_of_the_book() -> None:
    """Every rule for task services is there, and its sentence is the first of the book's paragraph, to the letter."""
    paragraphs = {number: " ".join(text.split()) for number, text in _RULE.findall(book.BOOK.read_text())}
    assert list(RULES) == list(paragraphs)
    assert {number: text[: len(RULES[number])] for number, text in paragraphs.items()} == dict(RULES)


def test_every_rule_has_a_case() -> None:
    """No rule for task services is left untried."""
    assert sorted(RULES) == sorted({case.rule for case in CASES.values()})


def test_every_case_says_what_to_do() -> None:
    """In a sentence, and in a level that there is."""
    for case in CASES.values():
        assert case.remedy.endswith(".")
        assert 0 <= case.level < len(LEVELS)


def all_passed() -> Report:
    report = Report("http://127.0.0.1:1")
    for name in CASES:
        report.judge(name, "", fine=True)
    return report


def test_the_level_is_that_below_the_first_that_is_broken() -> None:
    """A MUST that fails costs its level and those above it; a SHOULD costs nothing."""
    assert all_passed().level == 3
    for name, case in CASES.items():
        report = all_passed()
        report.judge(name, "It was otherwise.", fine=False)
        assert report.level == (case.level - 1 if case.force is Force.MUST else 3)
        assert report.failed() == [name]


def test_what_is_needed_and_not_checked_costs_the_level() -> None:
    """Where there was no occasion, nothing is lost; where something was not given that is needed, the level is."""
    report = Report("http://127.0.0.1:1")
    for name in CASES:
        if name not in {"restart-takes-up", "identity-missing"}:
            report.judge(name, "", fine=True)
    assert report.level == 3
    report.leave_open("it was not asked for", "restart-takes-up", needed=True)
    assert (report.level, report.reaches(1), report.reaches(2)) == (1, True, False)


def test_a_check_that_was_cut_off_reaches_what_was_checked() -> None:
    """A MUST that was not checked in time is not taken for granted."""
    report = all_passed()
    report.tallies["restart-takes-up"].passed = 0
    report.timed_out = True
    assert report.level == 1


def test_a_case_that_does_not_exist_cannot_be_judged() -> None:
    with pytest.raises(KeyError):
        Report("http://127.0.0.1:1").judge("no-such-case", "", fine=True)
