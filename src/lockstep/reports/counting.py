"""What a count is, and what becomes of counts when they are added up. Pure: no network, no store, no clock.

A count is known, or it is unknown for a reason; it is never 0 for want of an answer. There are two kinds of unknown.
A source may say itself that it publishes no such count: that is an honest answer, and a release can be signed with
it. Or the count could not be had although it should: then somebody has to look before the release goes public.

A total is the sum of what is known. If some of it is unknown, the sum is a lower bound ("at least"), and the total
says for how many studies it stands in the dark. If nothing is known, there is no sum.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from lockstep.dataservice.entities import REPORTED

NOT_COUNTED: Final = "not counted"


@dataclass(frozen=True, slots=True)
class Known:
    """So many rows, as `source` says."""

    number: int
    source: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows, and why. `withheld`: the source itself says that it publishes no such count."""

    reason: str
    source: str
    withheld: bool = False


Count = Known | Unknown
StudyCounts = Mapping[str, Count]
"""The counts of one study by entity. An entity that is not in it was not counted."""


@dataclass(frozen=True, slots=True)
class Total:
    """A sum over studies. `number` is None when nothing is known; `gap` says what is missing from it, if anything."""

    number: int | None
    gap: str | None = None


def totals(studies: Mapping[str, StudyCounts]) -> dict[str, Total]:
    """Return the total of each reported entity over some studies."""
    return {entity: _total([counts.get(entity) for counts in studies.values()]) for entity in REPORTED}


def failures(studies: Mapping[str, StudyCounts]) -> list[str]:
    """Return a sentence for each count that should be there and is not, in the order of the studies."""
    return [
        f"{entity} of {study_id}: {count.reason}"
        for study_id, counts in studies.items()
        for entity, count in counts.items()
        if isinstance(count, Unknown) and not count.withheld
    ]


def _total(counts: Iterable[Count | None]) -> Total:
    every = list(counts)
    numbers = [count.number for count in every if isinstance(count, Known)]
    reasons = [count.reason if count else NOT_COUNTED for count in every if not isinstance(count, Known)]
    if not reasons:
        return Total(sum(numbers))
    why = reasons[0] if len(set(reasons)) == 1 else "the reasons stand with the studies"
    gap = f"unknown for {len(reasons)} of {len(every)} studies: {why}"
    return Total(sum(numbers) if numbers else None, gap)
