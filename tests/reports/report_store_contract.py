"""The contract of a report store. A subclass opens one implementation; all of them keep the same promises."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

from lockstep.reports.counting import Count, Known, Unknown
from lockstep.reports.report import Heading, Mark, Publication, Report, ReportState
from lockstep.reports.store import Place, ReportStore, rows_of_study

RELEASE, TASK = "RE_00000001", "TA_00000001"
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
RUNNING, STAGED = Mark(TASK, ReportState.RUNNING), Mark(TASK, ReportState.STAGED)
PUBLISHED = Mark(TASK, ReportState.PUBLISHED)
FINAL = Publication("0.1.0", EPOCH + timedelta(hours=1, microseconds=7))
COUNTS: dict[str, Count] = {
    "participants": Known(0, "data service"),
    "genomic-files": Known(10**12, "data service"),
    "biospecimens": Known(334, "FHIR server"),
    "families": Unknown("not published by the source", "data service", withheld=True),
    "diagnoses": Unknown("the data service answered 500", "data service"),
}


def task_of(release: str) -> str:
    return f"TA_{release[3:]}"


def report(
    state: ReportState, *studies: str, release: str = RELEASE, counts: dict[str, Count] = COUNTS, day: int = 0
) -> Report:
    heading = Heading(release, task_of(release), "0.0.1", state, EPOCH + timedelta(days=day))
    return Report.of(heading, dict.fromkeys(studies or ("SD_00000001", "SD_00000002"), counts))


def stage(store: ReportStore, *studies: str, release: str = RELEASE, day: int = 0) -> None:
    assert store.write(report(ReportState.STAGED, *studies, release=release, day=day), None)


def publish(store: ReportStore, *studies: str, release: str, day: int, version: str = "0.1.0") -> None:
    """Publish a release a day after it was created."""
    stage(store, *studies, release=release, day=day)
    publication = Publication(version, EPOCH + timedelta(days=day + 1))
    assert store.move(release, Mark(task_of(release), ReportState.STAGED), ReportState.PUBLISHED, publication)


class ReportStoreContract:
    """What every store promises; `open_store` opens the same one again."""

    many = 2000

    def open_store(self, folder: Path) -> ReportStore:
        raise NotImplementedError

    def wait_for_indexes(self) -> None:
        """Wait until what was written is found by its index too; a store may take a moment for that."""

    def test_what_was_written_is_read(self, tmp_path: Path) -> None:
        """Numbers, reasons, sources and times come back as they were, also after a restart."""
        written = report(ReportState.RUNNING)
        assert self.open_store(tmp_path).write(written, None)
        store = self.open_store(tmp_path)
        assert store.report(RELEASE) == written
        assert store.study(RELEASE, "SD_00000002") == written.studies[1]
        assert store.mark(RELEASE) == RUNNING

    def test_texts_of_every_kind_come_back(self, tmp_path: Path) -> None:
        reason = "it said 'no'; \"DROP TABLE\" \0 \N{GREEK SMALL LETTER PI} \N{WHITE SMILING FACE}\n\t" + "x" * 1000
        written = report(ReportState.STAGED, counts={"families": Unknown(reason, "=a source"), **COUNTS})
        store = self.open_store(tmp_path)
        assert store.write(written, None)
        assert store.report(RELEASE) == written

    def test_what_is_not_there_is_none(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        for release_id in (RELEASE, "", "x" * 5000, "' OR 1"):
            assert (store.report(release_id), store.study(release_id, "SD_00000001"), store.mark(release_id)) == (
                None,
                None,
                None,
            )
        for study_id in ("SD_00000001", "", "x" * 5000):
            assert (list(store.history(study_id, 10).rows), store.history(study_id, 10).end) == ([], None)
        assert store.last_published(["SD_00000001"]) == {}
        assert store.last_published([]) == {}

    def test_a_release_without_studies_is_a_report(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        empty = Report.of(report(ReportState.RUNNING).summary.heading, {})
        assert store.write(empty, None)
        assert store.report(RELEASE) == empty

    def test_a_write_that_saw_something_else_changes_nothing(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        first, second = report(ReportState.RUNNING), report(ReportState.STAGED, "SD_00000003")
        assert not store.write(second, RUNNING)
        assert store.write(first, None)
        assert not store.write(second, None)
        assert not store.write(second, STAGED)
        assert not store.write(second, Mark("TA_00000002", ReportState.RUNNING))
        assert not store.move(RELEASE, STAGED, ReportState.PUBLISHED, FINAL)
        assert store.report(RELEASE) == first

    def test_a_write_replaces_every_row(self, tmp_path: Path) -> None:
        """Studies that are no longer part of it are gone."""
        store = self.open_store(tmp_path)
        assert store.write(report(ReportState.RUNNING), None)
        second = report(ReportState.STAGED, "SD_00000002", "SD_00000003", counts={})
        assert store.write(second, RUNNING)
        assert store.report(RELEASE) == second
        assert store.study(RELEASE, "SD_00000001") is None
        self.wait_for_indexes()
        assert list(store.history("SD_00000001", 10).rows) == []

    def test_publishing_changes_state_version_and_time_of_every_row(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        stage(store)
        stage(store, release="RE_00000002")
        assert store.move(RELEASE, STAGED, ReportState.PUBLISHED, FINAL)
        moved = store.report(RELEASE)
        assert moved is not None
        headings = {moved.summary.heading, *(row.heading for row in moved.studies)}
        assert headings == {Heading(RELEASE, TASK, "0.1.0", ReportState.PUBLISHED, EPOCH, FINAL.at)}
        assert [row.counts for row in moved.studies] == [COUNTS, COUNTS]
        assert store.mark("RE_00000002") == Mark("TA_00000002", ReportState.STAGED)

    def test_what_is_no_longer_public_keeps_its_version_and_loses_its_time(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        stage(store)
        assert store.move(RELEASE, STAGED, ReportState.PUBLISHED, FINAL)
        assert store.move(RELEASE, PUBLISHED, ReportState.CANCELED)
        row = store.study(RELEASE, "SD_00000001")
        assert row is not None
        assert row.heading == Heading(RELEASE, TASK, "0.1.0", ReportState.CANCELED, EPOCH)
        self.wait_for_indexes()
        assert store.last_published(["SD_00000001"]) == {}

    def test_a_report_that_failed_is_made_anew_by_another_task(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        assert store.write(report(ReportState.RUNNING), None)
        assert store.write(report(ReportState.FAILED), RUNNING)
        heading = Heading(RELEASE, "TA_00000002", None, ReportState.RUNNING, EPOCH + timedelta(days=1))
        anew = Report.of(heading, {"SD_00000002": {}, "SD_00000003": {}})
        assert store.write(anew, Mark(TASK, ReportState.FAILED))
        assert store.report(RELEASE) == anew
        assert store.study(RELEASE, "SD_00000001") is None

    def test_the_history_of_a_study_comes_in_pages_newest_first(self, tmp_path: Path) -> None:
        """Every release once, wherever the pages end; other studies do not come into it."""
        store = self.open_store(tmp_path)
        for day in (4, 0, 2, 6, 1, 5, 3):
            stage(store, "SD_00000001", f"SD_1000000{day}", release=f"RE_{day:08d}", day=day)
        self.wait_for_indexes()
        for size in (1, 3, 7, 10):
            releases: list[str] = []
            after: Place | None = None
            while True:
                page = store.history("SD_00000001", size, after)
                assert len(page.rows) <= size
                releases += [row.heading.release_id for row in page.rows]
                if page.end is None:
                    break
                after = page.end
            assert releases == [f"RE_{day:08d}" for day in (6, 5, 4, 3, 2, 1, 0)]
        assert len(list(rows_of_study(store, "SD_00000001"))) == 7

    def test_rows_in_the_history_are_whole(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        publish(store, "SD_00000001", release=RELEASE, day=0)
        self.wait_for_indexes()
        assert list(store.history("SD_00000001", 5).rows) == [store.study(RELEASE, "SD_00000001")]

    def test_what_was_published_last_is_found_for_each_study(self, tmp_path: Path) -> None:
        """The order of publishing counts, not that of creation, and nothing counts that is not public."""
        store = self.open_store(tmp_path)
        publish(store, "SD_00000001", "SD_00000002", release="RE_00000001", day=5)
        publish(store, "SD_00000001", release="RE_00000002", day=3)
        publish(store, "SD_00000002", release="RE_00000003", day=7)
        stage(store, "SD_00000001", "SD_00000002", "SD_00000003", release="RE_00000004", day=9)
        publish(store, "SD_00000001", release="RE_00000005", day=20)
        assert store.move("RE_00000005", Mark("TA_00000005", ReportState.PUBLISHED), ReportState.CANCELED)
        self.wait_for_indexes()
        three = ["SD_00000001", "SD_00000002", "SD_00000003"]

        def found(before: datetime | None) -> dict[str, str]:
            rows = store.last_published(three, before)
            return {study_id: row.heading.release_id for study_id, row in sorted(rows.items())}

        assert found(None) == {"SD_00000001": "RE_00000001", "SD_00000002": "RE_00000003"}
        assert found(EPOCH + timedelta(days=8)) == {"SD_00000001": "RE_00000001", "SD_00000002": "RE_00000001"}
        assert found(EPOCH + timedelta(days=6)) == {"SD_00000001": "RE_00000002"}
        assert found(EPOCH) == {}
        assert store.last_published(["SD_00000002"])["SD_00000002"] == store.study("RE_00000003", "SD_00000002")

    def test_of_many_that_saw_the_same_one_writes(self, tmp_path: Path) -> None:
        """Eight threads move the same report; one of them does, and the others learn that they came too late."""
        store = self.open_store(tmp_path)
        assert store.write(report(ReportState.RUNNING), None)
        states = [ReportState.STAGED, ReportState.CANCELED] * 4
        with ThreadPoolExecutor(8) as threads:
            moved = list(threads.map(lambda state: store.move(RELEASE, RUNNING, state), states))
        assert sorted(moved) == [False] * 7 + [True]
        whole = store.report(RELEASE)
        assert whole is not None
        assert whole.summary.heading.state is states[moved.index(True)]
        assert {row.heading for row in whole.studies} == {whole.summary.heading}

    def test_a_reader_sees_a_report_whole_while_it_changes(self, tmp_path: Path) -> None:
        """Its rows have one heading, all studies are there, and what is staged or published has its counts."""
        store, is_over = self.open_store(tmp_path), Event()
        studies = [f"SD_{number:08d}" for number in range(30)]
        blank = Report.of(report(ReportState.RUNNING).summary.heading, {study_id: {} for study_id in studies})

        def read() -> set[ReportState]:
            seen = set()
            while not is_over.is_set():
                found = store.report(RELEASE)
                if found is None:
                    continue
                heading = found.summary.heading
                assert {row.heading for row in found.studies} == {heading}
                assert [row.study_id for row in found.studies] == studies
                if heading.state is not ReportState.RUNNING:
                    assert [row.counts for row in found.studies] == [COUNTS] * 30
                assert (heading.version == FINAL.version) == (heading.state is ReportState.PUBLISHED)
                seen.add(heading.state)
            return seen

        with ThreadPoolExecutor(2) as threads:
            reading = [threads.submit(read) for _ in range(2)]
            try:
                assert store.write(blank, None)
                assert store.write(report(ReportState.STAGED, *studies), RUNNING)
                assert store.move(RELEASE, STAGED, ReportState.PUBLISHED, FINAL)
            finally:
                is_over.set()
            assert reading[0].result() | reading[1].result() <= {*ReportState}

    def test_a_very_large_release_is_one_report(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        studies = [f"SD_{number:08d}" for number in range(self.many)]
        assert store.write(report(ReportState.RUNNING, *studies, counts={}), None)
        assert store.write(report(ReportState.STAGED, *studies), RUNNING)
        assert store.move(RELEASE, STAGED, ReportState.PUBLISHED, FINAL)
        read = store.report(RELEASE)
        assert read is not None
        assert (read.summary.studies, [row.study_id for row in read.studies]) == (self.many, studies)
        assert {row.heading.version for row in read.studies} == {"0.1.0"}
        assert {row.counts["biospecimens"] for row in read.studies} == {Known(334, "FHIR server")}
