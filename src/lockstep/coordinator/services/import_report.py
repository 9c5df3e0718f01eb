"""What an import says of itself: for each kind the numbers, and for what is not as it was the reasons and the ids."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from lockstep.coordinator.core.history import Kind, Remark

NAMED: Final = 100
"""Ids that are named for each reason; how many there are is always said."""


@dataclass(slots=True)
class Count:
    """How many records of a kind there are, as far as is known, and what came of those that were read."""

    total: int = 0
    new: int = 0
    updated: int = 0
    unchanged: int = 0
    left_out: int = 0

    @property
    def read(self) -> int:
        """Return how many were read."""
        return self.new + self.updated + self.unchanged + self.left_out


@dataclass(slots=True)
class Reasons:
    """Remarks by their kind and reason: how many, and the first of their ids."""

    counts: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    named: defaultdict[tuple[Kind, str], list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, remarks: Iterable[Remark]) -> None:
        """Take note of some more."""
        for remark in remarks:
            key = (remark.kind, remark.reason)
            self.counts[key] += 1
            if len(self.named[key]) < NAMED:
                self.named[key].append(remark.kf_id)


@dataclass(slots=True)
class Report:
    """What an import came to.

    Attributes:
        left_out: what was not brought, and why.
        altered: what was brought, and is not just as it is over there.
        complete: everything was read; False while it is not.
    """

    counts: dict[Kind, Count] = field(default_factory=lambda: {kind: Count() for kind in Kind})
    left_out: Reasons = field(default_factory=Reasons)
    altered: Reasons = field(default_factory=Reasons)
    complete: bool = False
