"""Instant task services: one process, as many origins as asked for, each answering the state that was wanted.

They speak just enough HTTP/1.1 to be told apart from no server at all, so that what is measured is the coordinator
and not the services. `python -m bench.services 100` prints its ports, one JSON list, and serves until killed.
"""

import asyncio
import json
import sys

ANSWERS = {
    b'"initialize"': b'{"state": "pending"}',
    b'"start"': b'{"state": "staged", "progress": 100}',
    b'"publish"': b'{"state": "published", "progress": 100}',
    b'"cancel"': b'{"state": "canceled"}',
}
SLOW = sys.argv[2:] == ["slow"]
SLOW_S = 1.0
"""How long a slow service thinks about an action, so that whoever waits for its answer can be killed meanwhile."""

STATUS = b'{"name": "instant service", "version": "1"}'


class Instant(asyncio.Protocol):
    """One connection; requests come one after another, each whole when its body is."""

    def __init__(self) -> None:
        self.held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.held += data
        while b"\r\n\r\n" in self.held:
            head, rest = self.held.split(b"\r\n\r\n", 1)
            length = _content_length(head)
            if len(rest) < length:
                return
            self.held = rest[length:]
            self._answer(_body(head, rest[:length]))

    def _answer(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        assert isinstance(self.transport, asyncio.WriteTransport)
        if SLOW and body != STATUS:
            asyncio.get_running_loop().call_later(SLOW_S, self.transport.write, head + body)
        else:
            self.transport.write(head + body)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _body(head: bytes, request: bytes) -> bytes:
    if head.startswith(b"GET"):
        return STATUS
    return next((answer for word, answer in ANSWERS.items() if word in request), STATUS)


async def serve(number: int) -> None:
    """Serve so many origins on loopback until the process ends."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Instant, "127.0.0.1", 0, backlog=512) for _ in range(number)]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
