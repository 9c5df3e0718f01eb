"""Task services over HTTP, on real sockets: what is sent, and what is made of everything that can come back."""

import asyncio
import gzip
import json
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from lockstep import __version__
from lockstep.coordinator.adapters.task_services import ANSWER_LIMIT_BYTES, HttpTaskServices, Token, no_token
from lockstep.protocol.messages import Action, Answer, Refusal, Reply, Request, Silence
from lockstep.protocol.states import TaskState
from tests.patience import PATIENCE_S
from tests.scripted import Says, Service, served

TRACE = "0123456789abcdef0123456789abcdef"
REQUEST = Request(Action.START, "TA_00000001", "RE_00000001", ("SD_AAAAAAAA",), ("http://data/studies/SD_AAAAAAAA",))
TIMEOUT_S = 0.2

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def send(url: str, *, timeout_s: float = PATIENCE_S, token: Token = no_token) -> Reply:
    async with HttpTaskServices(timeout_s, token) as services:
        return await services.send(url, REQUEST, TRACE)


@asynccontextmanager
async def raw(handle: Handler) -> AsyncIterator[str]:
    """A server that reads the request and then does with the connection what it likes."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            await handle(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def answers(*pieces: bytes, then: str = "close") -> Handler:
    """Send some bytes, and then close the connection, reset it, or leave it open."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if then == "reset":
            writer.transport.abort()
        elif then == "wait":
            await reader.read()

    return handle


async def reply_to(handle: Handler, timeout_s: float = PATIENCE_S) -> Reply:
    async with raw(handle) as url:
        return await send(url, timeout_s=timeout_s)


async def reply_of(service: Service) -> Reply:
    async with served(service):
        return await send(service.url)


@pytest.mark.rule("T2")
def test_what_may_not_leave_any_more_does_not_leave_at_all() -> None:
    """It is asked once there is a connection, and not a byte has gone over it by then, or goes afterwards."""

    async def life() -> None:
        came, gone, asked = bytearray(), asyncio.Event(), list[bytes]()
        connected = asyncio.Event()

        async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connected.set()
            came.extend(await reader.read())
            writer.close()
            gone.set()

        def may_leave() -> bool:
            asked.append(bytes(came))
            return False

        server = await asyncio.start_server(listen, "127.0.0.1", 0)
        async with server, HttpTaskServices() as services:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            reply = await services.send(url, REQUEST, TRACE, may_leave)
            await connected.wait()
            await gone.wait()
        assert isinstance(reply, Silence)
        assert "the lease ran out" in reply.reason
        assert (asked, bytes(came)) == ([b""], b"")

    asyncio.run(life())


@pytest.mark.rule("R2")
def test_the_headers_say_who_asks_and_in_which_connection() -> None:
    """Two requests of one release: the same trace and key, and a span of its own each."""

    async def life() -> None:
        async with served(Service("A")) as service, HttpTaskServices() as services:
            for _ in range(2):
                await services.send(service.url, REQUEST, TRACE)
            first, second = (asked.headers for asked in service.asked)
            for headers in (first, second):
                assert headers["User-Agent"] == f"Lockstep/{__version__}"
                assert headers["Idempotency-Key"] == "TA_00000001:start"
                assert headers["Content-Type"] == "application/json"
                assert "Authorization" not in headers
                assert re.fullmatch(rf"00-{TRACE}-(?!0{{16}})[0-9a-f]{{16}}-01", headers["traceparent"])
            assert first["traceparent"] != second["traceparent"]

    asyncio.run(life())


@pytest.mark.rule("R2")
def test_a_coordinator_with_an_identity_shows_its_token() -> None:
    async def token(refused: str | None = None) -> str:
        assert refused is None
        return "made-up-token"

    async def life() -> None:
        async with served(Service("A")) as service:
            await send(service.url, token=token)
            assert service.asked[0].headers["Authorization"] == "Bearer made-up-token"

    asyncio.run(life())


def test_the_request_goes_to_tasks_below_the_registered_address() -> None:
    """Whether or not the address ends with a slash."""

    async def life() -> None:
        lines: list[bytes] = []

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            lines.append(await reader.readline())
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/base"
        assert [await send(url), await send(f"{url}/")] == [Answer(), Answer()]
        assert lines == [b"POST /base/tasks HTTP/1.1\r\n"] * 2
        server.close()

    asyncio.run(life())


def test_an_answer_is_read() -> None:
    said = Says(body={"state": "running", "progress": "50%", "anything": ["else"]})
    reply = asyncio.run(reply_of(Service("A", {"start": [said]})))
    assert reply == Answer(TaskState.RUNNING, 50)


@pytest.mark.rule("A1")
@pytest.mark.parametrize("status", [201, 202, 204, 400, 401, 404, 409, 418, 500, 503, 599])
def test_another_status_is_a_refusal(status: int) -> None:
    """With what the service said, shortened, as its reason."""
    said = Says(status, b"" if status == 204 else b"no,\n not  now " + b"x" * 5000)
    reply = asyncio.run(reply_of(Service("A", {"start": [said]})))
    assert isinstance(reply, Refusal)
    assert (reply.status, reply.reason.startswith(f"HTTP {status}")) == (status, True)
    assert len(reply.reason) < 400
    assert "\n" not in reply.reason


@pytest.mark.rule("A2")
def test_a_service_may_ask_to_be_asked_again() -> None:
    said = Says(503, b"later", {"Retry-After": "7"})
    reply = asyncio.run(reply_of(Service("A", {"start": [said]})))
    assert reply == Silence("HTTP 503 with Retry-After", 7.0)


