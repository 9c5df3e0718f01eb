"""`lockstep doctor`, as a process beside what it looks at."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lockstep.cli.client import Api
from lockstep.coordinator.checkup import skew
from lockstep.coordinator.store.tables import SCHEMA
from lockstep.stack.processes import free_ports
from tests.cli.stage import Ended, lockstep, stage
from tests.conftest import Serve

ALL = ["database", "schema", "work", "releases", "announcements", "task services", "queue"]


def _checks(ended: Ended) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in ended.document["checks"]}


async def _examined(database: str, *arguments: str, **variables: str) -> Ended:
    return await lockstep("doctor", "--database", database, *arguments, folder=None, **variables)


def test_a_coordinator_that_is_well_is_found_well_while_it_runs(tmp_path: Path, serve: Serve) -> None:
    """On SQLite too, where one process at a time may work: the doctor only reads."""

    async def go() -> None:
        async with stage(tmp_path, serve) as scene:
            await scene.staged()
            database = f"sqlite:///{tmp_path / 'lockstep.db'}"
            ended = await _examined(database, "--coordinator", scene.url)
            assert (ended.code, ended.err) == (0, "")
            assert [[name, "yes"] for name in [*ALL, "coordinator"]] == [line[:2] for line in ended.lines]

    asyncio.run(go())


def test_what_does_not_hold_is_named_with_what_to_do(tmp_path: Path, serve: Serve) -> None:
    """A release that nobody works on and that has been in its step for weeks, and all that is away."""

    async def go() -> None:
        (nowhere,) = free_ports(1)
        async with stage(tmp_path, serve) as scene, Api(scene.url) as api:
            webhook = await api.post("webhooks", {"url": f"http://127.0.0.1:{nowhere}/hook"})
            release_id = await scene.released()
        with closing(sqlite3.connect(tmp_path / "lockstep.db")) as database, database:
            weeks_us = 4 * 7 * 86_400 * 1_000_000
            database.execute("UPDATE release SET step_since = step_since - ?, look_at = step_since - ?", [weeks_us] * 2)
            database.execute("UPDATE release SET lease_until = lease_until - ?", [weeks_us])
            database.execute("UPDATE event SET created_at = created_at - ?", [weeks_us])
        ended = await _examined(
            f"sqlite:///{tmp_path / 'lockstep.db'}", "--coordinator", f"http://127.0.0.1:{nowhere}", "--json"
        )
        assert (ended.code, ended.document["well"]) == (1, False)
        checks = _checks(ended)
        wrong = [name for name, check in checks.items() if not check["well"]]
        assert wrong == ["work", "releases", "announcements", "task service", "coordinator"]
        assert all(release_id in checks[name]["says"] for name in ("work", "releases"))
        assert f"{webhook['kf_id']} (http://127.0.0.1:{nowhere}/hook) waits for " in checks["announcements"]["says"]
        assert "held service: could not reach " in checks["task service"]["says"]
        assert [check["remedy"] == "" for check in checks.values()] == [check["well"] for check in checks.values()]
        assert ended.err == f"5 of {len(checks)} things that must hold do not.\n"

    asyncio.run(go())


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    ended = asyncio.run(_examined(f"sqlite:///{tmp_path / 'none.db'}"))
    assert (ended.code, ended.lines[0][:2]) == (1, ["database", "NO"])
    assert list(tmp_path.iterdir()) == []


def test_postgres_is_examined_and_a_queue_that_is_away_is_told(postgres_database: str) -> None:
    """Who is well: the database, its schema and its clock. Who is not: the Redis that was named."""
    (nowhere,) = free_ports(1)
    ended = asyncio.run(_examined(postgres_database, "--json", LOCKSTEP_REDIS_URL=f"redis://127.0.0.1:{nowhere}"))
    checks = _checks(ended)
    assert list(checks) == ["database", "schema", "clock", *ALL[2:]]
    assert [name for name, check in checks.items() if not check["well"]] == ["queue"]
    assert checks["schema"]["says"] == f"The database has the schema of this version, {SCHEMA}."


def test_a_database_without_the_schema_is_told_what_to_do(empty_database: Callable[[], str]) -> None:
    ended = asyncio.run(_examined(empty_database(), "--json"))
    schema = _checks(ended)["schema"]
    assert schema["says"] == f"The database has no schema yet, and this version needs {SCHEMA}."
    assert schema["remedy"].startswith("Run `lockstep migrate`")


def test_a_database_that_is_away_is_told_without_its_password() -> None:
    (nowhere,) = free_ports(1)
    ended = asyncio.run(_examined(f"postgresql://me:hush@127.0.0.1:{nowhere}/lockstep"))
    assert (ended.code, ended.lines[0][:2]) == (1, ["database", "NO"])
    assert "hush" not in ended.out + ended.err


def test_a_task_service_is_not_taken_for_a_coordinator(tmp_path: Path, serve: Serve) -> None:
    async def go() -> None:
        async with stage(tmp_path, serve) as scene:
            database = f"sqlite:///{tmp_path / 'lockstep.db'}"
            ended = await _examined(database, "--coordinator", scene.held_url, "--json")
            assert _checks(ended)["coordinator"]["says"].startswith(f"No coordinator answers at {scene.held_url}")

    asyncio.run(go())


@pytest.mark.parametrize(
    ("theirs_s", "seen"),
    [(0.5, ""), (2.9, ""), (-1.9, ""), (3.5, "2.5 s behind"), (-7.25, "7.2 s ahead of")],
)
def test_clocks_are_compared_around_the_moment_when_theirs_was_read(theirs_s: float, seen: str) -> None:
    """It took a second to read it, which is no skew."""
    began = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    finding = skew("clock", "theirs", began + timedelta(seconds=theirs_s), began, began + timedelta(seconds=1))
    assert finding.well == (seen == "")
    assert seen in finding.says


def test_a_misspelt_setting_and_an_issuer_that_is_away_are_told(tmp_path: Path, serve: Serve) -> None:
    """Both leave a coordinator running that does not do what its people think."""
    (nowhere,) = free_ports(1)
    url = f"http://127.0.0.1:{nowhere}"
    identity = {"AUTH": "oidc", "OIDC_ISSUER": url, "OIDC_AUDIENCE": "lockstep", "INSECURE": "true"}
    others = {"POLL_INTERVALL": "3", "SERVER": url, "TASKS_ISSUER": url, "REPORTS_STORE": "sqlite"}

    async def go() -> None:
        async with stage(tmp_path, serve):
            variables = {f"LOCKSTEP_{name}": value for name, value in (identity | others).items()}
            ended = await _examined(f"sqlite:///{tmp_path / 'lockstep.db'}", "--json", **variables)
        checks = _checks(ended)
        assert [name for name, check in checks.items() if not check["well"]] == ["setting", "issuer"]
        assert checks["setting"]["says"].startswith("LOCKSTEP_POLL_INTERVALL is no setting")
        assert "LOCKSTEP_POLL_INTERVAL " in checks["setting"]["remedy"]
        assert url in checks["issuer"]["says"]

    asyncio.run(go())
