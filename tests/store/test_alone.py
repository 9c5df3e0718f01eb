import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.store.alone import sqlite_alone

HOLD = """
import sys
from lockstep.coordinator.store.alone import sqlite_alone
with sqlite_alone(sys.argv[1]):
    print("alone", flush=True)
    sys.stdin.read()
"""


def holder(path: Path) -> "subprocess.Popen[bytes]":
    """Start a process that is alone with a database until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=path.parent
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"alone\n"
    return process


def test_a_second_process_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    """The sentence names the database and the process that has it."""
    path = tmp_path / "a.db"
    with holder(path) as process:
        expected = f"Another process \\(id {process.pid}\\) is at work on the database {path}; end it"
        with pytest.raises(Unavailable, match=expected), sqlite_alone(path):
            pass
        process.communicate()
    with sqlite_alone(path):
        pass


def test_a_process_that_was_killed_leaves_nothing_behind_that_matters(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with holder(path) as process:
        os.kill(process.pid, signal.SIGKILL)
    with sqlite_alone(path):
        pass


def test_another_name_for_the_same_file_is_the_same_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.touch()
    (tmp_path / "link.db").symlink_to(path)
    with sqlite_alone(path):
        for name in (os.path.relpath(path), tmp_path / "link.db", str(path)):
            with pytest.raises(Unavailable, match="Another process"), sqlite_alone(name):
                pass
        with sqlite_alone(tmp_path / "b.db"):
            pass


def test_the_lock_is_given_back_when_the_work_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with pytest.raises(asyncio.CancelledError), sqlite_alone(path):
        raise asyncio.CancelledError
    with sqlite_alone(path):
        pass


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "a.db"
    with pytest.raises(Unavailable, match=f"The lock file {path}.lock cannot be made"), sqlite_alone(path):
        pass