@pytest.mark.rule("R3")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    """It is a refusal, and the address that it names is not asked."""

    async def life() -> None:
        async with served(Service("elsewhere")) as elsewhere:
            said = Says(status, b"", {"Location": f"{elsewhere.url}/tasks"})
            reply = await reply_of(Service("A", {"start": [said]}))
            assert isinstance(reply, Refusal)
            assert (reply.status, elsewhere.asked) == (status, [])

    asyncio.run(life())


@pytest.mark.rule("A3")
def test_a_refused_connection_is_no_answer() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        reply = asyncio.run(send(f"http://127.0.0.1:{port}"))
    assert isinstance(reply, Silence)
    assert f"http://127.0.0.1:{port}" in reply.reason


@pytest.mark.rule("A3")
@pytest.mark.parametrize("url", ["http://no-such-host.invalid", "http://[half", "nonsense", "http://127.0.0.1:99999"])
def test_an_address_that_leads_nowhere_is_no_answer(url: str) -> None:
    assert isinstance(asyncio.run(send(url)), Silence)


@pytest.mark.rule("A3")
@pytest.mark.parametrize(
    "handle",
    [
        pytest.param(answers(then="reset"), id="reset before the answer"),
        pytest.param(answers(then="close"), id="closed before the answer"),
        pytest.param(answers(b"HTTP/1.1 200 OK\r\n", then="close"), id="closed within the headers"),
        pytest.param(
            answers(b'HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{"state":', then="reset"), id="reset within the body"
        ),
        pytest.param(
            answers(b'HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{"state":', then="close"), id="closed in the body"
        ),
        pytest.param(
            answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n{}", then="close"),
            id="a chunk that breaks off",
        ),
        pytest.param(
            answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", then="close"),
            id="a chunk without a length",
        ),
        pytest.param(
            answers(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 8\r\n\r\nnot gzip"), id="bad gzip"
        ),
        pytest.param(answers(b"\x00\xff\xfe" * 5000 + b"\r\n\r\n"), id="not HTTP"),
        pytest.param(answers(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"), id="headers without end"),
    ],
)
def test_an_answer_that_breaks_off_is_no_answer(handle: Handler) -> None:
    """The reason is one line that any database can store, however wild the bytes were."""
    reply = asyncio.run(reply_to(handle))
    assert isinstance(reply, Silence)
    assert reply.retry_after_s is None
    assert len(reply.reason.encode()) < 500
    assert reply.reason.isprintable()


@pytest.mark.rule("A3", "R4")
def test_a_time_that_runs_out_is_no_answer() -> None:
    """A service that takes the request and says nothing."""
    reply = asyncio.run(reply_to(answers(then="wait"), TIMEOUT_S))
    assert isinstance(reply, Silence)
    assert reply.reason.endswith("within 0.2 s")


@pytest.mark.rule("R4")
def test_a_slow_drip_does_not_stretch_the_time_limit() -> None:
    """A byte now and then, for twenty seconds, keeps a connection busy, but not the coordinator waiting."""

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _byte in range(1000):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(TIMEOUT_S / 10)

    async def life() -> float:
        begun = asyncio.get_running_loop().time()
        assert isinstance(await reply_to(drip, TIMEOUT_S), Silence)
        return asyncio.get_running_loop().time() - begun

    assert asyncio.run(life()) < 10


@pytest.mark.rule("R4")
def test_a_million_bytes_of_an_answer_are_read() -> None:
    """An answer of exactly that length is read whole; one byte more, and it is an answer without a state."""
    body = json.dumps({"state": "staged", "padding": ""}).encode()
    padding = ANSWER_LIMIT_BYTES - len(body)
    full = body.replace(b'""', b'"' + b"x" * padding + b'"')
    assert len(full) == ANSWER_LIMIT_BYTES
    assert asyncio.run(reply_of(Service("A", {"start": [Says(body=full)]}))) == Answer(TaskState.STAGED)
    longer = full.replace(b"x", b"xx", 1)
    assert asyncio.run(reply_of(Service("A", {"start": [Says(body=longer)]}))) == Answer()


@pytest.mark.rule("R4")
def test_an_answer_without_end_is_left_in_its_middle() -> None:
    """Long before the time limit: the service is not read any further."""

    async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
            await writer.drain()

    assert asyncio.run(reply_to(endless)) == Answer()


@pytest.mark.rule("R4")
def test_a_small_answer_that_unpacks_to_a_large_one_counts_as_large() -> None:
    packed = gzip.compress(json.dumps({"padding": "x" * 20_000_000}).encode())
    said = Says(body=packed, headers={"Content-Encoding": "gzip"})
    assert asyncio.run(reply_of(Service("A", {"start": [said]}))) == Answer()


def test_cookies_are_not_kept() -> None:
    async def life() -> None:
        said = Says(headers={"Set-Cookie": "id=1; Path=/"})
        async with served(Service("A", {"start": [said]})) as service, HttpTaskServices() as services:
            for _ in range(2):
                await services.send(service.url, REQUEST, TRACE)
            assert ["Cookie" in asked.headers for asked in service.asked] == [False, False]

    asyncio.run(life())


def test_any_number_of_requests_is_on_its_way_at_once() -> None:
    """None of three hundred services answers before all of them have been asked."""

    async def life() -> None:
        together = asyncio.Barrier(300)

        async def meet() -> Says:
            async with asyncio.timeout(PATIENCE_S):
                await together.wait()
            return Says()

        service = Service("A", {"start": [meet] * 300})
        async with served(service), HttpTaskServices(PATIENCE_S) as services:
            replies = await asyncio.gather(*(services.send(service.url, REQUEST, TRACE) for _ in range(300)))
        assert replies == [Answer()] * 300

    asyncio.run(life())


def test_connections_that_were_not_opened_are_a_mistake_of_ours() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        asyncio.run(HttpTaskServices().send("http://127.0.0.1", REQUEST, TRACE))
