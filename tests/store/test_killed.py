"""A process that is killed while it writes leaves whole changes behind, and no half ones."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lockstep.coordinator.core.records import EventFilter, PageOf
from lockstep.coordinator.store.opening import open_store

WRITE = """
import asyncio, sys
from dataclasses import replace
from datetime import UTC, datetime
from lockstep.coordinator.core.model import Change, EventDraft, EventType
from lockstep.coordinator.core.records import NewRelease, TaskService
from lockstep.coordinator.store.opening import open_store

def step(now):
    n = now.release.lease.epoch + 1
    at = datetime.now(UTC)
    tasks = tuple(task._replace(attempts=n) for task in now.tasks.values())
    events = tuple(EventDraft(EventType.INFO, f"{n}", task.kf_id, task.service_id) for task in tasks)
    return Change(replace(now.release, lease=replace(now.release.lease, epoch=n)), at, tasks, events), n

async def main():
    async with open_store(sys.argv[1]) as store:
        at = datetime.now(UTC)
        for n in range(20):
            await store.add_service(TaskService("", f"s{n}", "", "http://s.example", "me", at))
        view = await store.create_release(NewRelease("r", ()), at)
        while True:
            print(await store.change(view.release.kf_id, step), flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("commits", [1, 2, 3, 5, 8, 13])
def test_what_was_committed_is_there_and_nothing_of_what_was_not(tmp_path: Path, commits: int) -> None:
    database_url = f"sqlite:///{tmp_path}/a.db"
    with subprocess.Popen([sys.executable, "-c", WRITE, database_url], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(commits)][-1]
        os.kill(process.pid, signal.SIGKILL)
        told = max([told, *map(int, process.stdout.read().split(b"\n")[:-1])])

    async def main() -> None:
        async with open_store(database_url) as store:
            view = (await store.releases(PageOf())).rows[0]
            reached = view.release.lease.epoch
            assert reached in {told, told + 1}, "a commit that was answered for is there; the one after may be"
            assert {task.attempts for task in view.tasks} == {reached}
            assert (await store.events(PageOf(), EventFilter())).count == 20 * reached
            events = await store.events_after(view.release.kf_id, 0, 10_000)
            assert [event.message for event in events] == [str(n) for n in range(1, reached + 1) for _ in range(20)]

    asyncio.run(main())
