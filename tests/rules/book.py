"""The rule book as the tests read it: its numbers, its diagrams, its figures."""

import re
from pathlib import Path

BOOK = Path(__file__).parents[2] / "docs" / "rules.md"
_RULE = re.compile(r"^\* \*\*([A-Z][0-9]+)\*\* ", re.MULTILINE)
_DIAGRAM = re.compile(r"^```mermaid\nstateDiagram-v2\n(.*?)^```", re.MULTILINE | re.DOTALL)
_ARROW = re.compile(r"^    (\S+) --> (\S+)$", re.MULTILINE)
_FIGURE = re.compile(r"^\| [^|]+ \| ([0-9]+) \| (?:`(LOCKSTEP_[A-Z_]+)` )?\|$", re.MULTILINE)


def numbers() -> list[str]:
    """The number of every rule, in the order of the book."""
    return _RULE.findall(BOOK.read_text())


def diagrams() -> list[set[tuple[str, str]]]:
    """The arrows of each diagram; `[*]` is before the first state and after the last ones."""
    return [set(_ARROW.findall(diagram)) for diagram in _DIAGRAM.findall(BOOK.read_text())]


def figures() -> list[tuple[str, str]]:
    """The default and the setting of each figure, in the order of the book."""
    return _FIGURE.findall(BOOK.read_text())
