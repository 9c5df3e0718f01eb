"""Whatever is sent to a service, the answer is JSON, a sentence, and never a fault of the service."""

import asyncio
import io
import json
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockstep.protocol.messages import Action
from lockstep.taskkit import MemoryStore, TaskService
from tests.taskkit.conversation import Conversation, conversation

GOOD = {"action": "initialize", "task_id": "TA_1", "release_id": "RE_1", "studies": ["SD_1"], "urls": ["http://d.test"]}


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in GOOD.items() if name != key}


BAD = {
    "nothing": b"",
    "no JSON": b"{action",
    "no text": b"\xff\xfe\x00",
    "a list": b"[]",
    "null": b"null",
    "deep nesting": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
    "a number too long to be read": b'{"task_id": ' + b"9" * 10_000 + b"}",
    "no action": json.dumps(without("action")),
    "no task": json.dumps(without("task_id")),
    "no release": json.dumps(without("release_id")),
    "unknown action": json.dumps(GOOD | {"action": "explode"}),
    "action is no text": json.dumps(GOOD | {"action": ["start"]}),
    "task is a number": json.dumps(GOOD | {"task_id": 7}),
    "task is empty": json.dumps(GOOD | {"task_id": ""}),
    "task too long": json.dumps(GOOD | {"task_id": "T" * 101}),
    "task with NUL": json.dumps(GOOD | {"task_id": "TA\0"}),
    "task is a path": json.dumps(GOOD | {"task_id": "../../etc"}),
    "release is a path": json.dumps(GOOD | {"release_id": ".."}),
    "half a surrogate pair": json.dumps(GOOD | {"task_id": "\ud800"}),
    "studies is a text": json.dumps(GOOD | {"studies": "SD_1"}),
    "a study is a number": json.dumps(GOOD | {"studies": [1]}),
    "a study is empty": json.dumps(GOOD | {"studies": [""]}),
    "a study with NUL": json.dumps(GOOD | {"studies": ["SD_1\0"]}),
    "a study is a path": json.dumps(GOOD | {"studies": ["/etc/passwd"]}),
    "urls is an object": json.dumps(GOOD | {"urls": {}}),
    "a url with NUL": json.dumps(GOOD | {"urls": ["http://d.test/\0"]}),
    "a url with half a surrogate pair": json.dumps(GOOD | {"urls": ["http://d.test/\udfff"]}),
    "more studies than urls": json.dumps(GOOD | {"studies": ["SD_1", "SD_2"]}),
}


async def post(web: aiohttp.ClientSession, url: str, body: Any) -> tuple[int, Any]:
    async with web.post(f"{url}/tasks", data=body) as answer:
        return answer.status, await answer.json()


def test_bad_bodies_are_refused_with_a_sentence(serve: Any) -> None:
    """Each wrong body is answered 400 by a sentence, and no task comes of any."""
    store = MemoryStore()

    async def scene() -> dict[str, int]:
        async with serve(TaskService("picky", store=store, coordinator_url="")) as url, aiohttp.ClientSession() as web:
            statuses = {}
            for name, body in BAD.items():
                statuses[name], answer = await post(web, url, body)
                assert len(answer["message"].split()) > 2, answer
            assert store.get("TA_1") is None
            assert (await post(web, url, json.dumps(GOOD)))[0] == 200
            return statuses

    assert dict.fromkeys(BAD, 400) == asyncio.run(scene())


