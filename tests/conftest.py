"""What tests of every area share: an application served for real, on a loopback port that the system chose."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import uvicorn
from hypothesis import settings

# Tests share their processors with others: how long an example takes says nothing.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

Serve = Callable[[Any], AbstractAsyncContextManager[str]]

_PATIENCE_S = 2


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """Put an application behind a real server for the length of a `with`."""
    # Named as TCP, or asyncio would not switch Nagle's delay off and every answer would take 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning")
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    assert server.started, "the application did not start"
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        await _shut_down(server)


async def _shut_down(server: uvicorn.Server) -> None:
    """Do what `Server.shutdown` does, without the tenth of a second that it sleeps: a hundred tests would feel it."""
    for listening in server.servers:
        listening.close()
    for connection in list(server.server_state.connections):
        connection.shutdown()
    if server.server_state.tasks:
        await asyncio.wait(server.server_state.tasks, timeout=_PATIENCE_S)
    await server.lifespan.shutdown()


@pytest.fixture
def serve() -> Serve:
    """Put any ASGI application behind a real server, in the test's own event loop, for the length of a `with`."""
    return serving


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that have a time-out of their own: the long ones, which would end alone otherwise."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)
