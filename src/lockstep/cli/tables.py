"""How lists and single things are shown: tables for people at a terminal, plain lines for whatever reads a pipe.

Plain lines have their columns apart by one tab and no heading, so that `cut`, `awk` and `sort` work on them. Text that
came from elsewhere (a name, a message) is shown without control characters, which a terminal would obey.
"""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

Row = Sequence[object]


def is_terminal() -> bool:
    """Tell whether a person with a terminal that can do more than print lines reads our output."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def wants_json(given: bool | None) -> bool:
    """Tell whether a document is printed: as it was asked for, or, if nobody did, because no person reads it."""
    return not sys.stdout.isatty() if given is None else given


def clean(value: object) -> str:
    """Return a value as text in one line that is safe to print; nothing becomes a dash."""
    text = "-" if value is None or value == "" else str(value)
    return "".join(character if character.isprintable() else " " for character in text)


def print_json(document: object) -> None:
    """Print a document as JSON."""
    print(json.dumps(document, indent=2, ensure_ascii=False))


def print_table(headings: Sequence[str], rows: Iterable[Row], *, right: Sequence[str] = ()) -> None:
    """Print rows: as a table at a terminal, as lines with tabs elsewhere.

    Args:
        headings: one for each column, shown at a terminal only.
        rows: what stands in the columns.
        right: the headings of the columns that hold numbers.
    """
    texts = [[clean(value) for value in row] for row in rows]
    if not is_terminal():
        for row in texts:
            print("\t".join(row))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        is_id = heading in {"ID", "VERSION", "STATE"}
        table.add_column(heading, justify="right" if heading in right else "left", no_wrap=is_id, overflow="fold")
    for row in texts:
        table.add_row(*(Text(text, style=_style(heading, text)) for heading, text in zip(headings, row, strict=True)))
    Console().print(table)


def print_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print facts about one thing, one in a line: its name and what it is."""
    shown = [(name, clean(value)) for name, value in facts]
    if not is_terminal():
        for name, text in shown:
            print(f"{name}\t{text}")
        return
    width = max(len(name) for name, _ in shown)
    for name, text in shown:
        print(f"{name:<{width}}  {text}")


def print_rest(page: dict[str, Any]) -> None:
    """Tell a person that a list goes on."""
    shown, count = len(page["results"]), page["count"]
    if shown < count:
        print(f"{shown} of {count} shown; --all shows all, --limit {min(count, 2 * shown)} more.", file=sys.stderr)


def when(moment: str) -> str:
    """Return a time of the API for a list: how long ago it was at a terminal, as it is elsewhere."""
    return f"{age(moment)} ago" if is_terminal() else moment


def age(moment: str) -> str:
    """Return how long ago a time of the API was, in words as short as `12 s` or `3 days`."""
    seconds = max(0, int((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()))
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


STATE_STYLES = {
    "waiting": "dim",
    "pending": "cyan",
    "initializing": "cyan",
    "running": "blue",
    "staged": "yellow",
    "publishing": "magenta",
    "published": "green",
    "canceling": "red",
    "canceled": "red",
    "rejected": "bold red",
    "failed": "bold red",
}
"""Colours of states; what they say is always said in words as well."""


def _style(heading: str, text: str) -> str:
    return STATE_STYLES.get(text, "") if heading == "STATE" else ""
