"""What tests of every area share: an application served for real, on a loopback port that the system chose.

And the same surroundings on every machine, for the tests and for the processes that they start: nothing of what
somebody has set for Lockstep, for the libraries under it or for their terminal, the usual umask, and an empty folder.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, chdir
from typing import Any

import pytest
import uvicorn
from hypothesis import settings

# Tests share their processors with others: how long an example takes says nothing.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

_FOREIGN = ("LOCKSTEP_", "AWS_", "OTEL_", "PG", "SCHEMATHESIS_", "COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR")
_CHOSEN = ("LOCKSTEP_TEST_", *(["AWS_"] if os.environ.get("LOCKSTEP_TEST_DYNAMODB") == "real" else []))

for _name in list(os.environ):
    if (_name.startswith(_FOREIGN) and not _name.startswith(_CHOSEN)) or _name.lower().endswith("_proxy"):
        del os.environ[_name]
os.umask(0o022)

pytest_plugins = ["tests.stuck"]

Serve = Callable[[Any], AbstractAsyncContextManager[str]]

_SHUTDOWN_S = 2


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
        await asyncio.wait(server.server_state.tasks, timeout=_SHUTDOWN_S)
    await server.lifespan.shutdown()


@pytest.fixture(scope="session", autouse=True)
def _empty_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A `.env` beside the code is somebody's own, and is not read."""
    with chdir(tmp_path_factory.mktemp("empty")):
        yield


@pytest.fixture
def serve() -> Serve:
    """Put any ASGI application behind a real server, in the test's own event loop, for the length of a `with`."""
    return serving


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that have a time-out of their own: the long ones, which would end alone otherwise."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)
