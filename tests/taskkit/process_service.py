"""A task service to be killed: `python process_service.py FOLDER [TASKS]`, on a port that the system chooses.

What its functions do is told by the task's study: wait for a file (`gate`), or be at work without ever looking up.
Each run of a function leaves a file `<task>.<work>.<attempt>` in the folder, and fails if there is one already: two
processes that did the same work would be seen. Tasks are kept in the folder, or where `TASKS` says.
"""

import asyncio
import sys
import time
from pathlib import Path

from lockstep.taskkit import Task, TaskService

folder = Path(sys.argv[1])
tasks = sys.argv[2] if len(sys.argv) > 2 else str(folder / "tasks.db")
service = TaskService("to be killed", store=tasks, coordinator_url="", stop_patience_s=0.3)


def wait_at_the_gate(task: Task, work: str) -> None:
    (folder / f"{task.id}.{work}.{task.attempt}").touch(exist_ok=False)
    while not (folder / f"{task.id}.{work}.gate").exists():
        time.sleep(0.002)
        task.progress(40)


def compute() -> None:
    while True:
        sum(number * number for number in range(10_000))


@service.stage
async def stage(task: Task) -> None:
    if "SD_gate" in task.studies:
        wait_at_the_gate(task, "stage")
        return
    (folder / f"{task.id}.stage.{task.attempt}").touch()
    if "SD_computes" in task.studies:
        compute()
    elif "SD_sleeps" in task.studies:
        time.sleep(3600)  # noqa: ASYNC251 - a function that blocks its loop is the point
    elif "SD_sleeps_in_a_thread" in task.studies:
        await asyncio.to_thread(time.sleep, 3600)


@service.publish
def publish(task: Task) -> None:
    if "SD_gate" in task.studies:
        wait_at_the_gate(task, "publish")
        return
    (folder / f"{task.id}.publish.{task.attempt}").touch()
    compute()


@service.cancel
def cancel(task: Task) -> None:
    wait_at_the_gate(task, "cancel")


if __name__ == "__main__":
    service.run(port=0)
