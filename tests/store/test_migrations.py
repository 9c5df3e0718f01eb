import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, insert, make_url, select
from sqlalchemy.schema import CreateIndex, CreateTable

from lockstep.coordinator.store.migrating import migrate
from lockstep.coordinator.store.tables import SCHEMA, metadata, release_note, tally
from lockstep.protocol.states import ReleaseState


def test_the_migrations_build_the_tables_that_the_code_reads(tmp_path: Path) -> None:
    """Also their constraints, which the comparison leaves out: both schemas are the same text."""
    migrate(f"sqlite:///{tmp_path}/a.db")
    migrated, created = create_engine(f"sqlite:///{tmp_path}/a.db"), create_engine(f"sqlite:///{tmp_path}/b.db")
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    metadata.create_all(created)
    assert schema(migrated) == schema(created)
    migrated.dispose()
    created.dispose()


def schema(engine: Any) -> dict[str, set[str]]:
    """Return what every table and index is made of, part by part, in no order: added columns stand at the end."""
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'alembic%'"
        )
        return {name: parts(sql) for name, sql in found}


def parts(sql: str) -> set[str]:
    """Return what stands between the commas of the outermost parentheses."""
    opening, _, inside = sql.partition("(")
    inside, _, closing = inside.rpartition(")")
    found, depth = [""], 0
    for character in inside:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            found.append("")
        else:
            found[-1] += character
    return {" ".join(part.split()) for part in (opening, *found, closing)}


def test_there_is_one_line_of_migrations_and_its_end_is_what_the_code_expects() -> None:
    config = Config()
    config.set_main_option("script_location", "lockstep.coordinator.store:migrations")
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [SCHEMA]


def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    migrate(f"sqlite:///{path}")
    before = path.read_bytes()
    migrate(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_processes_that_start_at_the_same_time_build_one_schema(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; from lockstep.coordinator.store.migrating import migrate; "]
    command[-1] += "migrate(sys.argv[1])"
    started = [subprocess.Popen([*command, f"sqlite:///{tmp_path}/a.db"]) for _ in range(2)]
    assert [process.wait(60) for process in started] == [0, 0]
    engine = create_engine(f"sqlite:///{tmp_path}/a.db")
    with engine.connect() as connection:
        names = set(connection.execute(select(tally.c.name)).scalars())
    engine.dispose()
    assert {f"releases:{state}" for state in ReleaseState} < names


def test_migrating_works_in_a_thread_beside_others(tmp_path: Path) -> None:
    """A server migrates away from its event loop, and tests open many stores in one process."""
    failed: list[BaseException] = []

    def run(n: int) -> None:
        try:
            migrate(f"sqlite:///{tmp_path}/{n}.db")
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_the_tables_can_be_told_to_postgres() -> None:
    """Its own types and partial indexes are used; nothing of SQLite's is in the way."""
    dialect = make_url("postgresql://").get_dialect()()
    told = [str(CreateTable(table).compile(dialect=dialect)) for table in metadata.sorted_tables]
    told += [
        str(CreateIndex(index).compile(dialect=dialect)) for table in metadata.sorted_tables for index in table.indexes
    ]
    everything = "\n".join(told)
    assert "created_at TIMESTAMP WITH TIME ZONE NOT NULL" in everything
    assert "position BIGSERIAL NOT NULL" in everything
    assert "WHERE look_at IS NOT NULL" in everything
    assert "WHERE deleted = false" in everything
    assert str(insert(release_note).compile(dialect=dialect)).startswith("INSERT INTO release_note")