def test_dialects_are_understood(serve: Any) -> None:
    """A start may leave out what initialize said, say it differently, and call the task `kf_id`."""
    store = MemoryStore()

    async def scene() -> None:
        service = TaskService("polyglot", store=store, coordinator_url="")
        async with serve(service) as url, aiohttp.ClientSession() as web:
            await post(web, url, json.dumps({"action": "initialize", "kf_id": "TA_1", "release_id": "RE_1"}))
            urls = {"action": "start", "kf_id": "TA_1", "release_id": "RE_1", "urls": ["http://d.test/1"]}
            await post(web, url, json.dumps(urls))
            studies = {"action": "initialize", "task_id": "TA_2", "release_id": "RE_1", "studies": ["SD_1"]}
            await post(web, url, json.dumps(studies))
            await post(web, url, json.dumps({"action": "start", "task_id": "TA_2", "release_id": "RE_1"}))
            first, second = store.get("TA_1"), store.get("TA_2")
            assert first
            assert second
            assert (first.studies, first.urls) == ((), ("http://d.test/1",))
            assert (second.studies, second.urls) == (("SD_1",), ())

    asyncio.run(scene())


@pytest.mark.parametrize("declared", [True, False], ids=["with its length", "in chunks"])
def test_a_body_too_big(serve: Any, declared: bool) -> None:
    """A body of more than a million bytes is answered 413, and the sender gets to see it."""

    async def chunks() -> Any:
        for _ in range(30):
            yield b" " * 100_000

    async def scene() -> tuple[int, Any]:
        service = TaskService("slim", store=MemoryStore(), coordinator_url="")
        async with serve(service) as url, aiohttp.ClientSession() as web:
            return await post(web, url, io.BytesIO(b" " * 3_000_000) if declared else chunks())

    assert asyncio.run(scene()) == (413, {"message": "the body is too big; a request has at most 1000000 bytes"})


def test_wrong_addresses_and_methods(serve: Any) -> None:
    """404 and 405 are JSON as well, and the 405 says what would be possible."""

    async def scene() -> dict[str, int]:
        statuses = {}
        service = TaskService("small", store=MemoryStore(), coordinator_url="")
        async with serve(service) as url, aiohttp.ClientSession() as web:
            for call in ("GET /", "GET /tasks", "PUT /tasks", "POST /status", "POST /tasks/", "DELETE /tasks/TA_1"):
                method, path = call.split()
                async with web.request(method, url + path) as answer:
                    body = await answer.json()
                    assert list(body) == ["message"]
                    assert answer.status != 405 or answer.headers["Allow"] in body["message"]
                    statuses[call] = answer.status
        return statuses

    assert asyncio.run(scene()) == {
        "GET /": 404,
        "GET /tasks": 405,
        "PUT /tasks": 405,
        "POST /status": 405,
        "POST /tasks/": 404,
        "DELETE /tasks/TA_1": 404,
    }


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NEARLY_RIGHT = st.fixed_dictionaries(
    {
        "action": st.sampled_from([action.value for action in Action]) | ANYTHING,
        "task_id": st.sampled_from(["TA_1", "TA_2"]) | ANYTHING,
        "release_id": st.just("RE_1") | ANYTHING,
    },
    optional={
        "studies": st.lists(st.just("SD_1") | st.text(st.characters(codec=None))) | ANYTHING,
        "urls": st.lists(st.just("http://d.test") | st.text(st.characters(codec=None))) | ANYTHING,
        "kf_id": ANYTHING,
    },
)
BODIES = st.binary(max_size=200) | NEARLY_RIGHT.map(json.dumps) | ANYTHING.map(json.dumps)


def test_no_body_is_answered_by_a_fault(serve: Any) -> None:
    """Any body at all is answered 200, 400 or 404, by a JSON object."""
    stack = AsyncExitStack()

    async def begin() -> Conversation:
        url = await stack.enter_async_context(serve(TaskService("fuzzed", store=MemoryStore(), coordinator_url="")))
        return await stack.enter_async_context(conversation(url))

    with asyncio.Runner() as runner:
        talk = runner.run(begin())

        @settings(max_examples=300, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
        @given(BODIES)
        def answered(body: bytes | str) -> None:
            status, answer = runner.run(post(talk.web, talk.url, body))
            assert status in {200, 400, 404}
            assert isinstance(answer.get("state" if status == 200 else "message"), str)

        try:
            answered()
        finally:
            runner.run(stack.aclose())
