"""The contract of a task store: one suite, passed by every store. A new store adds a subclass that opens it."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from lockstep.protocol.states import TaskState
from lockstep.taskkit import MemoryStore, SqliteStore, StoredTask, StoreUnavailable, TaskStore

PENDING = StoredTask("TA_1", "RE_1", studies=("SD_1", "SD_2"), urls=("http://d.test/1", "http://d.test/ü"))
RUNNING = replace(PENDING, state=TaskState.RUNNING, attempt=1)
EVERY_FIELD = StoredTask(
    "TA_2",
    "RE_2",
    TaskState.FAILED,
    42,
    ("SD_1",),
    ("http://d.test/1",),
    3,
    cleanup_due=True,
    error="it broke",
    epoch=7,
    retryable=False,
    metrics={"rows": 7, "share": 0.5, "word": "ü"},
    preview="http://preview.test",
    callback_token="one of its own",
)

NUMBERS = {"progress", "attempt", "cleanup_due"}


class StoreContract:
    """What holds for every store."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[TaskStore]:
        store = self.make(tmp_path)
        store.open()
        yield store
        store.close()

    def make(self, folder: Path) -> TaskStore:
        raise NotImplementedError

    def test_a_task_is_kept_as_it_is(self, store: TaskStore) -> None:
        """Every field comes back as it was given; what was not given is not there."""
        assert store.add(PENDING)
        assert store.add(EVERY_FIELD)
        assert store.get("TA_1") == PENDING
        assert store.get("TA_2") == EVERY_FIELD
        assert store.get("TA_3") is None

    def test_an_id_is_taken_once(self, store: TaskStore) -> None:
        """The second task of an id is refused and the first stays."""
        assert store.add(PENDING)
        assert not store.add(PENDING)
        assert not store.add(replace(EVERY_FIELD, task_id="TA_1"))
        assert store.get("TA_1") == PENDING

    def test_a_change_needs_the_task_as_it_was_seen(self, store: TaskStore) -> None:
        """Whoever saw another state, attempt or epoch than the stored one changes nothing."""
        store.add(RUNNING)
        staged = replace(RUNNING, state=TaskState.STAGED, progress=100)
        assert not store.replace(PENDING, staged)
        assert not store.replace(replace(RUNNING, attempt=2), staged)
        assert not store.replace(replace(RUNNING, epoch=1), staged)
        assert not store.replace(replace(RUNNING, task_id="TA_9"), staged)
        assert store.get("TA_1") == RUNNING
        assert store.replace(replace(RUNNING, progress=70), staged)
        assert store.get("TA_1") == staged

    def test_an_epoch_is_part_of_what_was_seen(self, store: TaskStore) -> None:
        """Whoever saw the task before a higher epoch came changes nothing."""
        store.add(replace(RUNNING, epoch=1))
        assert store.replace(replace(RUNNING, epoch=1), replace(RUNNING, epoch=2))
        for before in (RUNNING, replace(RUNNING, epoch=1)):
            assert not store.replace(before, replace(RUNNING, state=TaskState.STAGED))
        assert store.get("TA_1") == replace(RUNNING, epoch=2)

    def test_one_of_many_changes_it(self, store: TaskStore) -> None:
        """Of many that saw the same task and change it at once, one does."""
        store.add(PENDING)
        with ThreadPoolExecutor(8) as threads:
            changed = list(threads.map(lambda _: store.replace(PENDING, RUNNING), range(40)))
        assert changed.count(True) == 1

    def test_one_of_many_adds_it(self, store: TaskStore) -> None:
        """Of many that add the same id at once, one does."""
        with ThreadPoolExecutor(8) as threads:
            added = list(threads.map(lambda n: store.add(replace(PENDING, release_id=f"RE_{n}")), range(40)))
        kept = store.get("TA_1")
        assert added.count(True) == 1
        assert kept is not None
        assert kept.release_id == f"RE_{added.index(True)}"

    def test_what_is_due(self, store: TaskStore) -> None:
        """Due is what is at work, and what is over but not cleaned up."""
        for state in TaskState:
            store.add(StoredTask(f"TA_{state}", "RE_1", state))
        store.add(EVERY_FIELD)
        store.add(StoredTask("TA_3", "RE_1", TaskState.CANCELED, cleanup_due=True))
        due = {task.task_id: task for task in store.due()}
        assert sorted(due) == ["TA_2", "TA_3", "TA_publishing", "TA_running"]
        assert all(task.is_due for task in due.values())

    def test_opening_and_closing_twice(self, store: TaskStore) -> None:
        """A second open or close changes nothing, and after a close the store can be opened again."""
        store.add(PENDING)
        store.open()
        assert store.get("TA_1") == PENDING
        store.close()
        store.close()
        store.open()
        assert store.get("TA_1") == PENDING


