"""The REST face of a coordinator in this process, asked without a socket in between."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from lockstep.coordinator.web.app import make_app
from lockstep.coordinator.web.desk import Desk
from tests.scripted import Coordinator


@asynccontextmanager
async def rest(coordinator: Coordinator) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the coordinator's API."""
    app = make_app(Desk(coordinator.commands, coordinator.store, coordinator.feed))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        yield client
