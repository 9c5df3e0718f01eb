"""A coordinator with 200 services and 10,000 releases, the addresses of its pages, and what a page costs."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from bench.fill import fill
from lockstep.coordinator.core.records import StudyFacts, TaskService
from lockstep.coordinator.ports import Store
from lockstep.coordinator.store.opening import open_store
from lockstep.dataservice.catalogue import study_records
from tests.dashboard.scenery import FIVE, Past

RELEASES, SERVICES = 10_000, 200

PATHS = (
    "/",
    "/plan",
    "/releases",
    "/releases?order=name&state=published",
    "/releases?page=300",
    "/releases/{release}",
    "/releases/{release}/publish",
    "/studies",
    "/studies/{study}",
    "/services",
    "/events",
    "/events?page=400",
    "/release-notes",
    "/public",
)


@asynccontextmanager
async def full(folder: Path) -> AsyncIterator[tuple[Store, dict[str, str]]]:
    """Open a store with all of it, and what stands in braces in the paths."""
    url = f"sqlite:///{folder / 'lockstep.db'}"
    now = datetime.now(UTC)
    services = [
        TaskService("", f"Service {n}", "Does its part.", f"http://s{n}:80", "ada", now) for n in range(SERVICES)
    ]
    async with open_store(url) as store:
        await store.sync_studies([StudyFacts(row["kf_id"], row["name"], True, now) for row in study_records()])
        for service in services[:2]:
            await store.add_service(service)
    await asyncio.to_thread(fill, folder / "lockstep.db", RELEASES)
    async with open_store(url) as store:
        for service in services[2:]:
            await store.add_service(service)
        release_id = await Past(store, ago=timedelta(hours=1)).staged("Large", FIVE, work_s=2)
        yield store, {"release": release_id, "study": FIVE[0]}


async def measure(web: httpx.AsyncClient, path: str, tries: int) -> tuple[float, int]:
    """Return the seconds to the first byte of a page, the quickest of some, and its size in bytes."""
    times, size = [], 0
    for _ in range(tries):
        began = time.perf_counter()
        async with web.stream("GET", path) as answer:
            times.append(time.perf_counter() - began)
            size = len(await answer.aread())
    return min(times), size
