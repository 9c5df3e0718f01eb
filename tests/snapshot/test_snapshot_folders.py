"""A snapshot is staged, public, or not there, and it belongs to one task."""

import json
from pathlib import Path

import pytest

from lockstep.snapshot.folders import RecordFile, SnapshotError, SnapshotFolders
from lockstep.taskkit import StoreUnavailable

RELEASE, TASK, OTHER = "RE_00000001", "TA_00000001", "TA_00000002"


@pytest.fixture
def folders(tmp_path: Path) -> SnapshotFolders:
    return SnapshotFolders(tmp_path / "kept")


def complete(folders: SnapshotFolders, task: str = TASK) -> None:
    folder = folders.begin(RELEASE, task, ["SD_00000001"])
    (folder / "SD_00000001" / "dataservice" / "participants.json").write_text("[]")
    folders.conclude(RELEASE, task, {"SD_00000001": {"participants": {"records": 0, "total": 0}}})


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


WHOLE = {f"{RELEASE}/snapshot.json", f"{RELEASE}/SD_00000001/dataservice/participants.json"}


def test_publishing_moves_everything_at_once_and_may_be_repeated(folders: SnapshotFolders) -> None:
    complete(folders)
    assert (names(folders.staging), names(folders.public)) == (WHOLE, set())
    for _ in range(2):
        folders.publish(RELEASE, TASK)
        assert (names(folders.staging), names(folders.public)) == (set(), WHOLE)


def test_nobody_else_may_look_into_staging(folders: SnapshotFolders) -> None:
    assert folders.staging.stat().st_mode & 0o777 == 0o700


def test_half_a_snapshot_is_not_published(folders: SnapshotFolders) -> None:
    """Neither one that was never made, nor one under way, nor one whose manifest is broken, nor another task's."""
    with pytest.raises(SnapshotError, match=f"no complete snapshot of release {RELEASE}"):
        folders.publish(RELEASE, TASK)
    folders.begin(RELEASE, TASK, ["SD_00000001"])
    with pytest.raises(SnapshotError, match="no complete snapshot"):
        folders.publish(RELEASE, TASK)
    complete(folders)
    with pytest.raises(SnapshotError, match="no complete snapshot"):
        folders.publish(RELEASE, OTHER)
    (folders.staging / RELEASE / "snapshot.json").write_text('{"task_id": "TA_0000')
    with pytest.raises(SnapshotError, match="no complete snapshot"):
        folders.publish(RELEASE, TASK)
    assert names(folders.public) == set()


def test_beginning_again_leaves_nothing_of_the_first_attempt(folders: SnapshotFolders) -> None:
    complete(folders)
    folders.begin(RELEASE, TASK, ["SD_00000002"])
    assert names(folders.staging) == {f"{RELEASE}/snapshot.json"}
    assert json.loads((folders.staging / RELEASE / "snapshot.json").read_text())["complete"] is False


def test_what_a_kill_left_behind_is_cleared_away(folders: SnapshotFolders) -> None:
    """Folders under their passing names are of no use to anybody."""
    for left in (f".new-{TASK}", f".discarded-{TASK}"):
        (folders.staging / left / "SD_00000009").mkdir(parents=True)
        (folders.staging / left / "SD_00000009" / "x.json").write_text("[")
    complete(folders)
    assert names(folders.staging) == WHOLE


def test_another_task_of_the_same_release_is_turned_away(folders: SnapshotFolders) -> None:
    complete(folders)
    with pytest.raises(SnapshotError, match=f"has a snapshot of task {TASK} already"):
        folders.begin(RELEASE, OTHER, ["SD_00000001"])
    folders.discard(RELEASE, OTHER)
    assert names(folders.staging) == WHOLE
    folders.publish(RELEASE, TASK)
    with pytest.raises(SnapshotError, match="is public already"):
        folders.begin(RELEASE, OTHER, ["SD_00000001"])
    folders.discard(RELEASE, OTHER)
    assert names(folders.public) == WHOLE


def test_discarding_removes_it_wherever_it_is_and_may_be_repeated(folders: SnapshotFolders) -> None:
    """A task that is canceled in the very moment of publishing leaves nothing in public."""
    complete(folders)
    for _ in range(2):
        folders.discard(RELEASE, TASK)
        assert names(folders.staging) == set()
    complete(folders)
    folders.publish(RELEASE, TASK)
    folders.discard(RELEASE, TASK)
    assert (list(folders.staging.iterdir()), list(folders.public.iterdir())) == ([], [])


def test_record_files_are_json_arrays(tmp_path: Path) -> None:
    records = [{"kf_id": "PT_00000001", "note": "naïve\ud800"}, {"kf_id": "PT_00000002"}]
    for wanted in (records, records[:1], []):
        with RecordFile(tmp_path / "records.json") as file:
            for record in wanted:
                file.add(record)
        assert json.loads((tmp_path / "records.json").read_text()) == wanted


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file")
    with pytest.raises(StoreUnavailable, match=r"the snapshots in .*kept cannot be used: "):
        SnapshotFolders(tmp_path / "kept")


ELSEWHERE = Path("/dev/shm")  # noqa: S108 - a file system of its own on most machines


def test_folders_on_two_file_systems_are_refused(tmp_path: Path) -> None:
    if not ELSEWHERE.is_dir() or ELSEWHERE.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("this machine has one file system only")
    (tmp_path / "public").symlink_to(ELSEWHERE)
    with pytest.raises(ValueError, match="must lie on one file system"):
        SnapshotFolders(tmp_path)
