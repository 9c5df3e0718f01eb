"""Connections from outside, before and while they say what they want: for so long, and in so many bytes.

The server that stands below the application waits for ever for the end of a request's head, and keeps whatever comes
until then. A few hundred connections that send nothing would be all that this process may have open, and one that
never stops would fill its memory. So a head has to be there within a time and a size, and a body within a time; how
long a body may be is the application's to say.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_LIMIT_BYTES: Final = 64 * 1024
"""How long the first line and the headers of a request may be; the longest token alone has 16,384 characters."""

HEAD_PATIENCE_S: Final = 15.0
"""How long a connection may take to send them, from when it was made or its last request was answered."""

BODY_PATIENCE_S: Final = 60.0
"""How long the body may take after that."""

_TOO_LONG: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class BoundedConnection(HttpToolsProtocol):
    """One connection."""

    head_patience_s = HEAD_PATIENCE_S
    body_patience_s = BODY_PATIENCE_S

    def __init__(self, *given: Any, **named: Any) -> None:  # noqa: ANN401 - as the server makes it
        super().__init__(*given, **named)
        self._deadline: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as the server has it
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait(self.head_patience_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._wait(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come, and refuse a head that has no end."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_LIMIT_BYTES and not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:  # type: ignore[redundant-expr] # none at first
                self.transport.write(_TOO_LONG)
            self.transport.close()

    def on_headers_complete(self) -> None:
        """Wait for the body."""
        self._in_head = False
        self._wait(self.body_patience_s)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Leave the request to the application; what comes now is the next head."""
        self._in_head, self._head_bytes = True, 0
        self._wait(None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request, unless it is there already."""
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._wait(self.head_patience_s)

    def _wait(self, seconds: float | None) -> None:
        """Give up on the connection after so many seconds from now; None for no end."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.transport.close)
