"""Two processes of one service on the same tables: each task is worked on by one, and lost by none.

And one process on each of these stores, killed in the middle of its work, keeps every rule.
"""

import asyncio
import signal
from pathlib import Path

from lockstep.stack.processes import free_ports
from tests.conformance.test_task_services import REFERENCE, found, made
from tests.patience import until
from tests.taskkit.conversation import RELEASE
from tests.taskkit.test_task_survival import GATED, started

TASKS = [f"TA_{number}" for number in range(6)]


def test_one_of_two_processes_does_the_work(tmp_path: Path, shared_address: str) -> None:
    """Asked by both ways at once, canceled by the other way, killed: one works on it, and one takes it over."""

    async def scene() -> None:
        async with started(tmp_path, shared_address) as one, started(tmp_path, shared_address) as two:
            for task in TASKS:
                both = [side.talk.ask("initialize", task, RELEASE, **GATED) for side in (one, two)]
                both += [side.talk.ask("start", task) for side in (one, two) for _ in range(2)]
                await asyncio.gather(*both[:2])
                answers = await asyncio.gather(*both[2:])
                assert {(status, body["state"]) for status, body in answers} == {(200, "running")}
            for task in TASKS:
                await one.has_run(task, "stage.1")

            await two.talk.ask("cancel", TASKS[0])
            await one.has_run(TASKS[0], "cancel.1")
            assert (await one.talk.ask("get_status", TASKS[0]))[1]["state"] == "canceled"
            one.open_gate(TASKS[0], "cancel")

            await two.talk.ask("get_status", TASKS[1], epoch=5)
            assert (await one.talk.ask("get_status", TASKS[1], epoch=4))[0] == 409
            for task in TASKS[1:3]:
                one.open_gate(task, "stage")
                for side in (one, two):
                    assert (await side.talk.until("staged", task))["progress"] == 100
                assert one.runs(task) == ["stage.1"]

            one.end(signal.SIGKILL)
            for task in TASKS[3:]:
                two.open_gate(task, "stage")
                await two.talk.until("staged", task)
                assert two.runs(task) in (["stage.1"], ["stage.1", "stage.2"])
            await two.talk.bring("TA_last", to="running", **GATED)
            await two.has_run("TA_last", "stage.1")
            assert two.end(signal.SIGTERM) < 10
        async with started(tmp_path, shared_address) as three:
            await three.has_run("TA_last", "stage.2")
            three.open_gate("TA_last", "stage")
            await three.talk.until("staged", "TA_last")
            assert three.runs(TASKS[0]) == ["cancel.1", "stage.1"]

    asyncio.run(scene())


def test_a_process_that_hangs_loses_its_work(tmp_path: Path, postgres_url: str) -> None:
    """Held up for longer than its lease, it wakes to find its task with another; its own end does not count."""
    address = f"{postgres_url}?table=tasks_of_one_that_hangs&lease_s=6"

    async def scene() -> None:
        async with started(tmp_path, address) as one:
            await one.talk.bring("TA_1", to="running", **GATED)
            await one.has_run("TA_1", "stage.1")
            one.process.send_signal(signal.SIGSTOP)
            async with started(tmp_path, address) as two:
                await two.has_run("TA_1", "stage.2")
                one.process.send_signal(signal.SIGCONT)
                await until(lambda: "another process has taken it over" in one.log.read_text())
                assert (await one.talk.ask("get_status", "TA_1"))[1]["state"] == "running"
                two.open_gate("TA_1", "stage")
                for side in (one, two):
                    await side.talk.until("staged", "TA_1")
                assert one.runs("TA_1")[:2] == ["stage.1", "stage.2"]

    asyncio.run(scene())


def test_a_service_on_each_store_reaches_level_3(tmp_path: Path, shared_address: str) -> None:
    """Killed in the middle, it takes its work up when its lease has run out; nobody else is there to do it."""
    (port,) = free_ports(1)
    make = f"Path({str(tmp_path)!r}), store=store_at({shared_address!r}), coordinator_url='http://127.0.0.1:{port}'"
    service = made(f"from lockstep.taskkit import store_at; {REFERENCE}", make, tmp_path)
    report = service.checked(port, restart=service.restart)
    assert found(report) == (3, {}, [])
