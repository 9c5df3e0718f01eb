"""Pages stay quick and light with 200 services and 10,000 releases."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from bench.fill import fill
from lockstep.coordinator.core.records import StudyFacts, TaskService
from lockstep.coordinator.ports import Store
from lockstep.coordinator.store.opening import open_store
from lockstep.dataservice.catalogue import study_records
from tests.conftest import Serve
from tests.dashboard.scenery import FIVE, Past
from tests.dashboard.survey import measure
from tests.faces import coordinator

RELEASES, SERVICES = 10_000, 200
LIMIT_BYTES = 300_000
LIMIT_S = 0.5
TRIES = 7
"""The quickest of so many counts, in time of the processor: what the page costs, not what else the machine does."""

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
async def _full(folder: Path) -> AsyncIterator[tuple[Store, dict[str, str]]]:
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


@pytest.mark.timeout(300)
def test_every_page_is_quick_and_light(serve: Serve, tmp_path: Path) -> None:
    async def go() -> dict[str, str]:
        slow = {}
        async with (
            _full(tmp_path) as (store, shown),
            coordinator(store) as c,
            serve(c.app()) as url,
            httpx.AsyncClient(base_url=url, headers={"Accept": "text/html"}) as web,
        ):
            for path in (path.format(**shown) for path in PATHS):
                quickest_s, size = await measure(web, path, TRIES)
                if quickest_s > LIMIT_S or size > LIMIT_BYTES:
                    slow[path] = f"{1000 * quickest_s:.0f} ms, {size / 1000:.0f} kB"
        return slow

    assert asyncio.run(go()) == {}
