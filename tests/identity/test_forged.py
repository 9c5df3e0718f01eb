"""What strangers write into tokens and addresses comes back as text at the most; who guesses ids is told nothing."""

import asyncio
import base64
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from lockstep.coordinator.core.model import EventType
from lockstep.coordinator.core.records import NewEvent, StudyFacts
from tests.conftest import Serve
from tests.faces import STUDIES
from tests.identity.house import houses

SPLIT = "exp\r\nSet-Cookie: owned=1\r\n\r\n<script>"
HEADERS: tuple[Mapping[str, Any], ...] = (
    {"crit": [SPLIT]},
    {"crit": ["x\0y"], "x\0y": 1},
    {"typ": SPLIT, "cty": '"quoted", error="other"'},
    {"crit": ["é" * 5000]},
    {SPLIT: SPLIT},
)

ASKED: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    ("GET", "/releases/{release}", {}),
    ("HEAD", "/releases/{release}", {}),
    ("GET", "/releases/{release}", {"If-None-Match": "*"}),
    ("GET", "/releases/{release}", {"Accept": "text/html"}),
    ("GET", "/releases/{release}", {"Accept": "text/event-stream"}),
    ("GET", "/releases/{release}/events/stream", {}),
    ("GET", "/releases/{release}/tasks/{task}", {}),
    ("GET", "/releases/{release}/publish", {"Accept": "text/html"}),
    ("GET", "/releases/{release}/cancel", {"Accept": "text/html"}),
    ("GET", "/releases/{release}/edit", {"Accept": "text/html"}),
    ("GET", "/releases/{release}/notes/{note}", {"Accept": "text/html"}),
    ("GET", "/public/{release}", {"Accept": "text/html"}),
    ("GET", "/studies/{study}/releases/{release}", {}),
    ("GET", "/tasks/{task}", {}),
    ("GET", "/events/{event}", {}),
    ("GET", "/release-notes/{note}", {}),
    ("GET", "/releases?kf_id={release}", {}),
    ("GET", "/tasks?release={release}", {}),
    ("GET", "/tasks?kf_id={task}", {}),
    ("GET", "/events?release={release}", {}),
    ("GET", "/events?task={task}", {}),
    ("GET", "/release-notes?release={release}", {}),
    ("GET", "/events?release={release}", {"Accept": "text/html"}),
    ("PATCH", "/releases/{release}", {"If-Match": '"x"'}),
    ("PATCH", "/tasks/{task}", {"If-Match": '"x"'}),
    ("PATCH", "/releases/{release}/tasks/{task}", {}),
    ("DELETE", "/releases/{release}", {}),
    ("POST", "/releases/{release}/publish", {}),
    ("POST", "/release-notes", {}),
)


def forged(header: Mapping[str, Any]) -> str:
    """A token that nobody signed, under a header of a stranger's making."""
    parts = ({"alg": "RS256", "kid": "one", **header}, {"sub": "x"})
    written = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    return ".".join((*written, base64.urlsafe_b64encode(b"s" * 256).rstrip(b"=").decode()))


@pytest.mark.parametrize("header", HEADERS)
def test_a_token_cannot_write_headers(serve: Serve, header: Mapping[str, Any]) -> None:
    """Why a token does not hold is told in a header, and the reason may quote the token."""

    async def go() -> None:
        async with houses(serve) as build, serve((await build()).app) as url, httpx.AsyncClient(base_url=url) as web:
            answer = await web.get("/releases", headers={"Authorization": f"Bearer {forged(header)}"})
            assert (answer.status_code, answer.json()["count"]) == (200, 1), "the caller is anonymous"
            told = answer.headers["www-authenticate"]
            assert re.fullmatch(r'Bearer error="invalid_token", error_description="[^"\\]{1,300}"', told)
            assert "set-cookie" not in answer.headers

    asyncio.run(go())


def test_a_study_that_is_not_shown_is_as_unknown_to_filters_as_one_that_is_not_there(serve: Serve) -> None:
    async def go() -> None:
        async with houses(serve) as build:
            house = await build()
            hidden, nobodys = "SD_H1DDEN00", "SD_N0B0DY00"
            known = [StudyFacts(kf_id, kf_id, True, datetime.now(UTC)) for kf_id in STUDIES]
            await house.store.sync_studies([*known, StudyFacts(hidden, hidden, False, datetime.now(UTC))])
            async with house.web("anonymous") as web:
                for path in ("/studies/{}", "/studies/{}/releases", "/studies/{}/current", "/release-notes?study={}"):
                    said = [await web.get(path.format(kf_id)) for kf_id in (hidden, nobodys)]
                    assert said[0].status_code == said[1].status_code
                    assert said[0].text.replace(hidden, nobodys) == said[1].text, path

    asyncio.run(go())


def test_why_a_service_failed_is_not_told_to_those_outside(serve: Serve) -> None:
    """A service gives its own reason for a failure, which may name whatever it lives on."""

    async def go() -> None:
        async with houses(serve) as build:
            house = await build()
            target = house.targets["own"]
            cause = f"task {target.task_id} failed: cannot reach postgresql://10.11.12.13/lake"
            await house.store.add_event(
                NewEvent(EventType.ERROR, cause, target.release_id, task_id=target.task_id), datetime.now(UTC)
            )
            async with house.web("user") as web:
                shown = (await web.get("/events", params={"release": target.release_id, "limit": 100})).json()
            messages = [row["message"] for row in shown["results"]]
            assert f"task {target.task_id} failed" in messages
            assert not any("10.11.12.13" in message for message in messages)

    asyncio.run(go())


@pytest.mark.parametrize("caller", ["anonymous", "outsider"])
def test_what_is_not_shown_is_not_told_from_what_is_not_there(serve: Serve, caller: str) -> None:
    """By no address, no condition and no filter: whoever guesses ids learns nothing."""

    async def go() -> None:
        async with houses(serve) as build:
            house = await build()
            target = house.targets["own"]
            there = {
                "release": target.release_id,
                "task": target.task_id,
                "event": target.event_id,
                "note": target.note_id,
            }
            nobodys = {name: f"{kf_id[:3]}ZZZZZZZZ" for name, kf_id in there.items()}
            async with house.web(caller) as web:
                for method, path, headers in ASKED:
                    said = []
                    for ids in (there, nobodys):
                        given = {"release": ids["release"], "description": "x", "progress": 1}
                        answer = await web.request(
                            method,
                            path.format(study=target.study_id, **ids),
                            headers=headers,
                            json=None if method in {"GET", "HEAD"} else given,
                        )
                        text = answer.text
                        for name, kf_id in ids.items():
                            text = text.replace(kf_id, name)
                        said.append((answer.status_code, answer.headers.get("etag"), text))
                    assert said[0] == said[1], (method, path, headers)

    asyncio.run(go())
