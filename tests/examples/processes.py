"""What tests of the examples share: where the examples are, and what a check of one found."""

from pathlib import Path
from typing import Any

from lockstep.taskkit.conformance import Report

EXAMPLES = Path(__file__).parents[2] / "examples"


def found(report: Report) -> tuple[int, dict[str, Any]]:
    """Return the level that was reached, and what was found."""
    return report.level, {name: report.tallies[name].findings for name in report.failed()}