class TestMemoryStore(StoreContract):
    """Tasks in memory."""

    def make(self, folder: Path) -> TaskStore:
        return MemoryStore()


class TestSqliteStore(StoreContract):
    """Tasks in a file, and what only a file can do."""

    def make(self, folder: Path) -> TaskStore:
        return SqliteStore(folder / "made" / "on the way" / "tasks.db")

    def test_settings(self, tmp_path: Path) -> None:
        """What was committed is on the disk: a write-ahead log, synchronized in full."""
        store = SqliteStore(tmp_path / "tasks.db")
        store.open()
        with store._opened() as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        store.close()

    def test_tasks_outlive_a_kill(self, tmp_path: Path) -> None:
        """What a killed process had added is there for the next one, and the file is free."""
        script = (
            "import os, sys; from lockstep.taskkit import SqliteStore, StoredTask\n"
            "store = SqliteStore(sys.argv[1]); store.open(); store.add(StoredTask('TA_1', 'RE_1'))\n"
            "os.kill(os.getpid(), 9)"
        )
        killed = subprocess.run([sys.executable, "-c", script, str(tmp_path / "tasks.db")], check=False)
        assert killed.returncode == -9
        store = SqliteStore(tmp_path / "tasks.db")
        store.open()
        assert store.get("TA_1") == StoredTask("TA_1", "RE_1")
        store.close()

    def test_one_process_works_from_a_file(self, tmp_path: Path) -> None:
        """The second to open a file is told that it belongs to somebody; reading it by other means is free."""
        first, second = SqliteStore(tmp_path / "tasks.db"), SqliteStore(tmp_path / "tasks.db", busy_timeout_s=0.1)
        first.open()
        first.add(PENDING)
        with pytest.raises(StoreUnavailable, match=r"another process is working on the tasks in .*tasks.db; stop it"):
            second.open()
        with sqlite3.connect(tmp_path / "tasks.db") as reader:
            assert reader.execute("SELECT state FROM lockstep_task").fetchall() == [("pending",)]
        reader.close()
        first.close()
        second.open()
        assert second.get("TA_1") == PENDING
        second.close()

    def test_a_file_that_cannot_be_used(self, tmp_path: Path) -> None:
        """A file that is no database, a folder, a closed store: one sentence each, and one kind of error."""
        (tmp_path / "text.db").write_text("this is not a database, but it is long enough to be looked at " * 20)
        for path in (tmp_path / "text.db", tmp_path, tmp_path / "text.db" / "below.db"):
            store = SqliteStore(path)
            for _ in range(2):
                with pytest.raises(StoreUnavailable, match=r"the tasks in .* cannot be used: "):
                    store.open()
        with pytest.raises(StoreUnavailable, match="are not open"):
            SqliteStore(tmp_path / "tasks.db").get("TA_1")

    def test_a_file_of_an_earlier_version(self, tmp_path: Path) -> None:
        """Its tasks are there as they were, and the earlier version can work from the file again."""
        columns = "task_id, release_id, state, progress, studies, urls, attempt, cleanup_due, error"
        earlier = sqlite3.connect(tmp_path / "tasks.db")
        with earlier:
            kinds = [f"{name} {'INTEGER' if name in NUMBERS else 'TEXT'}" for name in columns.split(", ")]
            earlier.execute(f"CREATE TABLE lockstep_task ({', '.join(kinds)}, PRIMARY KEY (task_id))")
            add = f"INSERT INTO lockstep_task ({columns}) VALUES (?, 'RE_1', 'running', 0, '[]', '[]', 1, 0, NULL)"  # noqa: S608
            earlier.execute(add, ("TA_1",))
        store = SqliteStore(tmp_path / "tasks.db")
        store.open()
        running = StoredTask("TA_1", "RE_1", TaskState.RUNNING, attempt=1)
        assert store.get("TA_1") == running
        assert store.replace(running, replace(running, epoch=3))
        store.close()
        with earlier:
            earlier.execute(add, ("TA_2",))
        earlier.close()
        store.open()
        assert [store.get(task) for task in ("TA_1", "TA_2")] == [
            replace(running, epoch=3), replace(running, task_id="TA_2")
        ]  # fmt: skip
        store.close()

    def test_a_locked_file(self, tmp_path: Path) -> None:
        """While somebody else writes for long, a change is refused with the reason and can be made later."""
        store = SqliteStore(tmp_path / "tasks.db", busy_timeout_s=0.1)
        store.open()
        writer = sqlite3.connect(tmp_path / "tasks.db", isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="database is locked"):
            store.add(PENDING)
        writer.execute("ROLLBACK")
        writer.close()
        assert store.add(PENDING)
        store.close()
