"""Editing what is there: releases, and everything as it was seen; requests that are sent again."""

import asyncio
from typing import Any

import httpx
import pytest

from lockstep.coordinator.core.records import PageOf
from lockstep.protocol.states import ReleaseState
from tests.conftest import Serve
from tests.faces import STUDIES, coordinator, status_app
from tests.patience import PATIENCE_S


async def _release(web: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await web.post("/releases", json={"name": "Winter", "studies": list(STUDIES[:2]), **fields})
    assert answer.status_code == 201, answer.text
    release: dict[str, Any] = answer.json()
    return release


def test_what_is_said_of_a_release_can_change_at_any_time() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            release = await _release(web, tags=["old"])
            path = f"/releases/{release['kf_id']}"
            edit = {"name": "Spring", "description": "*New*", "tags": ["new"], "version": "9.9.9", "kf_id": "x"}
            patched = await web.patch(path, json=edit)
            expected = {**release, "name": "Spring", "description": "*New*", "tags": ["new"]}
            assert (patched.status_code, patched.json()) == (200, expected)
            assert (await web.get(path)).json() == expected
            assert (await web.get("/releases?tags=new")).json()["count"] == 1
            await c.bring(release["kf_id"], ReleaseState.PUBLISHED)
            late = await web.patch(path, json={"description": "More of it."})
            assert (late.status_code, late.json()["description"]) == (200, "More of it.")
            form = await web.patch(path, data={"tags": ["a", "b"], "description": ""})
            assert (form.json()["tags"], form.json()["description"]) == (["a", "b"], "")

    asyncio.run(go())


def test_a_release_can_be_sent_back_whole() -> None:
    """As clients do that read it, change a field, and put it: what is ours to decide stays as it is."""

    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            release = await _release(web, tags=["kept"])
            path = f"/releases/{release['kf_id']}"
            put = await web.put(path, json={**release, "name": "Spring"})
            assert (put.status_code, put.json()) == (200, {**release, "name": "Spring"})
            short = await web.put(path, json={"name": "Summer", "studies": release["studies"][::-1]})
            assert short.json() == {**release, "name": "Summer"}
            answer = await web.put(path, json={"description": "x"})
            required = ["This field is required."]
            assert (answer.status_code, answer.json()) == (400, {"name": required, "studies": required})

    asyncio.run(go())


def test_the_studies_of_a_release_stay() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            release = await _release(web)
            answer = await web.patch(f"/releases/{release['kf_id']}", json={"studies": [STUDIES[2]], "name": "x"})
            assert answer.status_code == 409
            assert "stay as they are" in answer.json()["detail"]
            assert (await web.get(f"/releases/{release['kf_id']}")).json() == release

    asyncio.run(go())


def test_whether_a_release_is_major_can_be_said_until_it_is_published() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            release = await _release(web)
            path = f"/releases/{release['kf_id']}"
            assert (await web.patch(path, json={"is_major": True})).json()["is_major"] is True
            told = (await web.get(f"/events?release={release['kf_id']}")).json()["results"][0]["message"]
            assert told.startswith(f"release {release['kf_id']} is now a major one: ")
            await c.bring(release["kf_id"], ReleaseState.PUBLISHED)
            assert (await web.get(path)).json()["version"] == "1.0.0"
            assert (await web.patch(path, json={"is_major": True, "name": "x"})).status_code == 200
            late = await web.patch(path, json={"is_major": False})
            assert late.status_code == 409
            assert "in state published may no longer change whether it is major" in late.json()["detail"]

    asyncio.run(go())


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        ({"name": ""}, {"name": ["This field may not be blank."]}),
        ({"name": None}, {"name": ["This field may not be null."]}),
        ({"tags": ["a", ""]}, {"tags": {"1": ["This field may not be blank."]}}),
        ({"studies": []}, {"studies": ["Must have at least one study"]}),
        ({"is_major": "yes"}, {"is_major": ["This must be true or false, not 'yes'."]}),
    ],
)
def test_a_bad_edit_of_a_release_changes_nothing(edit: dict[str, Any], expected: dict[str, Any]) -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            release = await _release(web)
            answer = await web.patch(f"/releases/{release['kf_id']}", json={"description": "new", **edit})
            assert (answer.status_code, answer.json()) == (400, expected)
            assert (await web.get(f"/releases/{release['kf_id']}")).json() == release

    asyncio.run(go())


def test_an_edit_and_its_publishing_are_one() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            await c.service()
            release = await _release(web)
            path = f"/releases/{release['kf_id']}"
            early = await web.patch(path, json={"name": "Spring", "state": "publishing"})
            assert early.status_code == 409
            assert (await web.get(path)).json()["name"] == "Winter"
            await c.bring(release["kf_id"], ReleaseState.STAGED)
            now = (await web.patch(path, json={"name": "Spring", "state": "publishing", "is_major": True})).json()
            assert (now["name"], now["state"], now["version"]) == ("Spring", "publishing", "1.0.0")

    asyncio.run(go())


