"""Where reports are kept: the port. `SqliteReports` is the store that the service has unless it is given another.

Three tables, as the first description of the service has them: `task`, `release_summary`, `study_summary`. The store
knows no rule of its own but two promises, and `tests/reports/test_report_stores.py` is the contract, one suite for
all stores:

* A reader sees a report whole: either all of its rows have the new state, or none has.
* A write is a comparison and a change in one. It names the mark that its caller saw (`None`: no report yet) and is
  not made when the report bears another by now; the answer tells.

Every method may be called from any thread, may block for a moment, and raises `StoreUnavailable` of the task kit when
the rows can be neither read nor written just now.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from lockstep.reports.report import Mark, Report, ReportState, StudySummary

HISTORY_LIMIT: Final = 1000
"""The most releases of one study that are shown at once, the newest ones."""


class ReportStore(Protocol):
    """The port."""

    def mark(self, release_id: str) -> Mark | None:
        """Return the mark of a release's report, None when there is no report."""

    def write(self, report: Report, seen: Mark | None) -> bool:
        """Put a report in the place of the one that bears the mark `seen`; False, and no change, if none does."""

    def move(self, release_id: str, seen: Mark, state: ReportState, version: str | None = None) -> bool:
        """Change the state of all rows of a report, and the version if one is given; False as in `write`."""

    def report(self, release_id: str) -> Report | None:
        """Return the report of a release."""

    def study(self, release_id: str, study_id: str) -> StudySummary | None:
        """Return the row of one study in one release."""

    def of_study(self, study_id: str, state: ReportState | None = None) -> Sequence[StudySummary]:
        """Return the rows of one study, the newest release first, of one state only if it is given."""
