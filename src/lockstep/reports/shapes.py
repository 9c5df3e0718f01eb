"""The rows of a report as JSON.

A row holds a number per entity, as its readers in the field expect. An entity whose count is unknown has no number;
`unknown` then names it and says why. In the row of a release, `at_least` tells that some number is a lower bound or
missing, and `unknown` which ones.
"""

from collections.abc import Mapping
from typing import Any

from lockstep.dataservice.entities import REPORTED
from lockstep.reports.counting import NOT_COUNTED, Known
from lockstep.reports.report import Heading, ReleaseSummary, Report, StudySummary


def report_to_json(report: Report) -> dict[str, Any]:
    """Return a release's row with the rows of its studies."""
    studies = {summary.study_id: study_to_json(summary) for summary in report.studies}
    return {**release_to_json(report.summary), "study_summaries": studies}


def release_to_json(summary: ReleaseSummary) -> dict[str, Any]:
    """Return a release's row."""
    numbers = {entity: total.number for entity, total in summary.totals.items() if total.number is not None}
    unknown = {entity: total.gap for entity, total in summary.totals.items() if total.gap is not None}
    return {
        **_heading_to_json(summary.heading),
        "studies": summary.studies,
        **numbers,
        "unknown": unknown,
        "at_least": bool(unknown),
    }


def study_to_json(summary: StudySummary) -> dict[str, Any]:
    """Return a study's row."""
    counts = summary.counts
    known = {entity: count for entity, count in counts.items() if isinstance(count, Known)}
    unknown = {entity: getattr(counts.get(entity), "reason", NOT_COUNTED) for entity in REPORTED if entity not in known}
    return {
        **_heading_to_json(summary.heading),
        "study_id": summary.study_id,
        **{entity: count.number for entity, count in known.items()},
        "unknown": unknown,
        "sources": {entity: count.source for entity, count in known.items()},
    }


def _heading_to_json(heading: Heading) -> Mapping[str, Any]:
    published_at = heading.published_at
    return {
        "release_id": heading.release_id,
        "task_id": heading.task_id,
        "version": heading.version,
        "state": heading.state.value,
        "created_at": heading.created_at.isoformat(timespec="microseconds"),
        "published_at": published_at.isoformat(timespec="microseconds") if published_at else None,
    }