async def _things(web: httpx.AsyncClient, service_url: str) -> list[str]:
    """Return the addresses of one thing of each kind that has a tag."""
    service = (await web.post("/task-services", json={"name": "s", "url": service_url})).json()
    release = await _release(web)
    note = (await web.post("/release-notes", json={"description": "n", "release": release["kf_id"]})).json()
    task = release["tasks"][0]["kf_id"]
    event = (await web.post("/events", json={"message": "m"})).json()
    return [
        f"/task-services/{service['kf_id']}",
        f"/releases/{release['kf_id']}",
        f"/release-notes/{note['kf_id']}",
        f"/tasks/{task}",
        f"/releases/{release['kf_id']}/tasks/{task}",
        f"/events/{event['kf_id']}",
        f"/studies/{STUDIES[0]}",
        f"/studies/{STUDIES[0]}/releases/{release['kf_id']}",
    ]


def test_nobody_is_sent_what_they_have(serve: Serve) -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web, serve(status_app({"name": "task"})) as url:
            for path in await _things(web, url):
                first = await web.get(path)
                tag = first.headers["etag"]
                assert first.headers["cache-control"] == "private, no-cache"
                for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
                    again = await web.get(path, headers={"If-None-Match": given})
                    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag), path
                other = await web.get(path, headers={"If-None-Match": '"other"'})
                assert (other.status_code, other.content) == (200, first.content)

    asyncio.run(go())


def test_nobody_changes_what_they_have_not_seen(serve: Serve) -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web, serve(status_app({"name": "task"})) as url:
            service, release, note, task, *_ = await _things(web, url)
            for path, edit, again in (
                (service, {"name": "t"}, {"name": "u"}),
                (release, {"name": "Spring"}, {"name": "Summer"}),
                (note, {"description": "o"}, {"description": "p"}),
                (task, {"progress": 10}, {"progress": 20}),
            ):
                seen = (await web.get(path)).headers["etag"]
                edited = await web.patch(path, json=edit, headers={"If-Match": seen})
                assert edited.status_code == 200, edited.text
                late = await web.patch(path, json=again, headers={"If-Match": seen})
                assert late.status_code == 412
                assert "look at it again" in late.json()["detail"]
                assert (await web.get(path)).json() == edited.json()
                weak = {"If-Match": f"W/{edited.headers['etag']}"}
                assert (await web.patch(path, json=again, headers=weak)).status_code == 412
                for right in (edited.headers["etag"], "*"):
                    assert (await web.patch(path, json=again, headers={"If-Match": right})).status_code in {200, 412}
                assert (await web.get(path)).json() != edited.json()
            for path in (service, note, release):
                assert (await web.delete(path, headers={"If-Match": '"other"'})).status_code == 412
                tag = (await web.get(path)).headers["etag"]
                assert (await web.delete(path, headers={"If-Match": tag})).status_code in {200, 204}

    asyncio.run(go())


def test_two_who_saw_the_same_do_not_both_change_it() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            release = await _release(web)
            path = f"/releases/{release['kf_id']}"
            seen = {"If-Match": (await web.get(path)).headers["etag"]}
            edits = [web.patch(path, json={"name": f"n{n}"}, headers=seen) for n in range(5)]
            statuses = [answer.status_code for answer in await asyncio.gather(*edits)]
            assert sorted(statuses) == [200, 412, 412, 412, 412]

    asyncio.run(go())


def test_a_request_that_is_sent_again_gives_the_same_release() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            body = {"name": "Winter", "studies": [STUDIES[0]]}
            key = {"Idempotency-Key": "4c1b"}
            first, second = await asyncio.gather(*(web.post("/releases", json=body, headers=key) for _ in range(2)))
            assert (first.status_code, second.status_code) == (201, 201)
            assert first.json() == second.json()
            form = await web.post("/releases", data=body, headers=key)
            assert form.json()["kf_id"] == first.json()["kf_id"]
            other = await web.post("/releases", json={**body, "name": "Spring"}, headers=key)
            assert other.status_code == 422
            assert other.json()["detail"] == (
                "The Idempotency-Key '4c1b' was sent with another request before; each request needs its own."
            )
            await web.post("/releases", json=body, headers={"Idempotency-Key": "other"})
            assert (await c.store.releases(PageOf())).count == 2
            long = await web.post("/releases", json=body, headers={"Idempotency-Key": "k" * 256})
            assert (long.status_code, list(long.json())) == (400, ["Idempotency-Key"])

    asyncio.run(go())


def test_what_can_be_got_can_be_asked_for_without_its_body(serve: Serve) -> None:
    async def go() -> None:
        async with (
            coordinator() as c,
            serve(c.app()) as url,
            serve(status_app({"name": "t"})) as service_url,
            httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as web,
        ):
            single = await _things(web, service_url)
            collections = ["/", "/status", "/releases", "/tasks", "/events", "/studies", "/task_services"]
            for path in (*collections, "/release-notes", "/openapi.json", *single):
                got, head = await web.get(path), await web.head(path)
                assert (head.status_code, head.content) == (200, b""), path
                assert head.headers["content-type"] == got.headers["content-type"]
                assert head.headers.get("etag") == got.headers.get("etag")
            stream = await web.head(f"{single[1]}/events/stream")
            assert stream.headers["content-type"].startswith("text/event-stream")

    asyncio.run(go())
