"""Reports in SQLite keep the contract, and what is their own besides."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lockstep.reports.report import ReportState
from lockstep.reports.sqlite_store import SqliteReports
from lockstep.reports.store import ReportStore
from lockstep.taskkit import StoreUnavailable
from tests.reports.report_store_contract import RELEASE, RUNNING, ReportStoreContract, publish, report, stage


class TestSqliteReports(ReportStoreContract):
    def open_store(self, folder: Path) -> ReportStore:
        return SqliteReports(folder / "kept" / "reports.db")

    def test_a_file_that_cannot_be_used_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "reports.db").write_text("this is a letter to my aunt, and no database at all" * 100)
        with pytest.raises(StoreUnavailable, match=r"the reports in .*reports\.db cannot be used: "):
            SqliteReports(tmp_path / "reports.db")
        with pytest.raises(StoreUnavailable, match="cannot be used: "):
            SqliteReports(tmp_path / "reports.db" / "below.db")

    def test_a_transaction_that_breaks_off_leaves_the_old_report(self, tmp_path: Path) -> None:
        """The second row cannot be written, so the first is not there either."""
        store = SqliteReports(tmp_path / "reports.db")
        first = report(ReportState.RUNNING)
        assert store.write(first, None)
        with sqlite3.connect(tmp_path / "reports.db") as other:
            other.execute(
                "CREATE TRIGGER full BEFORE INSERT ON study_summary WHEN new.study_id = 'SD_00000002' AND "
                "new.state = 'staged' BEGIN SELECT raise(ABORT, 'database or disk is full'); END"
            )
        other.close()
        with pytest.raises(StoreUnavailable, match="disk is full"):
            store.write(report(ReportState.STAGED), RUNNING)
        assert store.report(RELEASE) == first

    def test_a_file_of_an_earlier_version_is_brought_up(self, tmp_path: Path) -> None:
        """Its rows stay, and what it had published counts as published when it was created."""
        path = tmp_path / "reports.db"
        store = SqliteReports(path)
        publish(store, "SD_00000001", release=RELEASE, day=0)
        stage(store, "SD_00000001", release="RE_00000002")
        store.close()
        with sqlite3.connect(path) as old:
            old.execute("DROP INDEX study_summary_published")
            for table in ("release_summary", "study_summary"):
                old.execute(f"ALTER TABLE {table} DROP COLUMN published_at")
        old.close()
        found = SqliteReports(path).last_published(["SD_00000001"])["SD_00000001"].heading
        assert (found.release_id, found.published_at) == (RELEASE, datetime(2024, 1, 1, tzinfo=UTC))

    def test_pages_and_last_published_rows_are_found_by_an_index(self, tmp_path: Path) -> None:
        """No scan and no sorting, so that they cost the same however long the history is."""
        store = SqliteReports(tmp_path / "reports.db")
        seen: list[str] = []
        store._connection.set_trace_callback(seen.append)
        store.history("SD_00000001", 10)
        store.last_published(["SD_00000001"])
        store._connection.set_trace_callback(None)
        plans = [store._connection.execute(f"EXPLAIN QUERY PLAN {query}").fetchall() for query in seen]
        steps = [row[-1] for plan in plans for row in plan]
        assert [step.split("(")[0] for step in steps] == [
            "SEARCH study_summary USING INDEX study_summary_by_time ",
            "SEARCH study_summary USING INDEX study_summary_published ",
        ]
