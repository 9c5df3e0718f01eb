"""What tests of every area share: an application served for real, on a loopback port that the system chose."""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import uvicorn

Serve = Callable[[Any], AbstractAsyncContextManager[str]]


@asynccontextmanager
async def _serving(app: Any) -> AsyncIterator[str]:
    # Named as TCP, or asyncio would not switch Nagle's delay off and every answer would take 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    assert server.started, "the application did not start"
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        await server.shutdown(sockets=[listener])


@pytest.fixture
def serve() -> Serve:
    """Put any ASGI application behind a real server, in the test's own event loop, for the length of a `with`."""
    return _serving
