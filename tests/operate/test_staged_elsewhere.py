"""A release is staged on one database and published on another: one restored from a backup, or one that was migrated.

The coordinator and the task service are real, and what is done to the databases is what docs/operate.md says.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from itertools import pairwise
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, MetaData, Table, delete, func, insert, inspect, select, text

from lockstep.cli.client import Api, Json
from lockstep.cli.display import NoDisplay
from lockstep.cli.options import Until
from lockstep.cli.watching import watch
from lockstep.coordinator.bootstrap import running
from lockstep.coordinator.settings import read_settings
from lockstep.coordinator.store.database import Database, postgres_url
from lockstep.coordinator.store.migrating import schema_of, sqlite_file
from lockstep.coordinator.store.postgres import PostgresDatabase
from lockstep.coordinator.store.sqlite import SqliteDatabase
from lockstep.coordinator.store.tables import SCHEMA
from lockstep.dataservice.sample import make_app as make_data_service
from lockstep.stack.engines import Postgres
from tests.cli.stage import STUDY, Held, lockstep
from tests.conftest import Serve
from tests.patience import PATIENCE_S

FIRST_SCHEMA = "0001"
Move = Callable[[], str]
"""What brings a database somewhere else; returns the address of that."""


@asynccontextmanager
async def coordinator(database_url: str, data_url: str) -> AsyncIterator[Api]:
    settings = read_settings(
        _env_file=None,
        host="127.0.0.1",
        port=0,
        database_url=database_url,
        dataservice_url=data_url,
        poll_interval=0.05,
        retry_pause=0.05,
        lease=1,
    )
    async with running(settings) as found, Api(found.url) as api:
        yield api


async def staged(api: Api, service_url: str) -> str:
    """Have a release staged, and return its id."""
    await api.post("task-services", {"name": "held service", "url": service_url})
    await api.post("studies/sync", mark="new")
    body = {"name": "Staged elsewhere", "studies": [STUDY], "tags": ["moved"]}
    release_id: str = (await api.post("releases", body))["kf_id"]
    await watch(api, release_id, Until.REVIEW, NoDisplay(), timeout_s=PATIENCE_S)
    return release_id


async def published(api: Api, release_id: str) -> Json:
    await api.post(f"releases/{release_id}/publish")
    return await watch(api, release_id, Until.PUBLISHED, NoDisplay(), timeout_s=PATIENCE_S)


async def messages_of(api: Api, release_id: str) -> list[str]:
    """Return what happened to a release, oldest first."""
    events = await api.rows("events", most=None, release=release_id)
    return [event["message"] for event in reversed(events["results"])]


async def published_after(serve: Serve, database_url: str, move: Move, *, alive: bool) -> tuple[Json, list[str]]:
    """Stage a release, move the database, publish there; return the release and what happened to it, oldest first.

    Args:
        serve: puts an application behind a server.
        database_url: where the release is staged.
        move: what is done to the database.
        alive: the coordinator goes on meanwhile.
    """
    held = Held()
    held.let_go.set()
    async with serve(make_data_service()) as data_url, serve(held.service) as service_url:
        async with coordinator(database_url, data_url) as api:
            release_id = await staged(api, service_url)
            moved = await asyncio.to_thread(move) if alive else ""
        moved = moved or await asyncio.to_thread(move)
        async with coordinator(moved, data_url) as api:
            found = await api.get(f"releases/{release_id}")
            assert (found["state"], found["tags"]) == ("staged", ["moved"])
            release = await published(api, release_id)
            messages = await messages_of(api, release_id)
            await staged(api, service_url)
    return release, messages


def check_whole_life(release: Json, messages: list[str]) -> None:
    """Check that a release went all the way, once, and that its history is in one piece."""
    assert (release["state"], release["version"]) == ("published", "0.1.0")
    moves = [message.split(" changed from ")[1] for message in messages if message.startswith("release ")]
    states = ["waiting", "initializing", "running", "staged", "publishing", "published"]
    assert moves == [f"{before} to {after}" for before, after in pairwise(states)]


def backed_up(folder: Path) -> str:
    """Do what `sqlite3 lockstep.db '.backup copy.db'` does."""
    with (
        closing(sqlite3.connect(folder / "lockstep.db")) as source,
        closing(sqlite3.connect(folder / "copy.db")) as copy,
    ):
        source.backup(copy)
    return f"sqlite:///{folder / 'copy.db'}"


def test_a_sqlite_file_is_backed_up_at_work_and_restored(tmp_path: Path, serve: Serve) -> None:
    database_url = f"sqlite:///{tmp_path / 'lockstep.db'}"
    check_whole_life(*asyncio.run(published_after(serve, database_url, lambda: backed_up(tmp_path), alive=True)))


def test_what_was_published_after_the_backup_is_published_again_after_the_restore(tmp_path: Path, serve: Serve) -> None:
    """A service of the task kit has heard of a later coordinator, and has published already; it says so."""

    async def go() -> tuple[Json, Json, list[str]]:
        held = Held()
        held.let_go.set()
        async with serve(make_data_service()) as data_url, serve(held.service) as service_url:
            async with coordinator(f"sqlite:///{tmp_path / 'lockstep.db'}", data_url) as api:
                release_id = await staged(api, service_url)
                copy = backed_up(tmp_path)
                before = await published(api, release_id)
            async with coordinator(copy, data_url) as api:
                after = await published(api, release_id)
                return before, after, await messages_of(api, release_id)

    before, after, messages = asyncio.run(go())
    assert (before["state"], before["version"]) == ("published", "0.1.0")
    check_whole_life(after, messages)


def test_a_postgres_database_is_dumped_at_work_and_restored(
    postgres: Postgres, postgres_database: str, empty_database: Callable[[], str], serve: Serve
) -> None:
    dump = str(postgres.folder / "lockstep.dump")

    def move() -> str:
        restored = empty_database()
        postgres._run("pg_dump", "--format=custom", f"--file={dump}", postgres_database)
        postgres._run("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={restored}", dump)
        return restored

    check_whole_life(*asyncio.run(published_after(serve, postgres_database, move, alive=True)))


def test_a_release_that_was_staged_before_an_upgrade_is_published_after_it_on_sqlite(
    tmp_path: Path, serve: Serve
) -> None:
    old = f"sqlite:///{tmp_path / 'old.db'}"
    database_url = f"sqlite:///{tmp_path / 'lockstep.db'}"
    check_upgraded(serve, database_url, old)


def test_a_release_that_was_staged_before_an_upgrade_is_published_after_it_on_postgres(
    postgres_database: str, empty_database: Callable[[], str], serve: Serve
) -> None:
    check_upgraded(serve, postgres_database, empty_database())


def check_upgraded(serve: Serve, database_url: str, old: str) -> None:
    """Put what is staged into a database of the first schema, migrate that, and publish."""
    check_whole_life(
        *asyncio.run(published_after(serve, database_url, lambda: migrated(database_url, old), alive=False))
    )


def migrated(database_url: str, old: str) -> str:
    asyncio.run(copy_back(database_url, old))
    ended = asyncio.run(lockstep("migrate", "--database", old))
    assert (ended.code, ended.err) == (0, "")
    return old


async def copy_back(database_url: str, old: str) -> None:
    """Make a database of the first schema, and give it those rows and columns of another that it has a place for."""
    source, target = opened(database_url), opened(old)
    await target.write(first_schema)
    tables = await target.read(tables_of)
    rows = {
        table.name: await source.read(lambda connection, table=table: all_rows(connection, table))  # type: ignore[misc]
        for table in tables
    }
    await target.write(lambda connection: fill(connection, tables, rows))
    assert await target.read(lambda connection: schema_of(connection, old)) == FIRST_SCHEMA != SCHEMA
    await source.close()
    await target.close()


def opened(database_url: str) -> Database:
    url = postgres_url(database_url)
    return PostgresDatabase(url, connections=1) if url else SqliteDatabase(sqlite_file(database_url))


def first_schema(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", "lockstep.coordinator.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, FIRST_SCHEMA)


def tables_of(connection: Connection) -> list[Table]:
    metadata = MetaData()
    metadata.reflect(connection)
    return [table for table in metadata.sorted_tables if table.name != "alembic_version"]


def all_rows(connection: Connection, table: Table) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(select(*table.columns)).mappings()]


def fill(connection: Connection, tables: list[Table], rows: dict[str, list[dict[str, Any]]]) -> None:
    for table in reversed(tables):
        connection.execute(delete(table))
    for table in tables:
        names = {column["name"] for column in inspect(connection).get_columns(table.name)}
        if rows[table.name]:
            connection.execute(insert(table), [{name: row[name] for name in names} for row in rows[table.name]])
        if connection.dialect.name == "postgresql" and "position" in table.c and rows[table.name]:
            last = connection.execute(select(func.max(table.c.position))).scalar_one()
            sequence = text("SELECT setval(pg_get_serial_sequence(:table, 'position'), :last)")
            connection.execute(sequence, {"table": table.name, "last": last})
