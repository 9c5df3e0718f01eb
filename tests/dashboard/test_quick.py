"""Pages stay quick and light with 200 services and 10,000 releases."""

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.conftest import Serve
from tests.dashboard.large import PATHS, full, measure
from tests.faces import coordinator

LIMIT_BYTES = 200_000
LIMIT_S = 0.5
TRIES = 7
"""The quickest of so many counts, in time of the processor: what the page costs, not what else the machine does."""


@pytest.mark.timeout(300)
def test_every_page_is_quick_and_light(serve: Serve, tmp_path: Path) -> None:
    async def go() -> dict[str, str]:
        slow = {}
        async with (
            full(tmp_path) as (store, shown),
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
