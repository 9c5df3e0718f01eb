"""`lockstep serve` and the other servers as real processes: how they start, how they end, and why they do not start."""

import asyncio
import ctypes
import os
import resource
import signal
import socket
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.cli.stage import Ended, Running, environment, lockstep, started
from tests.patience import PATIENCE_S

SERVERS = ("serve", "reference", "reports", "snapshot", "dataservice")


@contextmanager
def _taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


async def _address(server: Running) -> str:
    await server.says("; Ctrl-C ends it.\n")
    return server.out.partition(" answers at ")[2].partition(";")[0]


@pytest.mark.parametrize(
    ("server", "wish"),
    [*((server, signal.SIGTERM) for server in SERVERS), ("serve", signal.SIGINT)],
)
def test_a_server_answers_and_ends_well_when_it_is_asked_to(server: str, wish: signal.Signals, tmp_path: Path) -> None:
    async def go() -> None:
        async with started(server, "--port", "0", folder=tmp_path) as running:
            url = await _address(running)
            async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as web:
                assert (await web.get("/status")).status_code == 200
            running.process.send_signal(wish)
            ended = await running.ended()
            assert (ended.code, ended.out.count("\n")) == (0, 1)
            assert "Traceback" not in ended.err

    asyncio.run(go())


def _one_sentence(ended: Ended, *, code: int = 1) -> str:
    """Check that a command failed with a single line on stderr, and return that."""
    assert (code, "", 1) == (ended.code, ended.out, ended.err.count("\n")), ended.err
    return ended.err.strip()


@pytest.mark.parametrize("server", SERVERS)
def test_a_taken_port_is_said_in_one_line(server: str, tmp_path: Path) -> None:
    with _taken_port() as port:
        ended = asyncio.run(lockstep(server, "--port", str(port), folder=tmp_path))
    sentence = _one_sentence(ended)
    assert f"Port {port}" in sentence
    assert "is taken by another program" in sentence
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOCKSTEP_PORT", "many"),
        ("LOCKSTEP_DATABASE_URL", "mysql://db/lockstep"),
        ("LOCKSTEP_HOST", "0.0.0.0"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, tmp_path: Path) -> None:
    ended = asyncio.run(lockstep("serve", folder=tmp_path, **{name: value}))
    assert name in _one_sentence(ended, code=2)


def test_a_wrong_setting_in_a_file_is_named_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LOCKSTEP_ATTEMPTS=none\n")
    for command in ("serve", "migrate"):
        ended = asyncio.run(lockstep(command, folder=tmp_path))
        expected = "LOCKSTEP_ATTEMPTS is 'none'; it must be a whole number from 1 to 1000, such as 3."
        assert expected == _one_sentence(ended, code=2)


def test_options_come_before_the_environment(tmp_path: Path) -> None:
    async def go() -> None:
        database = f"sqlite:///{tmp_path / 'mine.db'}"
        options = ("--port", "0", "--database", database)
        async with started(
            "serve", *options, folder=tmp_path, LOCKSTEP_PORT="1", LOCKSTEP_DATABASE_URL="no"
        ) as running:
            await _address(running)
        assert (tmp_path / "mine.db").exists()

    asyncio.run(go())


def test_two_coordinators_on_one_database_are_one_too_many(tmp_path: Path) -> None:
    async def go() -> None:
        async with started("serve", "--port", "0", folder=tmp_path) as first:
            await _address(first)
            for command in (("serve", "--port", "0"), ("migrate",)):
                sentence = _one_sentence(await lockstep(*command, folder=tmp_path))
                assert f"Another process (id {first.process.pid}) is at work on the database" in sentence

    asyncio.run(go())


def test_a_database_that_another_program_has_locked_is_said(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "lockstep.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        sentence = _one_sentence(asyncio.run(lockstep("serve", "--port", "0", folder=tmp_path)))
    assert "lockstep.db is locked by another process; end that process" in sentence


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "lockstep.db").write_text("Dear diary, this is no database, and never was one. " * 40)
    sentence = _one_sentence(asyncio.run(lockstep("serve", "--port", "0", folder=tmp_path)))
    assert "lockstep.db is no SQLite database; name another file, or move this one away." in sentence
    assert (tmp_path / "lockstep.db").read_text().startswith("Dear diary")


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "lockstep.db")) as other:
        other.execute("CREATE TABLE butterflies (name TEXT)")
    sentence = _one_sentence(asyncio.run(lockstep("migrate", folder=tmp_path)))
    assert "holds tables of something else (butterflies); name another one." in sentence


async def _limited(folder: Path, limit: Callable[[], object]) -> Ended:
    """`lockstep serve` in a folder, as a process that is limited in some way before it begins."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lockstep", "serve", "--port", "0"),
        cwd=folder,
        env=environment(PYTHONDONTWRITEBYTECODE="1"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=limit,
    )
    return await Running(process).ended()


def _be_an_ordinary_user() -> None:
    """Give up root's right to write what nobody may write, if this is root; the next program begins without it."""
    drop_from_bounding_set, override_rights_of_files = 24, 1
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(drop_from_bounding_set, override_rights_of_files, 0, 0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets root give up its rights one by one")
def test_a_folder_that_may_not_be_written_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    sentence = _one_sentence(asyncio.run(_limited(tmp_path, _be_an_ordinary_user)))
    assert "cannot be made (Permission denied)" in sentence
    assert "this user must be allowed to write there" in sentence


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets root give up its rights one by one")
def test_a_database_that_may_not_be_written_is_said(tmp_path: Path) -> None:
    assert asyncio.run(lockstep("migrate", folder=tmp_path)).code == 0
    (tmp_path / "lockstep.db").chmod(stat.S_IRUSR)
    sentence = _one_sentence(asyncio.run(_limited(tmp_path, _be_an_ordinary_user)))
    assert "lockstep.db may not be written; give this user the right to write the file and its folder." in sentence


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    """The disk is full for this process alone: no file of it may grow beyond eight kilobytes."""
    ended = asyncio.run(_limited(tmp_path, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))))
    sentence = _one_sentence(ended)
    assert "lockstep.db" in sentence
    assert "disk" in sentence
    assert "space" in sentence


def test_a_database_is_migrated_before_it_is_served(tmp_path: Path) -> None:
    async def go() -> None:
        for _ in range(2):
            done = await lockstep("migrate", folder=tmp_path)
            expected = "The database sqlite:///lockstep.db has the schema of this version.\n"
            assert (0, expected, "") == (done.code, done.out, done.err)

    asyncio.run(go())


@pytest.mark.parametrize("server", ["reference", "reports", "snapshot"])
def test_a_folder_that_cannot_be_used_is_said(server: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    ended = asyncio.run(lockstep(server, "--port", "0", "--folder", "file", folder=tmp_path))
    assert "cannot be used" in _one_sentence(ended)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["reports", "--dataservice", "data.example.org"], "data.example.org"),
        (["reference", "--coordinator", "nowhere"], "of the form http://host:port"),
        (["dataservice", "--as-of", "yesterday"], "cfde-2023-q3 and cfde-2023-q4"),
        (["dataservice", "--host", "no such host"], "This machine has no address 'no such host'"),
    ],
)
def test_wrong_options_of_servers_are_said(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    ended = asyncio.run(lockstep(*arguments, "--port", "0", folder=tmp_path))
    assert ended.out == ""
    assert ended.code in {1, 2}
    assert sentence in ended.err
    assert "Traceback" not in ended.err
