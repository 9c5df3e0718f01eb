"""What was found, case by case, and what it amounts to.

A scene judges a case as often as it has something to judge it by. A case is `failed` when one judgement went against
it, `passed` when some went for it and none against, and `open` when there was none; then the reason says why. Several
judgements against one case are counted, and the first few are kept.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from lockstep.taskkit.conformance.cases import CASES, LEVELS, Case, Force

KEPT: Final = 3
"""Findings that are kept of one case; the others are counted."""


class Verdict(StrEnum):
    """What became of a case."""

    PASSED = "passed"
    FAILED = "failed"
    OPEN = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One judgement against a case.

    Attributes:
        seen: what was seen, as a sentence.
        asked: the request.
        answered: the answer.
    """

    seen: str
    asked: str
    answered: str


@dataclass(slots=True)
class Tally:
    """What is known about one case.

    Attributes:
        case: the case.
        passed: judgements for it.
        failed: judgements against it.
        findings: the first of those against it.
        reason: why there is no judgement.
        is_needed: without a judgement the level is not reached.
    """

    case: Case
    passed: int = 0
    failed: int = 0
    findings: list[Finding] = field(default_factory=list)
    reason: str = "there was no occasion"
    is_needed: bool = False

    @property
    def verdict(self) -> Verdict:
        """What became of the case."""
        if self.failed:
            return Verdict.FAILED
        return Verdict.PASSED if self.passed else Verdict.OPEN

    @property
    def costs_the_level(self) -> bool:
        """Whether the level cannot be reached with this."""
        missing = self.is_needed and self.verdict is Verdict.OPEN
        return self.case.force is Force.MUST and (self.failed > 0 or missing)


@dataclass(slots=True)
class Report:
    """Everything that was found out about one service.

    Attributes:
        url: its address.
        name: what it calls itself.
        version: and its version.
        tallies: the cases by their names.
        elapsed_s: how long it took, in seconds.
        timed_out: the time was over before everything was checked.
        notes: what else a reader should know.
    """

    url: str
    name: str = ""
    version: str = ""
    tallies: dict[str, Tally] = field(default_factory=lambda: {name: Tally(case) for name, case in CASES.items()})
    elapsed_s: float = 0.0
    timed_out: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def level(self) -> int:
        """The level that was reached; -1 for none."""
        costly = [tally.case.level for tally in self.tallies.values() if tally.costs_the_level or self._is_late(tally)]
        return min(costly, default=len(LEVELS)) - 1

    def _is_late(self, tally: Tally) -> bool:
        return self.timed_out and tally.case.force is Force.MUST and tally.verdict is Verdict.OPEN

    def tallies_of(self, level: int) -> list[Tally]:
        """Return the cases of one level."""
        return [tally for tally in self.tallies.values() if tally.case.level == level]

    def reaches(self, level: int) -> bool:
        """Tell whether the service has reached a level."""
        return self.level >= level

    def failed(self) -> list[str]:
        """Return the names of the cases that failed."""
        return [name for name, tally in self.tallies.items() if tally.verdict is Verdict.FAILED]

    def judge(self, name: str, seen: str, *, fine: bool, asked: str = "", answered: str = "") -> bool:
        """Note a judgement on a case, and return it."""
        tally = self.tallies[name]
        if fine:
            tally.passed += 1
            return True
        tally.failed += 1
        if len(tally.findings) < KEPT:
            tally.findings.append(Finding(seen, asked, answered))
        return False

    def leave_open(self, reason: str, *names: str, needed: bool = False) -> None:
        """Say why cases cannot be judged; `needed` when their level cannot be reached without."""
        for name in names:
            tally = self.tallies[name]
            tally.reason, tally.is_needed = reason, tally.is_needed or needed
