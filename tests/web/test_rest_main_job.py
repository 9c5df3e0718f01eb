"""The main job over REST: register, sync, start, report, publish, cancel, on the current and on the older paths."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.core.records import StudyFacts
from lockstep.protocol.states import ReleaseState
from tests.conftest import Serve
from tests.faces import STUDIES, Coordinator, PlayedDataService, coordinator, status_app

BASE = "http://coordinator:5000"


def test_a_service_is_registered_edited_replaced_and_deleted(serve: Serve) -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web, serve(status_app({"name": "task"})) as url:
            given = {"name": "reports", "url": url.removeprefix("http://"), "author": "eve", "description": "counts"}
            given |= {"client_id": "reports-client"}
            made = await web.post("/task-services", json=given)
            service = made.json()
            assert made.status_code == 201
            assert made.headers["location"] == f"{BASE}/task-services/{service['kf_id']}"
            assert {**given, "url": url} == {name: service[name] for name in given}
            assert (service["enabled"], service["last_ok_status"], service["health_status"]) == (True, 0, "ok")
            path = f"/task-services/{service['kf_id']}"
            patched = await web.patch(path, json={"enabled": False, "kf_id": "TS_00000000"})
            assert (patched.status_code, patched.json()) == (200, {**service, "enabled": False})
            replaced = await web.put(path, json={"name": "new", "url": url, "description": "", "author": "adam"})
            expected = {**service, "name": "new", "description": "", "author": "adam", "enabled": False}
            assert (replaced.status_code, replaced.json()) == (200, expected), "what is left out stays as it is"
            half = await web.put(path, json={"enabled": True})
            required = ["This field is required."]
            assert (half.status_code, half.json()) == (400, {"name": required, "url": required})
            deleted = await web.delete(path)
            assert (deleted.status_code, deleted.content) == (204, b"")
            for method in ("GET", "PATCH", "DELETE"):
                assert (await web.request(method, path, json={})).status_code == 404

    asyncio.run(go())


def test_a_service_that_does_not_answer_is_refused_with_what_was_seen() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            answer = await web.post("/task-services", json={"name": "x", "url": "127.0.0.1:1"})
            expected = {"url": ["could not reach http://127.0.0.1:1: Connection refused"]}
            assert (answer.status_code, answer.json()) == (400, expected)

    asyncio.run(go())


def test_studies_are_synced() -> None:
    async def go() -> None:
        now = datetime(2026, 1, 31, tzinfo=UTC)
        data = PlayedDataService([StudyFacts(STUDIES[0], None, True, now), StudyFacts("SD_NEW00000", "New", True, now)])
        async with coordinator(data_service=data) as c, c.client() as web:
            answer = await web.post("/studies/sync")
            message = "1 new, 2 deleted, 0 restored."
            expected = {"status": "ok", "new": 1, "deleted": 2, "restored": 0, "message": message}
            assert (answer.status_code, answer.json()) == (200, expected)
            study = (await web.get("/studies/SD_NEW00000")).json()
            assert (study["name"], study["created_at"]) == ("New", "2026-01-31T00:00:00.000000Z")
            assert (await web.get(f"/studies/{STUDIES[0]}")).json()["name"] == STUDIES[0]
            assert (await web.get(f"/studies/{STUDIES[1]}")).json()["deleted"] is True

    asyncio.run(go())


def test_a_data_service_that_is_down_is_said_to_be() -> None:
    async def go() -> None:
        data = PlayedDataService(error=Unavailable("The studies could not be read: no answer"))
        async with coordinator(data_service=data) as c, c.client() as web:
            answer = await web.post("/studies/sync")
            said = {"status": "error", "message": str(data.error), "detail": str(data.error)}
            assert (answer.status_code, answer.json()) == (503, said)
            answer = await web.post("/releases", json={"name": "x", "studies": ["SD_NEW00000"]})
            assert (answer.status_code, answer.json()) == (503, {"detail": str(data.error)})

    asyncio.run(go())


def test_without_a_data_service_a_sync_says_so() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            answer = (await web.post("/studies/sync")).json()
            assert (answer["status"], answer["new"], answer["deleted"]) == ("ok", 0, 0)
            assert "LOCKSTEP_DATASERVICE_URL" in answer["message"]

    asyncio.run(go())


@pytest.mark.rule("C1")
@pytest.mark.parametrize(
    "how",
    [
        {"json": {"name": "Winter", "studies": list(STUDIES[:2]), "tags": ["a", "b"], "is_major": True}},
        {"json": {"name": "Winter", "study_ids": list(STUDIES[:2]), "tags": ["a", "b"], "is_major": True}},
        {"data": {"name": "Winter", "studies": list(STUDIES[:2]), "tags": ["a", "b"], "is_major": "true"}},
        {
            "files": [
                *[("studies", (None, study)) for study in STUDIES[:2]],
                *[("tags", (None, tag)) for tag in "ab"],
                ("name", (None, "Winter")),
                ("is_major", (None, "true")),
            ]
        },
    ],
    ids=["json", "the older key", "form", "multipart"],
)
def test_a_release_is_started(how: dict[str, Any]) -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            await c.service()
            answer = await web.post("/releases", **how)
            release = answer.json()
            assert answer.status_code == 201, answer.text
            assert answer.headers["location"] == f"{BASE}/releases/{release['kf_id']}"
            assert (release["state"], release["version"], release["author"]) == ("waiting", "0.0.0", "admin")
            assert (release["studies"], release["tags"]) == (list(STUDIES[:2]), ["a", "b"])
            assert release["is_major"] is True
            assert [task["state"] for task in release["tasks"]] == ["waiting"]
            assert c.bell.rung == [release["kf_id"]]

    asyncio.run(go())


async def _running(c: Coordinator) -> tuple[str, str]:
    await c.service()
    view = await c.release()
    await c.bring(view.release.kf_id, ReleaseState.RUNNING)
    return view.release.kf_id, view.tasks[0].kf_id


@pytest.mark.rule("B1", "B3", "B4")
@pytest.mark.parametrize("path", ["/tasks/{task}", "/releases/{release}/tasks/{task}"])
def test_a_task_service_reports(path: str) -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            release_id, task_id = await _running(c)
            url = path.format(release=release_id, task=task_id)
            steps = [
                ({"state": "running"}, "running", 0),
                ({"progress": "50%", "task_id": task_id}, "running", 50),
                ({"progress": 150}, "running", 100),
                ({"progress": None}, "running", 0),
                ({"state": "staged", "progress": 100}, "staged", 100),
                ({"state": "staged", "progress": 100}, "staged", 100),
                ({}, "staged", 100),
            ]
            told: Any = None
            for said, state, progress in steps:
                answer = await web.patch(url, json=said)
                told = answer.json()
                assert (answer.status_code, told["state"], told["progress"]) == (200, state, progress), answer.text
            assert (await web.get(url)).json() == told
            assert (await web.get(f"/releases/{release_id}")).json()["state"] == "staged"

    asyncio.run(go())


@pytest.mark.rule("B2")
def test_a_task_cannot_be_moved_to_another_release_by_reporting() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            _, task_id = await _running(c)
            other = await c.release()
            before = (await web.get(f"/tasks/{task_id}")).json()
            said = {"release": f"{BASE}/releases/{other.release.kf_id}", "task_service": "/task-services/TS_00000000"}
            assert (await web.patch(f"/tasks/{task_id}", json=said)).json() == before

    asyncio.run(go())


@pytest.mark.rule("B5")
@pytest.mark.parametrize(
    ("said", "field", "sentence"),
    [
        ({"state": "bogus"}, "state", "'bogus' is not a state of a task"),
        ({"state": "published"}, "state", "published"),
        ({"state": "waiting"}, "state", "waiting"),
        ({"state": None}, "state", "This field may not be null."),
        ({"progress": "most"}, "progress", "'most' is not a progress"),
        ({"state": "running", "progress": []}, "progress", "is not a progress"),
    ],
)
def test_a_report_that_makes_no_sense_is_refused_and_changes_nothing(
    said: dict[str, Any], field: str, sentence: str
) -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            release_id, task_id = await _running(c)
            before = (await web.get(f"/releases/{release_id}")).json()
            answer = await web.patch(f"/tasks/{task_id}", json=said)
            assert answer.status_code == 400
            assert list(answer.json()) == [field]
            assert sentence in answer.json()[field][0]
            assert (await web.get(f"/releases/{release_id}")).json() == before

    asyncio.run(go())


@pytest.mark.rule("B6")
def test_a_settled_task_is_a_conflict_and_a_task_of_another_release_is_not_found() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            release_id, task_id = await _running(c)
            other = (await c.release()).release.kf_id
            await c.bring(release_id, ReleaseState.PUBLISHED)
            answer = await web.patch(f"/tasks/{task_id}", json={"state": "failed"})
            assert answer.status_code == 409
            assert "what is settled does not change" in answer.json()["detail"]
            for method in ("GET", "PATCH"):
                answer = await web.request(method, f"/releases/{other}/tasks/{task_id}", json={})
                assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})

    asyncio.run(go())


@pytest.mark.parametrize("way", ["publish", "patch"])
def test_a_staged_release_is_published(way: str) -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            release_id, _ = await _running(c)
            await c.bring(release_id, ReleaseState.STAGED)
            if way == "publish":
                answer = await web.post(f"/releases/{release_id}/publish")
                assert next(iter(answer.json().items())) == ("message", "publishing")
            else:
                answer = await web.patch(f"/releases/{release_id}", json={"state": "publishing", "author": "ignored"})
            assert answer.status_code == 200
            shown = (await web.get(f"/releases/{release_id}")).json()
            assert {name: value for name, value in answer.json().items() if name != "message"} == shown
            assert (shown["state"], shown["version"], shown["name"]) == ("publishing", "0.1.0", "Winter")

    asyncio.run(go())


@pytest.mark.rule("P1")
def test_what_is_not_staged_is_not_published() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            release_id, _ = await _running(c)
            before = (await web.get(f"/releases/{release_id}")).json()
            expected = (409, {"detail": "The release in state running may not be published."})
            answer = await web.post(f"/releases/{release_id}/publish")
            assert (answer.status_code, answer.json()) == expected
            answer = await web.patch(f"/releases/{release_id}", json={"state": "publishing"})
            assert (answer.status_code, answer.json()) == expected
            assert (await web.patch(f"/releases/{release_id}", json={"state": "published"})).status_code == 409
            assert (await web.patch(f"/releases/{release_id}", json={"state": "live"})).status_code == 400
            assert (await web.patch(f"/releases/{release_id}", json={"state": "running"})).json() == before
            assert (await web.patch(f"/releases/{release_id}", json={"version": "9.9.9"})).json() == before

    asyncio.run(go())


@pytest.mark.rule("F5")
def test_a_release_is_canceled_once() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            release_id, _ = await _running(c)
            for _ in range(2):
                answer = await web.delete(f"/releases/{release_id}")
                assert (answer.status_code, answer.json()["state"]) == (200, "canceling")
            events = (await web.get(f"/events?release={release_id}")).json()["results"]
            assert [event["message"].endswith("to canceling") for event in events].count(True) == 1

    asyncio.run(go())


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/releases/RE_00000000"),
        ("PATCH", "/releases/RE_00000000"),
        ("DELETE", "/releases/RE_00000000"),
        ("POST", "/releases/RE_00000000/publish"),
        ("GET", "/releases/RE_00000000/events/stream"),
        ("GET", "/releases/RE_00000000/tasks/TA_00000000"),
        ("PATCH", "/releases/RE_00000000/tasks/TA_00000000"),
        ("GET", "/tasks/TA_00000000"),
        ("PATCH", "/tasks/TA_00000000"),
        ("GET", "/task-services/TS_00000000"),
        ("PUT", "/task-services/TS_00000000"),
        ("GET", "/studies/SD_00000000"),
        ("GET", "/events/EV_00000000"),
        ("GET", "/releases/"),
        ("GET", "/releases/%00"),
        ("GET", "/releases/%ff%fe"),
        ("GET", f"/releases/{'x' * 5000}"),
        ("GET", "/nowhere"),
    ],
)
def test_what_is_not_there_is_not_found(method: str, path: str) -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            body = {"name": "x", "url": "http://127.0.0.1:1"} if method == "PUT" else {}
            answer = await web.request(method, path, json=body)
            assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})

    asyncio.run(go())
