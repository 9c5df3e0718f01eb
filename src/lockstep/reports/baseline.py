"""What a release is compared with: found in the store, for the pure comparison in `diff`.

Without a choice it is the last published row of each study, from before the release itself if that is published. The
newest release among those is read whole, so that a study that it holds and the release lacks is seen. All of it takes
as long as the release is large, however many releases there were.
"""

from datetime import datetime

from lockstep.reports.diff import Baseline
from lockstep.reports.report import Heading, Report, ReportState
from lockstep.reports.store import ReportStore


class NoReport(Exception):
    """There is no report of a release."""

    def __init__(self, release_id: str) -> None:
        super().__init__(f"could not find a report for release {release_id}")


class NotCounted(Exception):
    """The report of a release is still being made, so that nothing can be compared."""

    def __init__(self, release_id: str) -> None:
        super().__init__(f"release {release_id} is still being counted; what changes is known when that is over")


def counted_report(store: ReportStore, release_id: str) -> Report:
    """Return the report of a release that has been counted.

    Raises:
        NoReport: there is none.
        NotCounted: it is still being made.
    """
    report = store.report(release_id)
    if report is None:
        raise NoReport(release_id)
    if report.summary.heading.state is ReportState.RUNNING:
        raise NotCounted(release_id)
    return report


def what_is_public(store: ReportStore, report: Report) -> Baseline:
    """Return the last published row of each study of a release."""
    ours = {summary.study_id for summary in report.studies}
    rows = dict(store.last_published(ours, report.summary.heading.published_at))
    newest = max((row.heading for row in rows.values()), key=_published_at, default=None)
    whole = store.report(newest.release_id) if newest else None
    gone = {row.study_id: row for row in whole.studies if row.study_id not in ours} if whole else {}
    return Baseline({**rows, **gone}, newest, is_one_release=False)


def one_release(report: Report) -> Baseline:
    """Return everything in one release."""
    rows = {row.study_id: row for row in report.studies}
    return Baseline(rows, report.summary.heading, is_one_release=True)


def _published_at(heading: Heading) -> tuple[datetime, str]:
    """Return what orders releases by publishing; what `last_published` brings has a time."""
    return heading.published_at or heading.created_at, heading.release_id
