"""Connections that say nothing, never come to an end, or say too much, against the server that `serve` runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from lockstep.coordinator.connections import HEAD_LIMIT_BYTES, BoundedConnection
from lockstep.coordinator.listening import listen, serving
from tests.patience import PATIENCE_S

HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
WHOLE = HEAD + b"Content-Length: 4\r\n\r\nbody"


class Impatient(BoundedConnection):
    """A connection that gives up soon."""

    head_patience_s = 0.3
    body_patience_s = 0.3


class Served:
    """A server whose one address repeats the body, after `may_answer` where the body says so."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.may_answer = asyncio.Event()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        if body == b"wait":
            await self.may_answer.wait()
        return PlainTextResponse(body)


@asynccontextmanager
async def served(connection: type[BoundedConnection]) -> AsyncIterator[Served]:
    listener = listen("127.0.0.1", 0)
    here = Served(listener.getsockname()[1])
    app = Starlette(routes=[Route("/", here.answer, methods=["POST"])])
    async with serving(app, asyncio.Event(), listener, connection):
        yield here


async def all_of(reader: asyncio.StreamReader) -> bytes:
    """Everything until the other side closes; a reset says so as well."""
    heard = b""
    async with asyncio.timeout(PATIENCE_S):
        try:
            while piece := await reader.read(65536):
                heard += piece
        except ConnectionError:
            pass
    return heard


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\r\n\r\n",
        HEAD,
        HEAD + b"X: half of a hea",
        HEAD + b"Content-Length: 9\r\n\r\nhalf",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ],
)
def test_what_does_not_go_on_is_given_up(sent: bytes) -> None:
    async def go() -> None:
        async with served(Impatient) as here:
            reader, writer = await here.connect()
            writer.write(sent)
            assert await all_of(reader) == b""
            writer.close()

    asyncio.run(go())


def test_a_connection_that_was_answered_once_is_given_up_as_well() -> None:
    """Empty lines between requests are no request, and do not keep a connection."""

    async def go() -> None:
        async with served(Impatient) as here:
            reader, writer = await here.connect()
            writer.write(WHOLE)
            await reader.readuntil(b"body")
            writer.write(b"\r\n")
            assert await all_of(reader) == b""
            writer.close()

    asyncio.run(go())


def test_a_head_without_an_end_is_refused() -> None:
    async def go() -> None:
        async with served(BoundedConnection) as here:
            reader, writer = await here.connect()
            writer.write((HEAD + b"X: ").ljust(HEAD_LIMIT_BYTES + 1, b"x"))
            assert (await all_of(reader)).startswith(b"HTTP/1.1 431 ")
            writer.close()

    asyncio.run(go())


def test_requests_are_answered_one_after_the_other_however_long_that_takes() -> None:
    """What is waited for is the caller, and not the answer: it comes after others have been given up long ago."""

    async def go() -> None:
        async with served(Impatient) as here:
            reader, writer = await here.connect()
            writer.write(WHOLE + WHOLE)
            for _ in range(2):
                await reader.readuntil(b"body")
            writer.write(WHOLE.replace(b"body", b"wait") + WHOLE)
            for _ in range(2):
                silent, other = await here.connect()
                assert await all_of(silent) == b""
                other.close()
            here.may_answer.set()
            await reader.readuntil(b"wait")
            await reader.readuntil(b"body")
            writer.close()

    asyncio.run(go())
