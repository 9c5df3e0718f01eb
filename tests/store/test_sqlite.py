"""What is particular to SQLite: locks, full disks, wrong files, and what the statements cost."""

import asyncio
import os
import random
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import IntegrityError

from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.core.model import Change, EventDraft, EventType, Snapshot
from lockstep.coordinator.core.records import (
    EventFilter,
    NewRelease,
    Page,
    PageOf,
    ReleaseFilter,
    ReleaseNote,
    ServiceFilter,
    TaskFilter,
)
from lockstep.coordinator.store.opening import open_store
from lockstep.coordinator.store.sql import SqlStore
from lockstep.coordinator.store.sqlite import SqliteDatabase
from lockstep.protocol.states import ReleaseState, TaskState
from tests.store.test_store_contract import (
    NOW,
    SECOND,
    STUDIES,
    anything,
    edit,
    know,
    made,
    seeded,
    seen,
    serve,
    stage,
    tell,
)

ROOT = 0
NOBODY = 65534


def url(path: Path) -> str:
    return f"sqlite:///{path}"


@contextmanager
def shell(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file as another program does."""
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        yield connection


def rows(path: Path, sql: str) -> list[Any]:
    with shell(path) as connection:
        return connection.execute(sql).fetchall()


@contextmanager
def without_power(folder: Path) -> Iterator[None]:
    """Be a user who does not own the folder, if the tests run as root, to whom everything is allowed."""
    if os.geteuid() != ROOT:
        yield
        return
    for above in (folder, *folder.parents):
        if above.owner() == "root" and above != above.parent and str(above).startswith("/tmp/"):  # noqa: S108
            above.chmod(above.stat().st_mode | stat.S_IXOTH | stat.S_IROTH)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(ROOT)


# What is kept


def test_everything_is_there_when_the_store_is_opened_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_store(url(tmp_path / "a.db")) as store:
            await know(store, *STUDIES)
            await serve(store, "one", "two")
            view = await made(store, *STUDIES)
            await tell(store, view.release.kf_id, EventDraft(EventType.INFO, "happened"))
            study = await store.study(STUDIES[0])
        async with open_store(url(tmp_path / "a.db")) as store:
            assert await store.releases(PageOf()) == Page((view,), 1)
            assert (await store.tasks(PageOf(), TaskFilter())).count == 2
            assert [event.message for event in (await store.events(PageOf(), EventFilter())).rows] == ["happened"]
            assert await store.study(STUDIES[0]) == study
            assert str((await made(store)).release.version) == "0.0.1"

    asyncio.run(main())


def test_the_file_is_set_up_to_survive_a_loss_of_power(tmp_path: Path) -> None:
    """Every connection that writes has the settings on which durability stands."""

    async def main() -> None:
        async with open_store(url(tmp_path / "a.db")) as store:

            def settings(connection: Any) -> list[Any]:
                names = ("journal_mode", "synchronous", "foreign_keys")
                return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

            full = 2
            assert await store._database.write(settings) == ["wal", full, 1]

    asyncio.run(main())


def test_every_row_has_a_uuid(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_store(url(tmp_path / "a.db")) as store:
            await serve(store, "one")
            view = await made(store)
            await tell(store, view.release.kf_id, EventDraft(EventType.INFO, "e"))

    asyncio.run(main())
    uuids = rows(
        tmp_path / "a.db",
        "SELECT uuid FROM release UNION SELECT uuid FROM task UNION SELECT uuid FROM task_service "
        "UNION SELECT uuid FROM event",
    )
    assert len(uuids) == 4
    assert all(len(uuid) == 32 and uuid[12] == "4" for (uuid,) in uuids)


def test_a_time_comes_back_in_utc_and_one_without_a_zone_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_store(url(tmp_path / "a.db")) as store:
            elsewhere = NOW.astimezone(timezone(timedelta(hours=-5, minutes=-30)))
            view = await made(store, at=elsewhere)
            created_at = (await store.release(view.release.kf_id)).release.created_at
            assert (created_at, created_at.utcoffset()) == (NOW, timedelta(0))
            with pytest.raises(Exception, match="has no time zone"):
                await made(store, at=NOW.replace(tzinfo=None))
            assert (await store.releases(PageOf())).count == 1

    asyncio.run(main())


def test_notes_are_shown_with_their_release(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_store(url(tmp_path / "a.db")) as store:
            await know(store, *STUDIES)
            views = [await made(store, STUDIES[0]) for _ in range(2)]
            release_id = views[0].release.kf_id
            at = int(NOW.timestamp() * 10**6)
            with shell(tmp_path / "a.db") as connection:
                for n, study_id in enumerate((None, STUDIES[0])):
                    note = (f"RN_0000000{n}", "0" * 32, f"note {n}", "ann", at, release_id, study_id)
                    sql = (
                        "INSERT INTO release_note (kf_id, uuid, description, author, created_at, release_id, study_id)"
                    )
                    connection.execute(f"{sql} VALUES (?, ?, ?, ?, ?, ?, ?)", note)
            expected = tuple(
                ReleaseNote(f"RN_0000000{n}", f"note {n}", "ann", NOW, release_id, study_id)
                for n, study_id in ((1, STUDIES[0]), (0, None))
            )
            assert (await store.release(release_id)).notes == expected
            listed = await store.releases(PageOf())
            assert [view.notes for view in listed.rows] == [(), expected]

    asyncio.run(main())


@pytest.mark.parametrize(
    "broken",
    [
        {"state": ReleaseState.PUBLISHED, "publish_order": 1},
        {"published_at": NOW},
        {"state": ReleaseState.PUBLISHING},
        {"state": ReleaseState.CANCELING},
        {"ending": ReleaseState.RUNNING},
        {"waits_for": "RE_NOWHERE1"},
    ],
)
def test_the_database_itself_refuses_a_release_that_cannot_be(tmp_path: Path, broken: dict[str, Any]) -> None:
    async def main() -> None:
        async with open_store(url(tmp_path / "a.db")) as store:
            view = await made(store)
            with pytest.raises(IntegrityError):
                await edit(store, view.release.kf_id, **broken)
            assert await store.release(view.release.kf_id) == view

    asyncio.run(main())


def test_the_database_itself_refuses_a_progress_that_cannot_be(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_store(url(tmp_path / "a.db")) as store:
            await serve(store, "one")
            view = await made(store)
            for progress in (-1, 101):
                task = view.tasks[0]._replace(progress=progress)

                def decide(now: Snapshot, task: Any = task) -> tuple[Change, None]:
                    return Change(replace(now.release, name="half"), NOW, (task,)), None

                with pytest.raises(IntegrityError):
                    await store.change(view.release.kf_id, decide)
            assert await store.release(view.release.kf_id) == view

    asyncio.run(main())


def test_counts_in_the_file_are_those_of_its_rows(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_store(url(tmp_path / "a.db"), random_bits=seeded()) as store:
            await know(store, *STUDIES)
            await anything(store, random.Random(5), 60)

    asyncio.run(main())
    tallies = {name: n for name, n in rows(tmp_path / "a.db", "SELECT name, n FROM tally") if n}
    counted = dict(
        rows(
            tmp_path / "a.db",
            "SELECT 'releases:' || state, count(*) FROM release GROUP BY 1 "
            "UNION SELECT 'events:' || event_type, count(*) FROM event GROUP BY 1 "
            "UNION SELECT 'tasks:' || state, count(*) FROM task GROUP BY 1",
        )
    )
    assert tallies == counted
    assert len(counted) > 3


# At the same time


def test_reading_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    """While a change is being decided, a reader sees what was committed before it."""

    async def main() -> None:
        async with open_store(url(tmp_path / "a.db")) as store:
            view = await made(store)
            deciding, go_on = threading.Event(), threading.Event()

            def decide(now: Snapshot) -> tuple[Change, None]:
                deciding.set()
                assert go_on.wait(30)
                return Change(replace(now.release, name="after"), NOW), None

            change = asyncio.create_task(store.change(view.release.kf_id, decide))
            assert await asyncio.to_thread(deciding.wait, 30)
            reads = [store.release(view.release.kf_id) for _ in range(20)]
            assert {seen.release.name for seen in await asyncio.gather(*reads)} == {"spring"}
            go_on.set()
            await change
            assert (await store.release(view.release.kf_id)).release.name == "after"

    asyncio.run(main())


def test_a_caller_that_gives_up_does_not_disturb_the_store(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_store(url(tmp_path / "a.db")) as store:
            view = await made(store)
            writes = [asyncio.create_task(edit(store, view.release.kf_id, name=f"{n}")) for n in range(20)]
            await asyncio.sleep(0)
            for write in writes[::2]:
                write.cancel()
            outcomes = await asyncio.gather(*writes, return_exceptions=True)
            assert [outcome for outcome in outcomes[1::2] if outcome is not None] == []
            assert (await store.release(view.release.kf_id)).release.name == "19"

    asyncio.run(main())


def test_a_lock_of_another_process_is_waited_for(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_store(url(tmp_path / "a.db"), busy_timeout_s=30) as store:
            view = await made(store)
            with shell(tmp_path / "a.db") as other:
                other.execute("BEGIN IMMEDIATE")
                write = asyncio.create_task(edit(store, view.release.kf_id, name="late"))
                assert (await store.release(view.release.kf_id)).release.name == "spring"
                assert not write.done()
                other.execute("ROLLBACK")
            await write
            assert (await store.release(view.release.kf_id)).release.name == "late"

    asyncio.run(main())


def test_a_lock_that_stays_is_named_and_reading_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "a.db"
        async with open_store(url(path), busy_timeout_s=0.05) as store:
            view = await made(store)
            with shell(path) as other:
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(Unavailable, match=f"database {path} is locked by another process; end that"):
                    await edit(store, view.release.kf_id, name="never")
                assert await store.release(view.release.kf_id) == view
                with pytest.raises(Unavailable, match="is locked by another process"):
                    async with open_store(url(path), busy_timeout_s=0.05):
                        pass
            await edit(store, view.release.kf_id, name="later")
            assert (await store.release(view.release.kf_id)).release.name == "later"

    asyncio.run(main())


# A database that cannot be used


def writer_of(store: SqlStore) -> Engine:
    assert isinstance(store._database, SqliteDatabase)
    return store._database._writer


def test_a_full_disk_is_named_nothing_is_half_written_and_the_store_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "a.db"
        async with open_store(url(path)) as store:
            await serve(store, *"abc")
            view = await made(store)
            task = view.tasks[0]._replace(progress=1)
            events = tuple(EventDraft(EventType.INFO, "long " * 400) for _ in range(50))

            def decide(now: Snapshot) -> tuple[Change, None]:
                return Change(replace(now.release, name="big"), NOW, (task,), events), None

            with disk_of(pages=1):
                writer_of(store).dispose()
                with pytest.raises(Unavailable, match=f"database {path} cannot grow, since the disk is full; free"):
                    await store.change(view.release.kf_id, decide)
                assert await store.release(view.release.kf_id) == view
                assert (await store.events(PageOf(), EventFilter())).count == 0

            await store.change(view.release.kf_id, decide)
            assert (await store.events(PageOf(), EventFilter())).count == 50

    asyncio.run(main())


def test_a_schema_that_does_not_fit_the_disk_leaves_an_empty_file(tmp_path: Path) -> None:
    """The migrations are one transaction: a start that fails half-way can simply be tried again."""

    async def main() -> None:
        path = tmp_path / "a.db"
        with disk_of(pages=20), pytest.raises(Unavailable, match="the disk is full"):
            async with open_store(url(path)):
                pass
        assert rows(path, "SELECT name FROM sqlite_master") == []
        async with open_store(url(path)) as store:
            await store.check()

    asyncio.run(main())


@contextmanager
def disk_of(pages: int) -> Iterator[None]:
    """Let every file that is opened now hold no more than so many pages, or what it has."""

    def limit(connection: Any, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages}")

    event.listen(Engine, "connect", limit)
    try:
        yield
    finally:
        event.remove(Engine, "connect", limit)


@pytest.mark.parametrize("folder_mode", [0o555, 0o777])
def test_a_file_that_may_not_be_written_is_named(tmp_path: Path, folder_mode: int) -> None:
    path = tmp_path / "a.db"

    async def main() -> Any:
        async with open_store(url(path)) as store:
            return await made(store)

    asyncio.run(main())
    path.chmod(0o444)
    tmp_path.chmod(folder_mode)
    with without_power(tmp_path):
        refused(url(path), f"The database {path} (may not be written|cannot be opened)")
    tmp_path.chmod(0o755)
    path.chmod(0o644)
    assert str(asyncio.run(main()).release.version) == "0.0.1"


def refused(database_url: str, match: str) -> None:
    async def main() -> None:
        with pytest.raises(Unavailable, match=match):
            async with open_store(database_url):
                pass

    asyncio.run(main())


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "a.db"
    refused(url(path), f"The database {path} cannot be opened; its folder must exist")
    assert not path.parent.exists()


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    refused(url(tmp_path), f"The database {tmp_path} cannot be opened")


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear all,\n" * 1000)
    refused(url(path), f"The database {path} is no SQLite database; name another file")
    assert path.read_text() == "Dear all,\n" * 1000


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with shell(path) as connection:
        connection.execute("CREATE TABLE recipe (name TEXT)")
    refused(url(path), f"The database {path} holds tables of something else \\(recipe\\); name another one")
    assert rows(path, "SELECT name FROM sqlite_master") == [("recipe",)]


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    async def main() -> None:
        async with open_store(url(path)) as store:
            await made(store)

    asyncio.run(main())
    with shell(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    refused(url(path), f"The database {path} has schema 9999, which this version of Lockstep does not know")
    assert rows(path, "SELECT count(*) FROM release") == [(1,)]


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    async def main() -> None:
        async with open_store(url(path)) as store:
            await made(store)

    asyncio.run(main())
    content = bytearray(path.read_bytes())
    content[4096:] = b"\x7f" * (len(content) - 4096)
    path.write_bytes(content)
    refused(url(path), f"The database {path} is damaged; put a backup in its place")


@pytest.mark.parametrize("database_url", ["", "nonsense", "sqlite://", "sqlite:///:memory:", "mysql://u:secret@h/d"])
def test_what_names_no_database_is_refused(database_url: str) -> None:
    refused(
        database_url,
        "^The database URL names neither a SQLite file nor a Postgres database; "
        "sqlite:///lockstep.db and postgresql://user:password@host/lockstep would.$",
    )


# What the statements cost


@contextmanager
def listened(store: SqlStore, engine_name: str = "_reader") -> Iterator[list[tuple[str, Any]]]:
    """Collect what the store's readers, or its writer, execute."""
    heard: list[tuple[str, Any]] = []

    def hear(_connection: Any, _cursor: Any, sql: str, values: Any, _context: Any, _many: bool) -> None:
        if sql.startswith("SELECT"):
            heard.append((sql, values))

    engine = getattr(store._database, engine_name)
    event.listen(engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        event.remove(engine, "before_cursor_execute", hear)


LISTS: dict[str, Any] = {
    "releases": lambda store, _: store.releases(PageOf()),
    "releases in a state": lambda store, _: store.releases(PageOf(), ReleaseFilter([ReleaseState.WAITING])),
    "releases in some states": lambda store, _: store.releases(
        PageOf(), ReleaseFilter([ReleaseState.WAITING, ReleaseState.STAGED])
    ),
    "releases of a study": lambda store, _: store.releases(PageOf(), ReleaseFilter(study_id=STUDIES[0])),
    "releases of a study in a state": lambda store, _: store.releases(
        PageOf(), ReleaseFilter([ReleaseState.WAITING], STUDIES[0])
    ),
    "release": lambda store, view: store.release(view.release.kf_id),
    "tasks": lambda store, _: store.tasks(PageOf(), TaskFilter()),
    "tasks of a release": lambda store, view: store.tasks(PageOf(), TaskFilter(view.release.kf_id)),
    "tasks of a service": lambda store, view: store.tasks(PageOf(), TaskFilter(None, view.tasks[0].service_id)),
    "tasks in a state": lambda store, _: store.tasks(PageOf(), TaskFilter(state=TaskState.WAITING)),
    "task": lambda store, view: store.task(view.tasks[0].kf_id),
    "events": lambda store, _: store.events(PageOf(), EventFilter()),
    "events of a release": lambda store, view: store.events(PageOf(), EventFilter(view.release.kf_id)),
    "events of a service": lambda store, view: store.events(PageOf(), EventFilter(None, view.tasks[0].service_id)),
    "events of a task": lambda store, view: store.events(PageOf(), EventFilter(task_id=view.tasks[0].kf_id)),
    "events of a type": lambda store, _: store.events(PageOf(), EventFilter(event_type=EventType.INFO)),
    "events after": lambda store, view: store.events_after(view.release.kf_id, 0, 10),
    "services": lambda store, _: store.services(PageOf()),
    "enabled services": lambda store, _: store.services(PageOf(), ServiceFilter(enabled=True)),
    "study": lambda store, _: store.study(STUDIES[0]),
    "studies": lambda store, _: store.studies(PageOf()),
    "due": lambda store, _: store.due(NOW, 10),
    "next look": lambda store, _: store.next_look(),
}


SHORT = ("tally", "task_service", "study", "anon_", "some")
"""Tables that do not grow with history, and the parts that a page is put together from."""


@pytest.mark.parametrize("what", LISTS)
def test_no_list_reads_or_sorts_the_whole_history(tmp_path: Path, what: str) -> None:
    """SQLite's own plan of every statement of every list."""

    async def main() -> None:
        async with open_store(url(tmp_path / "a.db")) as store:
            await know(store, *STUDIES)
            await serve(store, "one", "two")
            view = await made(store, STUDIES[0])
            with listened(store) as heard:
                await LISTS[what](store, view)
        assert heard
        with shell(tmp_path / "a.db") as connection:
            for sql, values in heard:
                plan = [line for *_, line in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
                assert [line for line in plan if costs_history(line, sql)] == [], sql

    asyncio.run(main())


def test_no_decision_reads_the_whole_history(tmp_path: Path) -> None:
    """What is read for a decision about a staged release, among others that were asked to publish."""

    async def main() -> None:
        async with open_store(url(tmp_path / "a.db")) as store:
            await know(store, *STUDIES)
            await serve(store, "one", "two")
            earlier, view = await made(store, STUDIES[0]), await made(store, STUDIES[0])
            await edit(store, earlier.release.kf_id, publish_order=1, state=ReleaseState.STAGED)
            await stage(store, view.release.kf_id)
            with listened(store, "_writer") as heard:
                assert [ahead.order for ahead in (await seen(store, view.release.kf_id)).ahead] == [1]
        with shell(tmp_path / "a.db") as connection:
            for sql, values in heard:
                plan = [line for *_, line in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
                assert [line for line in plan if costs_history(line, sql)] == [], sql
            (asked,) = [sql for sql, _ in heard if "publish_order IS NOT NULL" in sql]
            assert "ix_release_asked" in str(connection.execute(f"EXPLAIN QUERY PLAN {asked}", (1,)).fetchall())

    asyncio.run(main())


def costs_history(line: str, sql: str) -> bool:
    """Tell whether a line of a plan takes longer, the more there is.

    A table may be walked from its end until a page is full, and what was chosen for a page may be sorted.
    """
    if line.startswith("SCAN "):
        table = line.split()[1]
        return not (table.startswith(SHORT) or (f"ORDER BY {table}.position DESC" in sql and "LIMIT" in sql))
    chosen = " IN (" in sql or "UNION ALL" in sql
    return "TEMP B-TREE" in line and not chosen


@pytest.mark.parametrize("what", LISTS)
def test_a_page_takes_the_same_statements_however_much_is_on_it(tmp_path: Path, what: str) -> None:
    async def main() -> None:
        async with open_store(url(tmp_path / "a.db")) as store:
            await know(store, *STUDIES)
            await serve(store, "one", "two")
            view = await made(store, STUDIES[0])
            with listened(store) as few:
                await LISTS[what](store, view)
            for _ in range(8):
                other = await made(store, STUDIES[0])
                await tell(store, other.release.kf_id, EventDraft(EventType.INFO, "e"), at=NOW + SECOND)
            with listened(store) as many:
                await LISTS[what](store, view)
        assert len(few) == len(many) <= 4

    asyncio.run(main())


def test_a_change_of_many_tasks_is_one_statement(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_store(url(tmp_path / "a.db")) as store:
            await serve(store, *(f"s{n}" for n in range(30)))
            view = await store.create_release(NewRelease("r", ()), NOW)
            written: list[str] = []

            def hear(_connection: Any, _cursor: Any, sql: str, _values: Any, _context: Any, _many: bool) -> None:
                written.append(sql.split(maxsplit=1)[0])

            event.listen(writer_of(store), "before_cursor_execute", hear)

            def decide(now: Snapshot) -> tuple[Change, None]:
                tasks = tuple(task._replace(progress=n) for n, task in enumerate(now.tasks.values()))
                events = tuple(EventDraft(EventType.INFO, "e", task.kf_id, task.service_id) for task in tasks)
                return Change(now.release, datetime.now(UTC), tasks, events), None

            await store.change(view.release.kf_id, decide)
            assert written == ["BEGIN", "SELECT", "SELECT", "UPDATE", "INSERT", "UPDATE"]

    asyncio.run(main())
