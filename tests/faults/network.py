"""A cable between two processes, to be cut: a TCP proxy that forwards, says nothing any more, or hangs up."""

import asyncio
import threading
from contextlib import suppress
from typing import Self

from tests.patience import PATIENCE_S


class Cable:
    """A TCP proxy to a port of loopback, in a thread of its own."""

    def __init__(self, to_port: int) -> None:
        self.port = 0
        self._to_port = to_port
        self._whole = asyncio.Event()
        self._ready = threading.Event()
        self._ends: set[asyncio.StreamWriter] = set()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),))

    def __enter__(self) -> Self:
        self._whole.set()
        self._thread.start()
        assert self._ready.wait(PATIENCE_S), "the proxy did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)

    def cut(self) -> None:
        """Carry nothing any more, and say so to nobody."""
        self._loop.call_soon_threadsafe(self._whole.clear)

    def heal(self, *, hang_up: bool) -> None:
        """Carry again: what was on the way arrives late, unless all connections were lost meanwhile."""
        self._loop.call_soon_threadsafe(self._heal, hang_up)

    def _heal(self, hang_up: bool) -> None:
        if hang_up:
            for end in list(self._ends):
                end.transport.abort()
        self._whole.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        while self._ends:
            self._heal(hang_up=True)
            await asyncio.sleep(0.01)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        try:
            await self._whole.wait()
            there, back = await asyncio.open_connection("127.0.0.1", self._to_port)
            self._ends.add(back)
            try:
                await asyncio.gather(self._carry(reader, back), self._carry(there, writer))
            finally:
                self._ends.discard(back)
                back.transport.abort()
        except OSError:
            return
        finally:
            self._ends.discard(writer)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                await self._whole.wait()
                writer.write(data)
                await writer.drain()
            await self._whole.wait()
        writer.transport.abort()
