"""The rule book and the tests name the same rules, and the book's figures are those of the code."""

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from lockstep.coordinator.core.policy import Policy
from lockstep.coordinator.settings import Settings
from tests.rules import book

TESTS = Path(__file__).parents[1]


def test_no_number_is_given_twice() -> None:
    """A number means one rule."""
    assert {number: times for number, times in Counter(book.numbers()).items() if times > 1} == {}


def test_numbers_rise_without_a_gap_in_each_section() -> None:
    """Rules are counted from 1 under the letter of their section, so that none has been lost from the page."""
    found = book.numbers()
    letters = dict.fromkeys(number[0] for number in found)
    counted = [f"{letter}{n}" for letter in letters for n in range(1, 1 + sum(x[0] == letter for x in found))]
    assert counted == found


def test_every_rule_has_a_test() -> None:
    """No rule of the book is without a test that is marked with its number."""
    assert [number for number in book.numbers() if number not in _marks()] == []


def test_every_mark_names_a_rule() -> None:
    """No test is marked with a number that the book does not have."""
    known = set(book.numbers())
    assert {number: files for number, files in _marks().items() if number not in known} == {}


def test_the_figures_are_those_of_the_code() -> None:
    """Every default in the book is the one that the code has, with the setting that changes it."""
    policy = Policy()
    expected = [
        (policy.poll_interval_s, "poll_interval"),
        (Settings.model_fields["request_timeout"].default, "request_timeout"),
        (policy.attempts, "attempts"),
        (policy.retry_pause_s, "retry_pause"),
        (policy.retry_pause_limit_s, ""),
        (policy.task_timeout_s, "task_timeout"),
        (policy.release_timeout_s, "release_timeout"),
        (policy.cancel_patience_s, "cancel_patience"),
        (policy.cancel_delivery_s, ""),
        (policy.lease_s, "lease"),
    ]
    settings = [name for _, name in expected if name]
    assert settings == [name for name in settings if name in Settings.model_fields]
    assert [(f"{default:g}" if default < 1e5 else str(default), name) for default, name in expected] == [
        (default, setting.removeprefix("LOCKSTEP_").lower()) for default, setting in book.figures()
    ]


@cache
def _marks() -> dict[str, list[str]]:
    """The rules that tests are marked with, and the files that these tests are in."""
    marks: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("*.py")):
        for number in _marks_in(path.read_text()):
            marks.setdefault(number, []).append(path.relative_to(TESTS).as_posix())
    return marks


def _marks_in(code: str) -> Iterator[str]:
    if "mark.rule" not in code:
        return
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.rule":
            for argument in node.args:
                assert isinstance(argument, ast.Constant), f"a rule is marked with {ast.unparse(argument)}"
                yield str(argument.value)
