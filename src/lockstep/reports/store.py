"""Where reports are kept: the port. `SqliteReports` is the store that the service has unless it is given another.

Three tables, as the first description of the service has them: `task`, `release_summary`, `study_summary`. The store
knows no rule of its own but two promises, and `tests/reports/test_report_stores.py` is the contract, one suite for
all stores:

* A reader sees a report whole: either all of its rows have the new state, or none has.
* A write is a comparison and a change in one. It names the mark that its caller saw (`None`: no report yet) and is
  not made when the report bears another by now; the answer tells.

What is asked for often costs the same however long the history is: a page of it, and what of a study is public.

Every method may be called from any thread, may block for a moment, and raises `StoreUnavailable` of the task kit when
the rows can be neither read nor written just now.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from lockstep.reports.report import Mark, Publication, Report, ReportState, StudySummary

_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class Place:
    """A row's place in the history of its study: behind all newer ones."""

    created_at: datetime
    release_id: str


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Some rows of one study, the newest release first, and where they end; None when no further ones follow."""

    rows: Sequence[StudySummary]
    end: Place | None


class ReportStore(Protocol):
    """The port."""

    def mark(self, release_id: str) -> Mark | None:
        """Return the mark of a release's report, None when there is no report."""

    def write(self, report: Report, seen: Mark | None) -> bool:
        """Put a report in the place of the one that bears the mark `seen`; False, and no change, if none does."""

    def move(self, release_id: str, seen: Mark, state: ReportState, publication: Publication | None = None) -> bool:
        """Change the state of all rows of a report; False as in `write`.

        Args:
            release_id: the release.
            seen: the mark that its report bears.
            state: the new state.
            publication: what goes with the state `published`, and with no other. Without it the version stays.
        """

    def report(self, release_id: str) -> Report | None:
        """Return the report of a release, its studies in the order of their ids."""

    def study(self, release_id: str, study_id: str) -> StudySummary | None:
        """Return the row of one study in one release."""

    def history(self, study_id: str, limit: int, after: Place | None = None) -> HistoryPage:
        """Return up to `limit` rows of one study, from behind a place on if one is given."""

    def last_published(self, study_ids: Collection[str], before: datetime | None = None) -> Mapping[str, StudySummary]:
        """Return what was published last of each study, before a time if one is given; a study may have nothing."""


def rows_of_study(store: ReportStore, study_id: str) -> Iterator[StudySummary]:
    """Yield all rows of one study, the newest release first."""
    after = None
    while True:
        page = store.history(study_id, _AT_ONCE, after)
        yield from page.rows
        if page.end is None:
            return
        after = page.end
