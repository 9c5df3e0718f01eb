"""A service that runs by itself says in its log how its coordinator hears of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SERVICE = "from lockstep.taskkit import TaskService; TaskService('word count', store={!r}).run(port=0)"


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("http://127.0.0.1:5000", "word count reports to http://127.0.0.1:5000"),
        ("", "word count does not know its coordinator (LOCKSTEP_COORDINATOR_URL)"),
    ],
)
def test_the_log_says_how_the_coordinator_hears(url: str, line: str, tmp_path: Path) -> None:
    """Somebody who waits for a poll finds the reason in the first line."""
    code = SERVICE.format(str(tmp_path / "tasks.db"))
    environment = {**os.environ, "LOCKSTEP_COORDINATOR_URL": url, "COORDINATOR_API": "", "COORDINATOR_URL": ""}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True) as service:
        try:
            assert service.stderr is not None
            assert line in service.stderr.readline()
        finally:
            service.terminate()
