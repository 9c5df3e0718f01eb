"""What an upgrade does with a database that has a history: everything is found by what it is found by from then on."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine as SqlEngine
from sqlalchemy import create_engine, text

from lockstep.coordinator.core.records import PageOf, ReleaseFilter
from lockstep.coordinator.store.opening import open_store

COUNT = 2500
"""More releases than are read at once."""


def brought_to(revision: str, path: Path) -> SqlEngine:
    """Return a database as an earlier version made it."""
    engine = create_engine(f"sqlite:///{path}")
    config = Config()
    config.set_main_option("script_location", "lockstep.coordinator.store:migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    return engine


_RELEASE = text(
    "INSERT INTO release (position, kf_id, uuid, name, description, author, tags, studies, is_major, state, "
    "published_at, publish_order, major, minor, patch, created_at, step_since, partially_published, lease_epoch) "
    "VALUES (:n, :kf_id, :uuid, :name, '', 'me', :tags, '[\"SD_00000001\"]', 0, :state, :asked, :asked, 0, :n, 0, "
    ":n, :n, 0, 0)"
)


def fill_first_schema(engine: SqlEngine) -> None:
    """Write releases as the first version did: the odd ones published, with tags, all with one study."""
    numbers = range(1, COUNT + 1)
    releases = [
        {
            "n": n,
            "kf_id": f"RE_{n:08d}",
            "uuid": f"{n:032x}",
            "name": f"r{n}",
            "tags": json.dumps(["odd", f"t{n}", "odd"] if n % 2 else []),
            "state": "published" if n % 2 else "waiting",
            "asked": n if n % 2 else None,
        }
        for n in numbers
    ]
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO study VALUES ('SD_00000001', 'One', 1, 0, NULL, NULL, NULL)"))
        connection.execute(_RELEASE, releases)
        held = text("INSERT INTO release_study VALUES ('SD_00000001', :n)")
        connection.execute(held, [{"n": n} for n in numbers])


def test_releases_of_the_first_schema_are_found_by_tags_and_are_public(tmp_path: Path) -> None:
    path = tmp_path / "lockstep.db"
    engine = brought_to("0001", path)
    fill_first_schema(engine)
    engine.dispose()

    async def go() -> None:
        async with open_store(f"sqlite:///{path}") as store:
            odd = await store.releases(PageOf(1), ReleaseFilter(tags=("odd",)))
            assert (odd.count, odd.rows[0].release.name) == (COUNT // 2, f"r{COUNT - 1}")
            last = await store.releases(PageOf(), ReleaseFilter(tags=(f"t{COUNT - 1}",)))
            assert [view.release.name for view in last.rows] == [f"r{COUNT - 1}"]
            assert (await store.current_of("SD_00000001")).release.name == f"r{COUNT - 1}"
            long_ago = datetime(1970, 1, 1, microsecond=4, tzinfo=UTC)
            assert [view.release.name for view in await store.published(2, long_ago)] == ["r3", "r1"]

    asyncio.run(go())
