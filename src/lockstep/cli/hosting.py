"""Running servers: `serve`, the task services and the demo all listen, start and end by what is here.

A port is taken before anything else is done, so that one that is not free costs nothing and is told in one sentence.
Servers that run together are told to stop together. Ctrl-C and SIGTERM mean the same: stop taking requests, let those
that are under way come to their end for a moment, and exit with status 0.
"""

import asyncio
import errno
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final

import uvicorn

from lockstep.cli.endings import Refused

GRACE_S: Final = 1.5
"""How long requests that are under way may take to end when the server stops."""

_BACKLOG: Final = 2048
_START_TICK_S: Final = 0.005


class _Server(uvicorn.Server):
    """A server that leaves signals to `run`."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Hosting:
    """Servers that run together; made by `hosting`."""

    def __init__(self) -> None:
        self._servers: list[tuple[_Server, asyncio.Task[None], Callable[[], None] | None]] = []

    async def start(self, app: Any, listener: socket.socket, *, stopping: Callable[[], None] | None = None) -> None:  # noqa: ANN401 - any ASGI application
        """Serve an application on a listening socket; it answers when this returns.

        Args:
            app: an ASGI application.
            listener: from `listen`.
            stopping: called when the server is to stop, so that answers without an end can end.

        Raises:
            Refused: the application did not start; its log says why.
        """
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=GRACE_S)  # type: ignore[arg-type] # fractions are fine
        server = _Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        self._servers.append((server, task, stopping))
        while not server.started:
            if task.done():
                task.result()
                raise Refused(f"What was to be served at {address_of(listener)} did not start.")
            await asyncio.sleep(_START_TICK_S)

    async def wait(self) -> None:
        """Wait until one of the servers has ended."""
        await asyncio.wait([task for _, task, _ in self._servers], return_when=asyncio.FIRST_COMPLETED)

    async def stop(self) -> None:
        """Stop all servers at the same time."""
        for server, _, stopping in self._servers:
            if stopping is not None:
                stopping()
            server.should_exit = True
        await asyncio.gather(*(task for _, task, _ in self._servers), return_exceptions=True)


@asynccontextmanager
async def hosting() -> AsyncIterator[Hosting]:
    """Have servers run together for as long as the context is open."""
    servers = Hosting()
    try:
        yield servers
    finally:
        await servers.stop()


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run servers until they end by themselves, or are told to by Ctrl-C or SIGTERM."""

    async def until_told() -> None:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        with suppress(asyncio.CancelledError):
            await task

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(until_told())


def listen(host: str, port: int, *, remedy: str = "choose another with --port") -> socket.socket:
    """Take a port.

    Args:
        host: the address or the name to listen on.
        port: the port; 0 for any that is free.
        remedy: what to do when it is not free, as the end of a sentence.

    Raises:
        Refused: it is taken, or may not be used.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError) as error:
        raise Refused(f"This machine has no address {host!r}; 127.0.0.1 would be one.") from error
    # Named as TCP, or asyncio would leave the delay of small packets on and every answer would take 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise Refused(_why_not(error, host, port, remedy)) from error
    return listener


def address_of(listener: socket.socket) -> str:
    """Return the address at which a browser on this machine reaches a listening socket."""
    host, port = listener.getsockname()[:2]
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _why_not(error: OSError, host: str, port: int, remedy: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is taken by another program: end that program, or {remedy}."
    if error.errno == errno.EACCES:
        return f"Port {port} may not be taken by this user: ports below 1024 are the administrator's; {remedy}."
    return f"This machine cannot listen on {host}, port {port} ({error.strerror}): {remedy}."


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop
