"""A real process: killed in the middle of its work, stopped with work that does not stop, asked while it computes."""

import asyncio
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S, until
from tests.taskkit.conversation import Conversation, conversation

SCRIPT = Path(__file__).with_name("process_service.py")
GATED = {"studies": ["SD_gate"], "urls": ["http://data.test/gate"]}
ANSWER_LIMIT_S = 2.0
"""50 ms on a machine of its own; where the work held the answers up, there would be none."""

ENDS_S = 20.0
"""Five seconds on a machine of its own; the work would go on for an hour."""


class ServiceProcess:
    """The service in a process of its own, over one folder; `talk` is with the process that runs."""

    def __init__(self, folder: Path, log: Path, process: "subprocess.Popen[bytes]", talk: Conversation) -> None:
        self.folder = folder
        self.log = log
        self.process = process
        self.talk = talk

    def runs(self, task: str) -> list[str]:
        return sorted(path.name.removeprefix(f"{task}.") for path in self.folder.glob(f"{task}.*.[0-9]"))

    async def has_run(self, task: str, run: str) -> None:
        await until(lambda: run in self.runs(task))

    def open_gate(self, task: str, work: str) -> None:
        (self.folder / f"{task}.{work}.gate").touch()

    async def time_of_status(self, task: str) -> float:
        """Return how long the answer to one `get_status` takes, in seconds."""
        begin = time.perf_counter()
        status, _ = await self.talk.ask("get_status", task)
        assert status == 200
        return time.perf_counter() - begin

    def end(self, how: signal.Signals) -> float:
        """Send a signal, wait for the end, and return how long it took, in seconds."""
        begin = time.monotonic()
        self.process.send_signal(how)
        self.process.wait(PATIENCE_S)
        return time.monotonic() - begin


@asynccontextmanager
async def started(folder: Path, *tasks: str) -> AsyncIterator[ServiceProcess]:
    log = folder / f"log.{time.monotonic_ns()}"
    with log.open("wb") as stream:
        command = [sys.executable, str(SCRIPT), str(folder), *tasks]
        process = subprocess.Popen(command, stderr=stream)  # noqa: ASYNC220 - at once

    def address() -> str | None:
        assert process.poll() is None, log.read_text()
        found = re.search(r"running on (http://\S+)", log.read_text())
        return found and found[1]

    try:
        async with conversation(await until(address)) as talk:
            yield ServiceProcess(folder, log, process, talk)
    finally:
        process.kill()
        process.wait()


def test_work_survives_its_own_kill(tmp_path: Path) -> None:
    """Killed while staging and while publishing, the service takes the work up again and brings it to its end."""

    async def scene() -> None:
        async with started(tmp_path) as service:
            await service.talk.bring("TA_1", to="running", **GATED)
            await service.talk.bring("TA_2", to="pending", **GATED)
            await service.has_run("TA_1", "stage.1")
            service.end(signal.SIGKILL)
        async with started(tmp_path) as service:
            await service.has_run("TA_1", "stage.2")
            assert (await service.talk.until("running", "TA_1"))["task_id"] == "TA_1"
            assert (await service.talk.ask("start", "TA_1"))[1]["state"] == "running"
            assert (await service.talk.ask("get_status", "TA_2"))[1]["state"] == "pending"
            service.open_gate("TA_1", "stage")
            assert (await service.talk.until("staged", "TA_1"))["progress"] == 100
            await service.talk.ask("publish", "TA_1")
            await service.has_run("TA_1", "publish.1")
            service.end(signal.SIGKILL)
        async with started(tmp_path) as service:
            await service.has_run("TA_1", "publish.2")
            service.open_gate("TA_1", "publish")
            await service.talk.until("published", "TA_1")
            assert service.runs("TA_1") == ["publish.1", "publish.2", "stage.1", "stage.2"]
            assert service.runs("TA_2") == []

    asyncio.run(scene())


def test_cleaning_up_survives_a_kill(tmp_path: Path) -> None:
    """Killed while it cleans up after a cancel, the service does it again; the task is canceled all along."""

    async def scene() -> None:
        async with started(tmp_path) as service:
            await service.talk.bring("TA_1", to="canceled", **GATED)
            await service.has_run("TA_1", "cancel.1")
            service.end(signal.SIGKILL)
        async with started(tmp_path) as service:
            assert (await service.talk.ask("get_status", "TA_1"))[1]["state"] == "canceled"
            await service.has_run("TA_1", "cancel.2")
            assert (await service.talk.ask("start", "TA_1"))[0] == 400
            service.open_gate("TA_1", "cancel")
            await service.talk.bring("TA_2", to="running", **GATED)
            await service.has_run("TA_2", "stage.1")
            assert service.end(signal.SIGTERM) < ENDS_S
        async with started(tmp_path) as service:
            await service.has_run("TA_2", "stage.2")
            assert service.runs("TA_1")[:2] == ["cancel.1", "cancel.2"]

    asyncio.run(scene())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_no_work_keeps_the_process_alive(tmp_path: Path, how: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end the process within seconds, whatever its functions are at; the work is not lost."""

    async def scene() -> None:
        async with started(tmp_path) as service:
            for study in ("gate", "sleeps", "sleeps_in_a_thread", "computes"):
                await service.talk.bring(f"TA_{study}", to="running", studies=[f"SD_{study}"])
                await service.has_run(f"TA_{study}", "stage.1")
            assert service.end(how) < ENDS_S
        async with started(tmp_path) as service:
            await service.has_run("TA_sleeps", "stage.2")
            await service.has_run("TA_gate", "stage.2")

    asyncio.run(scene())


def test_status_is_answered_while_the_work_computes(tmp_path: Path) -> None:
    """Async functions that never await, and plain ones that compute, leave `get_status` quick, of any task."""

    async def scene() -> dict[str, float]:
        async with started(tmp_path) as service:
            await service.talk.bring("TA_staged", to="staged", studies=["SD_idle"])
            await service.talk.bring("TA_computing", to="running", studies=["SD_computes"])
            await service.talk.bring("TA_sleeping", to="running", studies=["SD_sleeps"])
            await service.talk.bring("TA_publishing", to="publishing", studies=["SD_idle"])
            await service.has_run("TA_computing", "stage.1")
            await service.has_run("TA_publishing", "publish.1")
            tasks = ["TA_staged", "TA_computing", "TA_sleeping", "TA_publishing"]
            return {task: min([await service.time_of_status(task) for _ in range(10)]) for task in tasks}

    times_s = asyncio.run(scene())
    assert {task: time_s for task, time_s in times_s.items() if time_s > ANSWER_LIMIT_S} == {}
