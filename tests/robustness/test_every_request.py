"""What every answer has: an id, careful headers, a line in the log; whatever the answer is."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.store.memory import MemoryStore
from tests.conftest import Serve
from tests.faces import coordinator
from tests.patience import PATIENCE_S, until

CAREFUL = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


class BrokenStore(MemoryStore):
    """A store in which looking at releases is a mistake of ours, and at events an outage."""

    async def releases(self, *_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("a mistake")

    async def events(self, *_: Any, **__: Any) -> Any:
        raise Unavailable("The database is away.")


async def ask(method: str, path: str, store: MemoryStore | None = None, **asked: Any) -> httpx.Response:
    async with coordinator(store) as here, here.client() as web:
        return await web.request(method, path, **asked)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/status", 200),
        ("GET", "/releases/RE_00000000", 404),
        ("GET", "/nothing/here", 404),
        ("PUT", "/status", 405),
        ("POST", "/releases", 400),
        ("GET", "/events", 503),
        ("GET", "/releases", 500),
    ],
)
def test_every_answer_has_an_id_and_careful_headers_once(method: str, path: str, status: int) -> None:
    answer = asyncio.run(ask(method, path, BrokenStore()))
    assert answer.status_code == status
    assert CAREFUL.items() <= dict(answer.headers).items()
    assert len(answer.headers["x-request-id"]) == 16
    names = [name for name, _ in answer.headers.multi_items()]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("given", ["a", "7f2b-11.c", "Root=1-67891233-abcdef012345678912345678", "x" * 128])
def test_a_sound_id_is_kept(given: str) -> None:
    assert asyncio.run(ask("GET", "/status", headers={"X-Request-ID": given})).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", " ", "a b", 'a"b', "-a", "x" * 129, "ä", "a,b"])
def test_an_id_that_is_none_is_made_anew(given: str) -> None:
    answer = asyncio.run(ask("GET", "/status", headers=[(b"X-Request-ID", given.encode())]))
    assert answer.headers["x-request-id"] != given
    assert len(answer.headers["x-request-id"]) == 16


def test_what_is_logged_on_the_way_has_the_id() -> None:
    """The mistake is logged whole under the id that its answer has."""

    async def go() -> None:
        answer = await ask("GET", "/releases", BrokenStore(), headers={"X-Request-ID": "mine"})
        assert answer.json()["detail"].startswith("Something broke here.")

    with capture_logs(processors=[_with_context]) as logs:
        asyncio.run(go())
    assert [(line["event"], line["request_id"]) for line in logs] == [("request_broke", "mine"), ("request", "mine")]


def _with_context(logger: object, method: str, line: Any) -> Any:
    import structlog  # noqa: PLC0415

    return structlog.contextvars.merge_contextvars(logger, method, line)


def test_changes_are_logged_with_their_caller_and_reads_are_not() -> None:
    async def go() -> None:
        async with coordinator() as here, here.client() as web:
            await web.get("/releases")
            await web.post("/releases", json={"name": "Winter", "studies": ["SD_DYPMEHHF"]})

    with capture_logs() as logs:
        asyncio.run(go())
    (line,) = logs
    assert line.pop("ms") >= 0
    expected = {"event": "request", "log_level": "info", "method": "POST", "path": "/releases", "status": 201}
    assert line == {**expected, "caller": "admin"}


def test_pages_may_load_what_comes_from_here_and_a_secure_connection_stays_one() -> None:
    async def go() -> None:
        async with coordinator() as here:
            transport = httpx.ASGITransport(here.app())
            async with httpx.AsyncClient(transport=transport, base_url="https://lockstep.example.org") as web:
                page = await web.get("/releases", headers={"Accept": "text/html"})
                assert page.headers["content-type"].startswith("text/html")
                assert "'self'" in page.headers["content-security-policy"]
                assert page.headers["strict-transport-security"] == "max-age=31536000"

    asyncio.run(go())


def test_a_stream_of_events_flows_as_it_is_written(serve: Serve) -> None:
    """Nothing on the way gathers the answer: the first message arrives while the stream goes on."""

    async def go() -> None:
        async with coordinator() as here, serve(here.app()) as url, httpx.AsyncClient() as web:
            view = await here.release()
            path = f"{url}/releases/{view.release.kf_id}/events/stream"
            async with asyncio.timeout(PATIENCE_S), web.stream("GET", path) as answer:
                assert answer.headers["x-content-type-options"] == "nosniff"
                lines = answer.aiter_lines()
                assert await anext(lines) == "event: release"
                assert json.loads((await anext(lines)).removeprefix("data: "))["state"] == "waiting"
                metrics = (await web.get(f"{url}/metrics")).text
                assert "lockstep_event_streams 1.0" in metrics
                here.desk.closing.set()

            async def closed() -> bool:
                return "lockstep_event_streams 0.0" in (await web.get(f"{url}/metrics")).text

            await until(closed)

    asyncio.run(go())
