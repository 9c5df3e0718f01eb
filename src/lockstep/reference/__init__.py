"""The reference task service: brings each study's record into a folder, where each release is a folder of its own.

A release is prepared in `staged`, which the public cannot see, and moved to `public` as a whole. Each function may be
cut off at any moment and is then run again, so staging writes the same files anew, and publishing moves them once.
"""

import shutil
from pathlib import Path

import aiohttp

from lockstep.taskkit import SqliteStore, Task, TaskService, TaskStore


def make_service(folder: Path, *, store: TaskStore | None = None, coordinator_url: str | None = None) -> TaskService:
    """Make the service that works in `folder`; its tasks are kept there too, unless another store is given."""
    staged, public = folder / "staged", folder / "public"
    store = store or SqliteStore(folder / "tasks.db")
    service = TaskService("reference task", version="1.0.0", store=store, coordinator_url=coordinator_url)

    @service.stage
    async def stage(task: Task) -> None:
        if len(task.urls) != len(task.studies):
            raise RuntimeError("the coordinator did not say where the studies can be fetched")
        (staged / task.id).mkdir(parents=True, exist_ok=True)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as web:
            for done, (study, url) in enumerate(zip(task.studies, task.urls, strict=True), start=1):
                record = await fetch(web, study, url)
                (staged / task.id / f"{study}.json").write_bytes(record)
                task.progress(done, of=len(task.studies))

    @service.publish
    def publish(task: Task) -> None:
        public.mkdir(exist_ok=True)
        if (staged / task.id).exists():
            (staged / task.id).rename(public / task.release_id)

    @service.cancel
    def cancel(task: Task) -> None:
        shutil.rmtree(staged / task.id, ignore_errors=True)

    return service


async def fetch(web: aiohttp.ClientSession, study: str, url: str) -> bytes:
    """Return a study's record, or raise a sentence that tells people why there is none."""
    try:
        async with web.get(url) as answer:
            if answer.ok:
                return await answer.read()
            problem = f"HTTP {answer.status}"
    except (aiohttp.ClientError, TimeoutError) as error:
        problem = str(error) or "no answer in time"
    raise RuntimeError(f"study {study} could not be fetched from {url}: {problem}")


def run(host: str, port: int, folder: Path, coordinator_url: str | None = None) -> None:
    """Serve until Ctrl-C."""
    make_service(folder, coordinator_url=coordinator_url).run(host=host, port=port)
