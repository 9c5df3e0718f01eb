"""What clients know: the fields and their order, the links, the pages, the times."""

import asyncio
import re
from typing import Any

import httpx

from lockstep.protocol.states import ReleaseState
from tests.faces import STUDIES, coordinator

TASK = ["kf_id", "state", "progress", "release", "task_service", "created_at", "service_name"]
RELEASE = [
    *["kf_id", "name", "description", "notes", "state", "studies", "tasks", "version", "created_at", "tags", "author"],
    "is_major",
]
SERVICE = [
    *["kf_id", "name", "description", "last_ok_status", "author", "health_status", "url", "created_at", "enabled"],
    "client_id",
]
EVENT = ["kf_id", "event_type", "message", "release", "task_service", "task", "created_at"]
STUDY = ["kf_id", "name", "version", "visible", "last_pub_version", "last_pub_date", "deleted", "created_at"]
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
BASE = "http://coordinator:5000"


async def _get(web: httpx.AsyncClient, path: str, status: int = 200) -> Any:
    answer = await web.get(path)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_the_known_fields_come_first_in_their_known_order() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            await c.service()
            view = await c.release()
            await c.bring(view.release.kf_id, ReleaseState.STAGED)
            release = (await _get(web, "/releases"))["results"][0]
            assert list(release)[:12] == RELEASE
            assert list(release["tasks"][0])[:7] == TASK
            assert list((await _get(web, "/tasks"))["results"][0])[:7] == TASK
            assert list((await _get(web, "/task-services"))["results"][0]) == SERVICE
            assert list((await _get(web, "/events"))["results"][0])[:7] == EVENT
            assert list((await _get(web, "/studies"))["results"][0]) == STUDY
            assert list(await _get(web, "/releases")) == ["count", "next", "previous", "results"]

    asyncio.run(go())


def test_one_thing_looks_as_it_does_in_its_list() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            await c.service()
            view = await c.release()
            await c.bring(view.release.kf_id, ReleaseState.STAGED)
            for path in ("/releases", "/tasks", "/task-services", "/events", "/studies"):
                listed = (await _get(web, path))["results"][0]
                assert await _get(web, f"{path}/{listed['kf_id']}") == listed

    asyncio.run(go())


def test_a_release_shows_what_it_is() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            service = await c.service("reports")
            view = await c.release(*STUDIES[:2])
            await c.bring(view.release.kf_id, ReleaseState.PUBLISHED)
            shown = await _get(web, f"/releases/{view.release.kf_id}")
            [task] = shown["tasks"]
            assert (shown["state"], shown["version"], shown["studies"]) == ("published", "0.1.0", list(STUDIES[:2]))
            assert (shown["author"], shown["tags"], shown["notes"], shown["is_major"]) == ("admin", [], [], False)
            assert (shown["partially_published"], shown["waits_for"]) == (False, None)
            assert re.fullmatch(TIME, shown["created_at"])
            assert re.fullmatch(TIME, shown["published_at"])
            assert task["release"] == f"{BASE}/releases/{view.release.kf_id}"
            assert task["task_service"] == f"{BASE}/task-services/{service.kf_id}"
            assert (task["state"], task["progress"], task["service_name"]) == ("published", 100, "reports")
            assert (task["attempts"], task["last_error"]) == (0, "")

    asyncio.run(go())


def test_an_event_links_what_it_is_about() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            service = await c.service()
            view = await c.release()
            release_id, task_id = view.release.kf_id, view.tasks[0].kf_id
            await c.bring(release_id, ReleaseState.RUNNING)
            newest, _, of_task = (await _get(web, "/events"))["results"][:3]
            assert newest["message"] == f"release {release_id}, version 0.0.0 changed from initializing to running"
            assert (newest["release"], newest["task"]) == (f"{BASE}/releases/{release_id}", None)
            about = (await _get(web, f"/events?task={task_id}"))["results"][0]
            assert about["message"] == f"task {task_id} changed from waiting to pending"
            assert about["task"] == f"{BASE}/tasks/{task_id}"
            assert about["task_service"] == f"{BASE}/task-services/{service.kf_id}"
            assert of_task["event_type"] == "info"

    asyncio.run(go())


