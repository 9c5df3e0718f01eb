"""Bad input: a status of the 400s with a sentence, never a 500, and nothing changed."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.core.records import PageOf
from lockstep.coordinator.store.memory import MemoryStore
from lockstep.coordinator.store.opening import open_store
from lockstep.protocol.states import ReleaseState
from tests.conftest import Serve
from tests.faces import STUDIES, Coordinator, coordinator
from tests.patience import PATIENCE_S

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MULTIPART = {"Content-Type": "multipart/form-data; boundary=x"}


async def _everything(c: Coordinator) -> list[Any]:
    return [
        await c.store.releases(PageOf(100)),
        await c.store.services(PageOf(100)),
        await c.store.studies(PageOf(100)),
    ]


@pytest.mark.parametrize(
    ("headers", "content", "status", "sentence"),
    [
        (JSON, b"{", 400, "JSON parse error"),
        (JSON, b"\xff\xfe\xfd", 400, "JSON parse error"),
        (JSON, b'{"name": NaN}', 400, "NaN is not JSON"),
        (JSON, b'{"name": ' + b"[" * 100_000, 400, "nested too deeply"),
        (JSON, b'{"is_major": ' + b"9" * 5000 + b"}", 400, "JSON parse error"),
        (JSON, b"[]", 400, "must be a JSON object with the fields, not list"),
        (JSON, b"null", 400, "must be a JSON object"),
        (JSON, b'"text"', 400, "must be a JSON object"),
        (JSON, b" " * 1_048_577, 413, "longer than 1048576 bytes"),
        ({"Content-Type": "text/plain"}, b"{}", 415, "'text/plain' is not read here"),
        ({"Content-Type": "application/xml"}, b"<a/>", 415, "application/json"),
        ({}, b"{}", 415, "'(none)' is not read here"),
        (MULTIPART, b"nonsense", 400, "Form parse error"),
        ({"Content-Type": "multipart/form-data"}, b"--x", 400, "Form parse error"),
        (FORM, b"studies=x&" * 10_001, 400, "Too many fields"),
        (
            MULTIPART,
            b'--x\r\nContent-Disposition: form-data; name="name"; filename="f"\r\n\r\nx\r\n--x--\r\n',
            400,
            "Form parse error",
        ),
    ],
)
@pytest.mark.parametrize("operation", [("POST", "/releases"), ("PATCH", "/tasks/TA_00000000")])
def test_a_body_that_cannot_be_read_is_refused(
    operation: tuple[str, str], headers: dict[str, str], content: bytes, status: int, sentence: str
) -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            answer = await web.request(*operation, headers=headers, content=content)
            assert answer.status_code == status, answer.text
            assert sentence in answer.json()["detail"]

    asyncio.run(go())


def test_a_body_without_a_length_is_read_up_to_the_bound(serve: Serve) -> None:
    async def endless() -> Any:
        for _ in range(50):
            yield b" " * 65_536

    async def go() -> None:
        async with (
            coordinator() as c,
            serve(c.app()) as url,
            httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as web,
        ):
            for content in (endless(), b" " * 5_000_000):
                answer = await web.post("/releases", content=content, headers=JSON)
                assert (answer.status_code, list(answer.json())) == (413, ["detail"])
            assert (await web.get("/status")).status_code == 200

    asyncio.run(go())


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"name": None, "studies": [STUDIES[0]]},
        {"name": "a\0b", "studies": [STUDIES[0]]},
        {"name": "\ud800", "studies": [STUDIES[0]]},
        {"name": "x" * 257, "studies": [STUDIES[0]]},
        {"name": "x", "studies": []},
        {"name": "x", "studies": ["SD_00000000", "a\0"]},
        {"name": "x", "studies": [{"kf_id": STUDIES[0]}]},
        {"name": "x", "studies": ["\ud800"]},
        {"name": "x", "studies": [STUDIES[0]], "tags": {"0": "a"}},
        {"name": "x", "studies": [STUDIES[0]], "is_major": 1},
        {"name": "x", "studies": [STUDIES[0]], "author": "x" * 101},
        {"name": "x", "studies": [STUDIES[0]], "description": "x" * 5001},
    ],
)
def test_a_wrong_release_is_refused_field_by_field(fields: dict[str, Any]) -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            before = await _everything(c)
            answer = await web.post("/releases", content=json.dumps(fields), headers=JSON)
            assert answer.status_code == 400
            assert all(sentences and all(sentences) for sentences in answer.json().values())
            assert await _everything(c) == before
            assert c.bell.rung == []

    asyncio.run(go())


@pytest.mark.parametrize(
    "said",
    [
        '{"metrics": {"a": "\\ud800"}}',
        '{"metrics": {"\\udfff": 1}}',
        '{"metrics": {"a": ' + "[" * 900 + "]" * 900 + "}}",
        '{"state": "failed", "error": "no file caf\\udce9"}',
    ],
)
def test_no_report_makes_a_release_unreadable(said: str, tmp_path: Path) -> None:
    """Whatever a service says of its task, the lists and the streams that show the task go on."""

    async def go() -> None:
        async with open_store(f"sqlite:///{tmp_path}/lockstep.db") as store, coordinator(store) as c, c.client() as web:
            await c.service()
            view = await c.bring((await c.release()).release.kf_id, ReleaseState.RUNNING)
            task_id, release_id = view.tasks[0].kf_id, view.release.kf_id
            answer = await web.patch(f"/tasks/{task_id}", content=said, headers=JSON)
            assert answer.status_code == 200, answer.text
            for path in ("/tasks", f"/tasks/{task_id}", "/releases", f"/releases/{release_id}", "/events"):
                assert (await web.get(path)).status_code == 200, path

    asyncio.run(go())


def test_wrong_tags_are_told_by_their_place() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            answer = await web.post("/releases", json={"name": "x", "studies": [STUDIES[0]], "tags": ["a", "", "b", 5]})
            expected = {"1": ["This field may not be blank."], "3": ["This must be a text, not 5."]}
            assert answer.json() == {"tags": expected}

    asyncio.run(go())


@pytest.mark.parametrize(
    ("path", "field"),
    [
        *[
            (f"/{name}?limit={limit}", "limit")
            for name in ("releases", "events")
            for limit in ("0", "-1", "101", "x", "")
        ],
        ("/tasks?limit=99999999999999999999999999", "limit"),
        ("/studies?limit=1.5", "limit"),
        *[(f"/task-services?offset={offset}", "offset") for offset in ("-1", "x", "1000000001", "9" * 400, "%00")],
        ("/releases?state=live", "state"),
        ("/releases?state=%00", "state"),
        ("/tasks?state=RUNNING", "state"),
        ("/tasks?release=winter", "release"),
        ("/tasks?release=TS_00000000", "release"),
        ("/tasks?release=RE_00000000", "release"),
        ("/tasks?task_service=TS_00000000", "task_service"),
        ("/task-services?enabled=maybe", "enabled"),
        ("/events?event_type=fatal", "event_type"),
        ("/events?task=%00", "task"),
        ("/events?task_service=x", "task_service"),
        ("/releases/RE_00000000/events/stream?last_event_id=-1", "last_event_id"),
        ("/releases/RE_00000000/events/stream?last_event_id=" + "9" * 30, "last_event_id"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(path: str, field: str) -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            answer = await web.get(path)
            assert (answer.status_code, list(answer.json())) == (400, [field])
            assert all(answer.json()[field])

    asyncio.run(go())


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/releases", "GET, HEAD, POST"),
        ("POST", "/releases/RE_00000000", "DELETE, GET, HEAD, PATCH, PUT"),
        ("GET", "/releases/RE_00000000/publish", "POST"),
        ("DELETE", "/tasks/TA_00000000", "GET, HEAD, PATCH, PUT"),
        ("DELETE", "/events/EV_00000000", "GET, HEAD"),
        ("POST", "/studies", "GET, HEAD"),
        ("DELETE", "/studies/sync", "POST"),
        ("TRACE", "/", "GET, HEAD"),
    ],
)
def test_a_method_that_is_not_there_is_refused_with_those_that_are(method: str, path: str, allowed: str) -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            answer = await web.request(method, path)
            assert (answer.status_code, answer.json()) == (405, {"detail": f'Method "{method}" not allowed.'})
            assert answer.headers["allow"] == allowed

    asyncio.run(go())


@pytest.mark.parametrize("host", ["a b", "a/b", "evil.example\x7f", '"', "a:b", ""])
def test_a_host_that_is_none_does_not_get_into_links(host: str) -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            before = await _everything(c)
            for method, path in (("GET", "/"), ("GET", "/releases"), ("POST", "/releases")):
                body = {"name": "x", "studies": [STUDIES[0]]}
                answer = await web.request(method, path, headers={"Host": host}, json=body)
                assert answer.status_code == 400
                assert "Host header" in answer.json()["detail"]
            assert await _everything(c) == before

    asyncio.run(go())


def test_pages_of_strangers_cannot_write_through_a_browser() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client(cors_origins=["https://portal.example.org"]) as web:
            before = await _everything(c)
            body = {"name": "x", "studies": STUDIES[0]}
            for origin in (
                "https://evil.example",
                "null",
                "http://coordinator:5001",
                "http://coordinator:5000.evil.example",
            ):
                answer = await web.post("/releases", data=body, headers={"Origin": origin})
                assert answer.status_code == 403
                assert "LOCKSTEP_CORS_ORIGINS" in answer.json()["detail"]
                assert (await web.get("/releases", headers={"Origin": origin})).status_code == 200
            assert await _everything(c) == before
            for origin in ("https://portal.example.org", "http://coordinator:5000"):
                assert (await web.post("/releases", data=body, headers={"Origin": origin})).status_code == 201

    asyncio.run(go())


def test_allowed_origins_may_read_and_others_may_not() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client(cors_origins=["https://portal.example.org"]) as web:
            answer = await web.get("/releases", headers={"Origin": "https://portal.example.org"})
            assert answer.headers["access-control-allow-origin"] == "https://portal.example.org"
            answer = await web.get("/releases", headers={"Origin": "https://evil.example"})
            assert "access-control-allow-origin" not in answer.headers
        async with coordinator() as c, c.client() as web:
            answer = await web.get("/releases", headers={"Origin": "https://portal.example.org"})
            assert "access-control-allow-origin" not in answer.headers

    asyncio.run(go())


class BrokenStore(MemoryStore):
    """A store whose database is gone, and one whose code is wrong."""

    async def releases(self, *_: Any, **__: Any) -> Any:
        raise Unavailable("The database lockstep.db is locked by another process.")

    async def check(self) -> None:
        raise Unavailable("The database lockstep.db is locked by another process.")

    async def events(self, *_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("a secret")


def test_a_database_that_does_not_answer_is_said_to_be() -> None:
    async def go() -> None:
        async with coordinator(BrokenStore()) as c, c.client() as web:
            answer = await web.get("/releases")
            sentence = "The database lockstep.db is locked by another process."
            assert (answer.status_code, answer.json()) == (503, {"detail": sentence})
            status = await web.get("/status")
            assert (status.status_code, status.json()["code"], status.json()["message"]) == (503, 503, sentence)

    asyncio.run(go())


def test_a_locked_database_refuses_writes_and_still_shows_what_there_is(tmp_path: Path) -> None:
    async def go() -> None:
        database = tmp_path / "lockstep.db"
        async with (
            open_store(f"sqlite:///{database}", busy_timeout_s=0.05) as store,
            coordinator(store) as c,
            c.client() as web,
        ):
            body = {"name": "x", "studies": [STUDIES[0]]}
            with closing(sqlite3.connect(database, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                answer = await web.post("/releases", json=body)
                assert answer.status_code == 503
                assert "is locked by another process" in answer.json()["detail"]
                assert (await web.get("/releases")).json()["count"] == 0
            assert (await web.post("/releases", json=body)).status_code == 201

    asyncio.run(go())


def test_a_mistake_of_ours_keeps_its_details_to_the_log() -> None:
    async def go() -> None:
        async with coordinator(BrokenStore()) as c, c.client() as web:
            answer = await web.get("/events")
            assert answer.status_code == 500
            assert "secret" not in answer.text
            assert list(answer.json()) == ["detail"]

    asyncio.run(go())
