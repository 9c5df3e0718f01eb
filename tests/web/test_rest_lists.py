"""The lists: what they can be filtered, searched and ordered by, and what is refused; studies' releases; checks."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from lockstep.coordinator.core.draft import Draft
from lockstep.coordinator.core.model import Change, Snapshot
from lockstep.protocol.states import ReleaseState
from tests.conftest import Serve
from tests.faces import STUDIES, Coordinator, coordinator, status_app

BASE = "http://coordinator:5000"


async def _releases(c: Coordinator, web: httpx.AsyncClient) -> None:
    """Create four releases, of which the first is published and the second staged."""
    for name, studies, fields in (
        ("Winter", STUDIES[:1], {"author": "ann", "tags": ["cold", "dark"]}),
        ("Spring", STUDIES[:2], {"author": "bob", "is_major": True}),
        ("Summer", STUDIES[1:2], {"author": "ann", "tags": ["warm"]}),
        ("winter again", STUDIES[1:], {"author": "eve", "tags": ["cold"]}),
    ):
        answer = await web.post("/releases", json={"name": name, "studies": list(studies), **fields})
        assert answer.status_code == 201, answer.text
    (_, _, spring, winter) = (await web.get("/releases")).json()["results"]
    await c.bring(winter["kf_id"], ReleaseState.PUBLISHED)
    await c.bring(spring["kf_id"], ReleaseState.STAGED)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "winter again, Summer, Spring, Winter"),
        ("state=published", "Winter"),
        ("state=published&state=staged", "Spring, Winter"),
        ("state=", "winter again, Summer, Spring, Winter"),
        ("state=cancelled", ""),
        ("author=ann", "Summer, Winter"),
        ("author=an", ""),
        ("name=Winter", "Winter"),
        ("search=WINTER", "winter again, Winter"),
        ("search=%25", ""),
        ("search=r a", "winter again"),
        (f"study={STUDIES[1]}", "winter again, Summer, Spring"),
        (f"study={STUDIES[1]}&author=ann", "Summer"),
        ("study=SD_00000000", ""),
        ("version=0.1.0", "Winter"),
        ("version=0.0.2", "Summer"),
        ("is_major=true", "Spring"),
        ("is_major=False&author=eve", "winter again"),
        ("tags=cold", "winter again, Winter"),
        ("tags=cold&tags=dark", "Winter"),
        ("published_after=2020-01-01T00:00:00Z", "Winter"),
        ("published_before=2020-01-01", ""),
        ("created_after=2020-01-01T00:00:00%2B02:00&search=Su", "Summer"),
        ("created_before=2020-01-01T00:00:00", ""),
        ("ordering=name", "Spring, Summer, Winter, winter again"),
        ("ordering=-name", "winter again, Winter, Summer, Spring"),
        ("ordering=author", "Winter, Summer, Spring, winter again"),
        ("ordering=version", "Spring, Summer, winter again, Winter"),
        ("ordering=-published_at", "Winter, winter again, Summer, Spring"),
        ("ordering=created_at&limit=2&offset=1", "Spring, Summer"),
        ("ordering=&nonsense=1", "winter again, Summer, Spring, Winter"),
    ],
)
def test_releases_are_filtered_searched_and_ordered(query: str, expected: str) -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            await _releases(c, web)
            answer = await web.get(f"/releases?{query}")
            assert answer.status_code == 200, answer.text
            assert ", ".join(release["name"] for release in answer.json()["results"]) == expected

    asyncio.run(go())


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/releases?limit=101", "limit"),
        ("/releases?ordering=rank", "ordering"),
        ("/releases?version=1.2", "version"),
        ("/releases?is_major=maybe", "is_major"),
        ("/releases?state=done", "state"),
        ("/releases?created_after=yesterday", "created_after"),
        ("/releases?created_after=0001-01-01T00:00:00%2B14:00", "created_after"),
        ("/releases?name=%00", "name"),
        (f"/releases?search={'x' * 1001}", "search"),
        ("/tasks?ordering=name", "ordering"),
        ("/tasks?kf_id=RE_00000000", "kf_id"),
        ("/events?ordering=--created_at", "ordering"),
        ("/studies?visible=2", "visible"),
        ("/task-services?health_status=ill", "health_status"),
        ("/release-notes?kf_id=x", "kf_id"),
        ("/releases/at?time=noon", "time"),
        ("/releases/at", "time"),
    ],
)
def test_a_parameter_that_means_nothing_is_refused(path: str, field: str) -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            answer = await web.get(path)
            assert (answer.status_code, list(answer.json())) == (400, [field])
            assert all(answer.json()[field])

    asyncio.run(go())


def test_pages_keep_their_filters_and_their_order() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            await _releases(c, web)
            names, path = [], "/releases?search=r&ordering=name&limit=1&author=ann&author=ann"
            while path:
                page = (await web.get(path)).json()
                assert page["count"] == 2
                names += [release["name"] for release in page["results"]]
                path = page["next"]
            assert names == ["Summer", "Winter"]

    asyncio.run(go())


def test_services_and_studies_are_filtered() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            for name, fields in (
                ("counts", {"author": "ann"}),
                ("copies", {"enabled": False}),
                ("ills", {"last_ok_status": 4}),
            ):
                await c.store.edit_service((await c.service(name)).kf_id, fields)

            async def listed(path: str) -> list[str]:
                return [row["name"] for row in (await web.get(path)).json()["results"]]

            assert await listed("/task-services?author=ann") == ["counts"]
            assert await listed("/task-services?search=CO&ordering=name") == ["copies", "counts"]
            assert await listed("/task-services?enabled=false") == ["copies"]
            assert await listed("/task-services?health_status=down") == ["ills"]
            assert await listed("/task-services?health_status=ok&enabled=True") == ["counts"]
            assert await listed(f"/studies?kf_id={STUDIES[1]}") == [f"Study {STUDIES[1]}"]
            assert await listed("/studies?search=dypm") == [f"Study {STUDIES[0]}"]
            assert await listed("/studies?deleted=true") == []
            assert await listed("/studies?ordering=kf_id") == [f"Study {kf_id}" for kf_id in sorted(STUDIES)]

    asyncio.run(go())


def test_a_study_has_its_releases() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            await _releases(c, web)
            page = (await web.get(f"/studies/{STUDIES[0]}/releases")).json()
            assert [release["name"] for release in page["results"]] == ["Spring", "Winter"]
            (spring, winter) = page["results"]
            one = await web.get(f"/studies/{STUDIES[0]}/releases/{spring['kf_id']}")
            assert (one.status_code, one.json()) == (200, spring)
            staged = (await web.get(f"/studies/{STUDIES[0]}/releases?state=staged")).json()
            assert [release["name"] for release in staged["results"]] == ["Spring"]
            for path in (f"{STUDIES[1]}/releases/{winter['kf_id']}", "SD_00000000/releases", "SD_00000000/current"):
                answer = await web.get(f"/studies/{path}")
                assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})

    asyncio.run(go())


def test_the_root_lists_the_collections() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            collections = ["tasks", "task-services", "releases", "release-notes", "events", "studies"]
            assert (await web.get("/")).json() == {name: f"{BASE}/{name}" for name in collections}
            for name in collections:
                assert (await web.get(f"/{name}")).status_code == 200

    asyncio.run(go())


def test_the_older_addresses_answer_in_their_envelope() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            first = await c.service("one")
            await c.service("two", "http://two:1", last_ok_status=4)
            answer = (await web.get("/task_services?limit=1")).json()
            assert answer["_links"] == {
                "self": f"{BASE}/task_services",
                "next": f"{BASE}/task_services?limit=1&offset=1",
            }
            assert answer["_status"] == {"code": 200, "message": "success"}
            assert [(row["name"], row["health_status"]) for row in answer["results"]] == [("two", "down")]
            one = (await web.get(f"/task_services/{first.kf_id}")).json()
            assert one["_links"] == {"self": f"{BASE}/task_services/{first.kf_id}"}
            assert list(one["results"]) == ["kf_id", "name", "url", "health_status", "date_submitted"]
            assert one["results"]["health_status"] == "good"
            assert (await web.get("/task_services/TS_00000000")).status_code == 404

    asyncio.run(go())


def test_a_deleted_service_stays_in_the_history_of_its_releases() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            service = await c.service("gone")
            view = await c.release()
            await c.bring(view.release.kf_id, ReleaseState.PUBLISHED)
            before = (await web.get(f"/releases/{view.release.kf_id}")).json()
            assert (await web.delete(f"/task-services/{service.kf_id}")).status_code == 204
            assert (await web.get(f"/releases/{view.release.kf_id}")).json() == before
            tasks = (await web.get(f"/tasks?release={view.release.kf_id}")).json()["results"]
            assert [task["service_name"] for task in tasks] == ["gone"]
            assert (await web.get(f"/events?task_service={service.kf_id}")).json()["count"] > 0

    asyncio.run(go())


def test_the_checks_are_begun_for_what_is_at_work() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            await c.service("one")
            await c.service("two")
            for state in (
                ReleaseState.RUNNING,
                ReleaseState.STAGED,
                ReleaseState.PUBLISHING,
                ReleaseState.INITIALIZING,
            ):
                await c.bring((await c.release()).release.kf_id, state)
            c.bell.rung.clear()
            for path, message in (
                ("/releases/status_checks", "3 releases to check"),
                ("/tasks/status_checks", "2 task to check"),
            ):
                answer = await web.post(path)
                assert (answer.status_code, answer.json()) == (200, {"status": "ok", "message": message})
            assert len(c.bell.rung) == 3 + 2

    asyncio.run(go())


def test_a_check_of_tasks_does_not_wait_for_the_next_poll() -> None:
    """A task that is to be asked for its state in a while is due at once, and its release is looked at."""

    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            await c.service()
            release_id = (await c.release()).release.kf_id
            await c.bring(release_id, ReleaseState.PUBLISHING)
            await c.store.change(release_id, _due_later)
            assert (await c.store.due(c.commands.clock.now(), 10)) == []
            await web.post("/tasks/status_checks")
            assert (await c.store.due(c.commands.clock.now(), 10)) == [release_id]
            (task,) = (await c.store.release(release_id)).tasks
            assert task.due_at is not None
            assert task.due_at <= c.commands.clock.now()

    asyncio.run(go())


def _due_later(before: Snapshot) -> tuple[Change, None]:
    draft = Draft(before, datetime.now(UTC))
    for task_id in before.tasks:
        draft.set_task(task_id, due_at=draft.now + timedelta(hours=1))
    draft.set_release(look_at=draft.now + timedelta(hours=1))
    return draft.change(), None


def test_the_health_of_services_is_looked_at_now(serve: Serve) -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web, serve(status_app({"name": "task"})) as url:
            well = await c.service("well", url, last_ok_status=9)
            down = await c.service("down", "http://127.0.0.1:1", enabled=False)
            answer = await web.post("/task-services/health_checks")
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
            assert (await c.store.service(well.kf_id)).last_ok_status == 0
            assert (await c.store.service(down.kf_id)).last_ok_status == 1

    asyncio.run(go())


def test_every_service_has_its_task_from_the_start() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            service = await c.service()
            view = await c.release()
            late = await c.service("late", "http://late:1")
            given = {"release": f"/releases/{view.release.kf_id}", "task_service": service.kf_id}
            answer = await web.post("/tasks", json=given)
            assert (answer.status_code, answer.json()["kf_id"]) == (200, view.tasks[0].kf_id)
            refused = await web.post("/tasks", json={**given, "task_service": late.kf_id})
            assert refused.status_code == 409
            assert (await web.get("/tasks")).json()["count"] == 1

    asyncio.run(go())


def test_a_task_is_reported_on_by_sending_all_of_it() -> None:
    """Where it belongs stays, whatever is said of it."""

    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            await c.service()
            view = await c.release()
            await c.bring(view.release.kf_id, ReleaseState.RUNNING)
            path = f"/tasks/{view.tasks[0].kf_id}"
            task = (await web.get(path)).json()
            other = {"release": f"{BASE}/releases/RE_00000000", "task_service": f"{BASE}/task-services/TS_00000000"}
            put = await web.put(path, json={**task, **other, "state": "staged", "progress": 100})
            assert (put.status_code, put.json()["state"], put.json()["release"]) == (200, "staged", task["release"])
            assert (await web.get(f"/releases/{view.release.kf_id}")).json()["state"] == "staged"

    asyncio.run(go())