def test_a_study_shows_its_versions() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            first = await c.release(STUDIES[0])
            await c.bring(first.release.kf_id, ReleaseState.PUBLISHED)
            await c.release(STUDIES[0])
            study = await _get(web, f"/studies/{STUDIES[0]}")
            assert (study["version"], study["last_pub_version"]) == ("0.1.1", "0.1.0")
            assert study["last_pub_date"] == (await _get(web, f"/releases/{first.release.kf_id}"))["created_at"]
            other = await _get(web, f"/studies/{STUDIES[1]}")
            assert (other["version"], other["last_pub_version"], other["last_pub_date"]) == (None, None, None)

    asyncio.run(go())


def test_pages_link_to_each_other_and_keep_all_parameters_sorted() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            releases = [(await c.release()).release.kf_id for _ in range(5)]
            first = await _get(web, "/releases?z=1&limit=2&state=waiting&a=%20x")
            assert (first["count"], first["previous"]) == (5, None)
            assert first["next"] == f"{BASE}/releases?a=+x&limit=2&offset=2&state=waiting&z=1"
            second = await _get(web, first["next"])
            assert second["previous"] == f"{BASE}/releases?a=+x&limit=2&state=waiting&z=1"
            last = await _get(web, second["next"])
            assert last["next"] is None
            seen = [release["kf_id"] for page in (first, second, last) for release in page["results"]]
            assert seen == releases[::-1]

    asyncio.run(go())


def test_a_page_has_ten_rows_and_at_most_a_hundred() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            for _ in range(12):
                await c.release()
            assert len((await _get(web, "/releases"))["results"]) == 10
            assert len((await _get(web, "/releases?limit=100"))["results"]) == 12
            assert await _get(web, "/releases?offset=50") == {
                "count": 12,
                "next": None,
                "previous": f"{BASE}/releases?limit=10&offset=40",
                "results": [],
            }

    asyncio.run(go())


def test_links_follow_the_host_header() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            expected = {
                name: f"http://example.org/{name}"
                for name in ("tasks", "task-services", "releases", "release-notes", "events", "studies")
            }
            answer = await web.get("/", headers={"Host": "example.org"})
            assert answer.json() == expected
            assert list(answer.json()) == list(expected)

    asyncio.run(go())


def test_the_status_tells_who_answers() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            status = await _get(web, "/status")
            assert (status["name"], status["code"], status["message"]) == ("Lockstep", 200, "Ready.")
            assert re.fullmatch(r"\d+\.\d+\.\d+", status["version"])

    asyncio.run(go())


def test_filters_choose() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            on, off = await c.service("on"), await c.service("off", enabled=False)
            staged, waiting = [(await c.release()).release.kf_id for _ in range(2)]
            await c.bring(staged, ReleaseState.STAGED)
            expected = {
                "/releases?state=staged": [staged],
                "/releases?state=": [waiting, staged],
                "/task-services?enabled=true": [on.kf_id],
                "/task-services?enabled=False": [off.kf_id],
                "/task-services?enabled=TRUE": [on.kf_id],
                "/task-services?enabled=": [off.kf_id, on.kf_id],
            }
            for path, ids in expected.items():
                assert [row["kf_id"] for row in (await _get(web, path))["results"]] == ids, path
            counts = {
                f"/tasks?release={staged}": 1,
                f"/tasks?release={staged}&state=waiting": 0,
                "/tasks?state=staged": 1,
                f"/tasks?task_service={on.kf_id}": 2,
                f"/tasks?task_service={off.kf_id}": 0,
                f"/events?release={staged}": 6,
                f"/events?release={staged}&event_type=error": 0,
                f"/events?task_service={on.kf_id}&event_type=info": 3,
                f"/events?release={waiting}": 0,
                "/events?release=RE_00000000": 0,
            }
            assert {path: (await _get(web, path))["count"] for path in counts} == counts

    asyncio.run(go())


def test_every_answer_says_that_it_is_json_and_nothing_else() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            for path in ("/", "/releases", "/releases/RE_00000000", "/nowhere", "/releases?limit=x"):
                headers = (await web.get(path)).headers
                assert headers["content-type"] == "application/json"
                assert headers["x-content-type-options"] == "nosniff"

    asyncio.run(go())
