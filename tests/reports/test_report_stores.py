"""The contract of a report store. A subclass opens one implementation; all of them keep the same promises."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lockstep.reports.counting import Count, Known, Unknown
from lockstep.reports.report import Heading, Mark, Report, ReportState
from lockstep.reports.sqlite_store import SqliteReports
from lockstep.reports.store import ReportStore
from lockstep.taskkit import StoreUnavailable

RELEASE, TASK = "RE_00000001", "TA_00000001"
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
RUNNING, STAGED = Mark(TASK, ReportState.RUNNING), Mark(TASK, ReportState.STAGED)
COUNTS: dict[str, Count] = {
    "participants": Known(0, "data service"),
    "genomic-files": Known(10**12, "data service"),
    "families": Unknown("not published by the source", "data service", withheld=True),
    "diagnoses": Unknown("the data service answered 500", "data service"),
}


def report(
    state: ReportState, *studies: str, release: str = RELEASE, counts: dict[str, Count] = COUNTS, day: int = 0
) -> Report:
    heading = Heading(release, TASK, "0.0.1", state, EPOCH + timedelta(days=day))
    return Report.of(heading, dict.fromkeys(studies or ("SD_00000001", "SD_00000002"), counts))


class ReportStoreContract:
    """What every store promises; `open_store` opens the same one again."""

    def open_store(self, folder: Path) -> ReportStore:
        raise NotImplementedError

    def test_what_was_written_is_read(self, tmp_path: Path) -> None:
        """Numbers, reasons, sources and times come back as they were, also after a restart."""
        written = report(ReportState.RUNNING)
        assert self.open_store(tmp_path).write(written, None)
        store = self.open_store(tmp_path)
        assert store.report(RELEASE) == written
        assert store.study(RELEASE, "SD_00000002") == written.studies[1]
        assert store.mark(RELEASE) == RUNNING

    def test_what_is_not_there_is_none(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        assert (store.report(RELEASE), store.study(RELEASE, "SD_00000001"), store.mark(RELEASE)) == (None, None, None)
        assert list(store.of_study("SD_00000001")) == []

    def test_a_write_that_saw_something_else_changes_nothing(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        first, second = report(ReportState.RUNNING), report(ReportState.STAGED, "SD_00000003")
        assert not store.write(second, RUNNING)
        assert store.write(first, None)
        assert not store.write(second, None)
        assert not store.write(second, STAGED)
        assert not store.write(second, Mark("TA_00000002", ReportState.RUNNING))
        assert not store.move(RELEASE, STAGED, ReportState.PUBLISHED, "0.1.0")
        assert store.report(RELEASE) == first

    def test_a_write_replaces_every_row(self, tmp_path: Path) -> None:
        """Studies that are no longer part of it are gone."""
        store = self.open_store(tmp_path)
        assert store.write(report(ReportState.RUNNING), None)
        second = report(ReportState.STAGED, "SD_00000002", "SD_00000003", counts={})
        assert store.write(second, RUNNING)
        assert store.report(RELEASE) == second
        assert store.study(RELEASE, "SD_00000001") is None

    def test_a_move_changes_state_and_version_of_every_row(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        assert store.write(report(ReportState.STAGED), None)
        assert store.write(report(ReportState.STAGED, release="RE_00000002"), None)
        assert store.move(RELEASE, STAGED, ReportState.PUBLISHED, "0.1.0")
        moved = store.report(RELEASE)
        assert moved is not None
        headings = {moved.summary.heading, *(row.heading for row in moved.studies)}
        assert headings == {Heading(RELEASE, TASK, "0.1.0", ReportState.PUBLISHED, EPOCH)}
        assert store.mark("RE_00000002") == STAGED

    def test_a_move_without_a_version_keeps_it(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        assert store.write(report(ReportState.STAGED), None)
        assert store.move(RELEASE, STAGED, ReportState.CANCELED)
        row = store.study(RELEASE, "SD_00000001")
        assert row is not None
        assert (row.heading.state, row.heading.version) == (ReportState.CANCELED, "0.0.1")

    def test_the_releases_of_a_study_come_newest_first(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        for number, day in enumerate((1, 3, 2)):
            state = ReportState.PUBLISHED if day == 2 else ReportState.STAGED
            assert store.write(report(state, "SD_00000001", release=f"RE_{number:08d}", day=day), None)
        rows = store.of_study("SD_00000001")
        assert [row.heading.release_id for row in rows] == ["RE_00000001", "RE_00000002", "RE_00000000"]
        published = store.of_study("SD_00000001", ReportState.PUBLISHED)
        assert [row.heading.release_id for row in published] == ["RE_00000002"]

    def test_of_many_that_saw_the_same_one_writes(self, tmp_path: Path) -> None:
        """Eight threads move the same report; one of them does, and the others learn that they came too late."""
        store = self.open_store(tmp_path)
        assert store.write(report(ReportState.RUNNING), None)
        states = [ReportState.STAGED, ReportState.CANCELED] * 4
        with ThreadPoolExecutor(8) as threads:
            moved = list(threads.map(lambda state: store.move(RELEASE, RUNNING, state), states))
        assert sorted(moved) == [False] * 7 + [True]

    def test_two_thousand_studies_are_one_report(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        large = report(ReportState.STAGED, *(f"SD_{number:08d}" for number in range(2000)))
        assert store.write(large, None)
        assert store.move(RELEASE, STAGED, ReportState.PUBLISHED, "0.1.0")
        read = store.report(RELEASE)
        assert read is not None
        assert (read.summary.studies, len(read.studies)) == (2000, 2000)
        assert {row.heading.version for row in read.studies} == {"0.1.0"}


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
