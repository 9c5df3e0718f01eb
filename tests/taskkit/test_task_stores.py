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
from lockstep.taskkit import MemoryStore, SqliteStore, StoredTask, StoreUnavailable, TaskStore, store_at
from lockstep.taskkit.dynamodb_store import DynamoDbStore
from lockstep.taskkit.postgres_store import PostgresStore
from lockstep.taskkit.task_document import from_document, to_document

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
    holder="somebody",
    beat=12,
)

NUMBERS = {"progress", "attempt", "cleanup_due"}


class StoreContract:
    """What holds for every store."""

    @pytest.fixture
    def store(self, unopened: TaskStore) -> Iterator[TaskStore]:
        unopened.open()
        yield unopened
        unopened.close()

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

    def test_what_waits_for_a_decision(self, store: TaskStore) -> None:
        """Staged tasks, also those that were at work before, and none that have moved on."""
        for state in TaskState:
            store.add(StoredTask(f"TA_{state}", "RE_1", state))
        store.add(RUNNING)
        store.replace(RUNNING, staged := replace(RUNNING, state=TaskState.STAGED))
        assert {task.task_id: task for task in store.staged()}.keys() == {"TA_1", "TA_staged"}
        store.replace(staged, replace(staged, state=TaskState.PUBLISHING))
        assert [task.task_id for task in store.staged()] == ["TA_staged"]

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

    @pytest.fixture
    def unopened(self) -> TaskStore:
        return MemoryStore()


class TestSharedStores(StoreContract):
    """Tasks in Postgres and DynamoDB, and what only a store that processes share can do."""

    @pytest.fixture
    def unopened(self, shared_address: str) -> TaskStore:
        return store_at(shared_address)

    def test_two_processes_see_the_same(self, store: TaskStore, shared_address: str) -> None:
        """Another that opens the same address finds what is there, and one of two changes it."""
        other = store_at(shared_address)
        other.open()
        assert store.add(PENDING)
        assert not other.add(PENDING)
        assert other.replace(PENDING, RUNNING)
        assert not store.replace(PENDING, RUNNING)
        assert store.get("TA_1") == RUNNING
        other.close()
        assert store.get("TA_1") == RUNNING

    def test_opened_by_many_at_once(self, unopened: TaskStore, shared_address: str) -> None:
        """The table is made once, whoever comes first."""
        stores = [unopened, *(store_at(shared_address) for _ in range(3))]
        with ThreadPoolExecutor(len(stores)) as threads:
            list(threads.map(lambda store: store.open(), stores))
        assert [store.add(PENDING) for store in stores] == [True, False, False, False]
        for store in stores:
            store.close()

    def test_tasks_of_a_later_version_can_be_read(self, store: TaskStore) -> None:
        """What is not known is passed over, and what is missing has its default."""
        text = to_document(PENDING)
        assert from_document(text.replace("{", '{"later": 1, ', 1)) == PENDING
        assert from_document('{"task_id": "TA_1", "release_id": "RE_1", "state": "failed"}').urls == ()

    def test_a_closed_store(self, unopened: TaskStore) -> None:
        with pytest.raises(StoreUnavailable, match="are not open"):
            unopened.get("TA_1")


OUT_OF_REACH = [
    ("postgresql://nobody@127.0.0.1:1/none", "the tasks in Postgres cannot be used: "),
    ("dynamodb://none?region=us-east-1&endpoint=http://127.0.0.1:1", "the tasks in DynamoDB cannot be used: "),
]


@pytest.mark.parametrize(("address", "sentence"), OUT_OF_REACH, ids=["postgres", "dynamodb"])
def test_a_store_that_is_out_of_reach(address: str, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence, within the time that a coordinator waits."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "played")
    store = store_at(address)
    with pytest.raises(StoreUnavailable, match=sentence):
        store.open()
    store.close()


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        (
            "mysql://here/tasks",
            r"tasks cannot be kept at mysql://…; a path or sqlite://…, postgresql://…, dynamodb://…",
        ),
        ("sqlite://tasks.db", "names no file; sqlite:///tasks.db"),
        ("postgresql://here/tasks?lease_s=soon", "lease_s is 'soon'; a number of seconds from 1 up"),
        ("postgresql://here/tasks?lease_s=0.1", "lease_s is '0.1'"),
        ("postgresql://here/tasks?table=a'b", "is not the name of a table"),
        ("dynamodb://table?zone=1", "does not know zone; region, endpoint, lease_s would be right"),
    ],
)
def test_an_address_that_names_no_store(address: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        store_at(address)


def test_what_a_table_is_called_unless_it_is_said() -> None:
    """After the service, so that two services in one database keep apart; a path names a file as it always did."""
    postgres = store_at("postgresql://here/tasks?sslmode=require", service="Search index 2")
    dynamodb = store_at("dynamodb://?region=us-east-1", service="Search index 2")
    assert isinstance(postgres, PostgresStore)
    assert isinstance(dynamodb, DynamoDbStore)
    assert (postgres.table, dynamodb.table) == ("search_index_2_tasks", "search_index_2_tasks")
    assert (postgres._url, postgres.lease_s) == ("postgresql://here/tasks?sslmode=require", 15)
    for address, path in (("kept/tasks.db", "kept/tasks.db"), ("sqlite:////var/my%20tasks.db", "/var/my tasks.db")):
        store = store_at(address)
        assert isinstance(store, SqliteStore)
        assert store.path == Path(path)


class TestSqliteStore(StoreContract):
    """Tasks in a file, and what only a file can do."""

    @pytest.fixture
    def unopened(self, tmp_path: Path) -> TaskStore:
        return SqliteStore(tmp_path / "made" / "on the way" / "tasks.db")

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
