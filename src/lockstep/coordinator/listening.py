"""The port that a coordinator serves on, and the server on it."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from lockstep.coordinator.connections import BoundedConnection
from lockstep.coordinator.settings import PREFIX

GRACE_S: Final = 2
"""How long requests that are being answered may take when the coordinator stops, in seconds."""

_BACKLOG: Final = 2048


class CannotStart(Exception):
    """The coordinator cannot start; the text is one line that says why, and what to do."""


def listen(host: str, port: int, setting: str = "PORT") -> socket.socket:
    """Take the port, before anything else is begun: a taken one is the most common reason not to start.

    Args:
        host: the address to serve on.
        port: the port; 0 takes any that is free.
        setting: by which the port was chosen.

    Raises:
        CannotStart: it cannot be served on; the text says why.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = min(found, key=lambda each: each[0] is not socket.AF_INET)
        # Named as TCP, or asyncio leaves Nagle's delay on, and every answer takes 40 ms.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise CannotStart(f"{PREFIX}HOST is {host!r}, which is no address of this machine: {error}.") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        named = f"{PREFIX}{setting}"
        if error.errno == errno.EADDRINUSE:
            reason = f"Port {port} of {host} is taken by another program: end that one, or set {named} to another"
        else:
            reason = f"Port {port} of {host} cannot be served on ({error.strerror}): set {named} or {PREFIX}HOST"
        raise CannotStart(f"{reason} (0 takes any port that is free).") from error
    return listener


@asynccontextmanager
async def serving(
    app: ASGIApp,
    closing: asyncio.Event,
    listener: socket.socket,
    connection: type[BoundedConnection] = BoundedConnection,
) -> AsyncIterator[None]:
    """Serve an application on a port for as long as the context is open; its event streams end with `closing`."""
    config = uvicorn.Config(
        app,
        http=connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    async with asyncio.TaskGroup() as group:
        ticking = group.create_task(server.main_loop())
        try:
            yield
        finally:
            closing.set()
            server.should_exit = True
            await ticking
            await server.shutdown(sockets=[listener])


def url_of(host: str, listener: socket.socket) -> str:
    """Return the address at which a port is reached."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}"
