"""A report as it is kept: a row for the release, and a row for each of its studies.

The rows carry the state of the release as this service knows it, and the version: while counting and staged the one
that the release was created with, and from publishing on the final one. A report is written as a whole or not at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self

from lockstep.reports.counting import StudyCounts, Total, totals


class ReportState(StrEnum):
    """How far the report of a release is."""

    RUNNING = "running"
    STAGED = "staged"
    PUBLISHED = "published"
    CANCELED = "canceled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Heading:
    """What all rows of a report have in common.

    `version` is None when nobody could tell it. `published_at` is there as long as the state is `published`.
    """

    release_id: str
    task_id: str
    version: str | None
    state: ReportState
    created_at: datetime
    published_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StudySummary:
    """The row of one study in one release."""

    heading: Heading
    study_id: str
    counts: StudyCounts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReleaseSummary:
    """The row of a release: how many studies, and the total of each entity."""

    heading: Heading
    studies: int
    totals: Mapping[str, Total]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is said about one release."""

    summary: ReleaseSummary
    studies: tuple[StudySummary, ...]

    @classmethod
    def of(cls, heading: Heading, counts: Mapping[str, StudyCounts]) -> Self:
        """Make the report of a release from the counts of its studies."""
        summary = ReleaseSummary(heading, len(counts), totals(counts))
        return cls(summary, tuple(StudySummary(heading, study_id, found) for study_id, found in counts.items()))


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose report it is and how far: what a write names, so that it is made only if nothing else came between."""

    task_id: str
    state: ReportState


@dataclass(frozen=True, slots=True)
class Publication:
    """What publishing adds to the rows: the final version, and the time."""

    version: str
    at: datetime
