"""Which format a request wants."""

import pytest

from lockstep.reports.accept import choose

OFFERED = ("application/json", "text/csv", "text/markdown")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV", "text/csv"),
        ("text/*", "text/csv"),
        ("text/markdown, text/csv;q=0.9", "text/markdown"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json"),
        ("*/*;q=0.1, text/markdown", "text/markdown"),
        ("application/json;q=0, */*", "text/csv"),
        ("text/markdown; charset=utf-8; q=0.5, text/csv; q=0.4", "text/markdown"),
        ("text/html", None),
        ("application/json;q=0", None),
        ("application/json;q=many", None),
        ("application/json;q=nan", None),
        (",,,", "application/json"),
        (";;;", None),
    ],
)
def test_the_heaviest_of_what_is_allowed_is_sent(accept: str, chosen: str | None) -> None:
    assert choose(accept, OFFERED) == chosen
