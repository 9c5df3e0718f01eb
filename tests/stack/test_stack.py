"""`lockstep stack` as real processes: it takes a release through, heals itself, and leaves nobody behind."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
import psutil
import pytest

from tests.cli.stage import environment
from tests.patience import wait_until

PATIENCE_S: Final = 150.0
"""Ten processes start at the same time, on a machine that runs other tests."""

NAMES: Final = [
    *("Postgres", "Valkey", "coordinator", "task worker 1", "task worker 2"),
    *("sample data service", "reference task", "release reports"),
]
ROW: Final = re.compile(r"^([\w ]+)\t((?:http|postgresql|redis)\S+)\t(\d+)$", re.MULTILINE)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may reach: Postgres does not run as root, and is somebody else there."""
    with TemporaryDirectory(prefix="lockstep-stack-", ignore_cleanup_errors=True) as made:
        Path(made).chmod(0o755)
        yield Path(made)


class Stack:
    """`lockstep stack` in a folder, and what it has said so far."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self._said = folder / "said"

    @property
    def said(self) -> str:
        return self._said.read_text()

    @property
    def rows(self) -> dict[str, tuple[str, int]]:
        return {name: (url, int(number)) for name, url, number in ROW.findall(self.said)}

    def says(self, text: str) -> None:
        wait_until(lambda: text in self.said or self.process.poll() is not None, lambda: self.said, PATIENCE_S)
        assert text in self.said, self.said

    def ended(self) -> int:
        return self.process.wait(PATIENCE_S)


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[Stack]:
    command = [sys.executable, "-m", "lockstep", "stack", "--any-ports", "--folder", str(folder / "kept"), *arguments]
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(command, env=environment(), stdout=said, stderr=said, stdin=subprocess.DEVNULL)
    try:
        yield Stack(folder, process)
    finally:
        process.kill()
        process.wait()


def left_of(folder: Path) -> list[str]:
    """Return the processes that work in a folder, or were told of it."""
    return [
        " ".join(process.info["cmdline"])
        for process in psutil.process_iter(["cmdline", "cwd", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE
        and process.pid != os.getpid()
        and (str(process.info["cwd"]).startswith(str(folder)) or str(folder) in " ".join(process.info["cmdline"] or ()))
    ]


@pytest.mark.timeout(600)
def test_the_stack_takes_a_release_through_heals_itself_and_leaves_nobody_behind(folder: Path) -> None:
    """Twice in one folder: the second time everything is known, at other addresses."""
    with started(folder, "--exit") as stack:
        assert stack.ended() == 0, stack.said
        assert list(stack.rows) == NAMES
        assert re.search(
            r"^Release RE_\w{8} is public on every service, as version 0\.1\.0\.$", stack.said, re.MULTILINE
        )
    assert left_of(folder) == []
    with started(folder) as stack:
        stack.says("Everything stays up until Ctrl-C.")
        url = stack.rows["coordinator"][0]
        services = httpx.get(f"{url}/task-services", timeout=PATIENCE_S).raise_for_status().json()["results"]
        assert {(row["name"], row["url"]) for row in services} == {
            (name, stack.rows[name][0]) for name in ("reference task", "release reports")
        }
        releases = httpx.get(f"{url}/releases", timeout=PATIENCE_S).raise_for_status().json()["results"]
        assert [(row["state"], row["version"]) for row in releases] == [("published", "0.1.0")]
        for name, called in (("task worker 2", "The task worker 2"), ("Valkey", "Valkey")):
            os.kill(stack.rows[name][1], signal.SIGKILL)
            stack.says(f"{called} was ended by SIGKILL. It is started again.")
            stack.says(f"{called} is there again, as process ")
        second = subprocess.run(
            [sys.executable, "-m", "lockstep", "stack", "--any-ports", "--folder", str(folder / "kept")],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (second.returncode, second.stderr.count("\n")) == (1, 1)
        assert second.stderr.startswith(f"Another stack is at work in {folder / 'kept'}")
        stack.process.kill()
        wait_until(lambda: left_of(folder) == [])


@pytest.mark.timeout(600)
def test_a_stack_that_is_asked_to_end_ends_everything(folder: Path) -> None:
    with started(folder, "--workers", "1") as stack:
        stack.says("Everything stays up until Ctrl-C.")
        assert "task worker 2" not in stack.rows
        stack.process.send_signal(signal.SIGTERM)
        assert (stack.ended(), stack.said.splitlines()[-1]) == (0, "Everything is stopped.")
    assert left_of(folder) == []


def test_a_folder_that_cannot_be_is_said_in_one_line() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "lockstep", "stack", "--folder", "/proc/none/stack", "--any-ports"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "The folder /proc/none/stack cannot be used (No such file or directory); name another one.\n"
