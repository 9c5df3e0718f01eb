"""The dashboard in the field, screen by screen: every operation that it sends, answered from a real store."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lockstep import __version__
from lockstep.coordinator.core.records import StudyFacts
from lockstep.protocol.states import ReleaseState
from tests.conftest import Serve
from tests.faces import STUDIES, PlayedDataService, status_app
from tests.graphql import dashboard
from tests.graphql.asking import Asked, asked, gid, nodes, on_coordinator


@on_coordinator
async def test_every_page_asks_who_answers_and_who_asks_before_there_is_a_session(a: Asked) -> None:
    headers = {"authorization": "Bearer null"}
    answer = await a.web.post(
        "/graphql", json={"operationName": "Status", "variables": {}, "query": dashboard.STATUS}, headers=headers
    )
    assert answer.json() == {
        "data": {"status": {"name": "Lockstep", "version": __version__, "commit": "", "__typename": "Status"}}
    }
    answer = await a.web.post(
        "/graphql", json={"operationName": "profile", "query": dashboard.PROFILE}, headers=headers
    )
    assert (answer.status_code, answer.json()["data"]) == (200, {"myProfile": None})


@on_coordinator
async def test_the_profile_is_the_callers(a: Asked) -> None:
    seen = (await a.data(dashboard.PROFILE, "dev"))["myProfile"]
    assert seen.pop("id").startswith("VXNlck5vZGU6")
    assert seen == {
        "username": "dan",
        "email": "dan@example.org",
        "roles": ["DEV"],
        "groups": [],
        "picture": "",
        "slackNotify": False,
        "slackMemberId": "",
        "firstName": "Dev",
        "lastName": "Test",
        "__typename": "UserNode",
    }


@on_coordinator
async def test_the_home_page_shows_the_latest_releases(a: Asked) -> None:
    views = [await a.release(name=f"Release {n}", state=ReleaseState.PUBLISHED) for n in range(2)]
    views += [await a.release(*STUDIES[:2], name=f"Release {n}") for n in range(2, 7)]
    await a.note(views[1], "what is new")
    [latest] = nodes((await a.data(dashboard.ALL_RELEASES, state="published", first=1))["allReleases"])
    release = views[1].release
    assert latest == {
        "id": gid("ReleaseNode", release.kf_id),
        "kfId": release.kf_id,
        "version": str(release.version),
        "name": "Release 1",
        "state": "published",
        "createdAt": release.created_at.isoformat(),
        "isMajor": False,
        "description": "",
        "author": "admin",
        "studies": latest["studies"],
        "notes": latest["notes"],
        "__typename": "ReleaseNode",
    }
    assert [study["kfId"] for study in nodes(latest["studies"])] == [STUDIES[0]]
    assert [(note["description"], note["study"]["id"]) for note in nodes(latest["notes"])] == [
        ("what is new", gid("StudyNode", STUDIES[0]))
    ]
    five = nodes((await a.data(dashboard.ALL_RELEASES, first=5))["allReleases"])
    assert [release["name"] for release in five] == [f"Release {n}" for n in (6, 5, 4, 3, 2)]


@on_coordinator
async def test_the_list_of_releases_shows_all_of_them(a: Asked) -> None:
    for n in range(130):
        await a.c.release(name=f"Release {n}")
    everything = await a.data(dashboard.ALL_RELEASES)
    assert [node["name"] for node in nodes(everything["allReleases"])] == [f"Release {n}" for n in range(129, -1, -1)]


@on_coordinator
async def test_a_release_is_shown_with_its_tasks_events_and_notes(a: Asked) -> None:
    services = [await a.c.service(name) for name in ("reports", "portal")]
    view = await a.release(*STUDIES[:2], state=ReleaseState.STAGED)
    other = await a.release(state=ReleaseState.STAGED)
    note = await a.note(view, "first")
    await a.note(other, "elsewhere")
    kf_id = view.release.kf_id
    seen = (await a.data(dashboard.GET_RELEASE, id=gid("ReleaseNode", kf_id)))["release"]
    assert (seen["kfId"], seen["state"], seen["author"]) == (kf_id, "staged", "admin")
    assert {study["kfId"] for study in nodes(seen["studies"])} == set(STUDIES[:2])
    assert [each["id"] for each in nodes(seen["notes"])] == [gid("ReleaseNoteNode", note.kf_id)]

    tasks = nodes((await a.data(dashboard.ALL_TASKS, first=10, release=kf_id))["allTasks"])
    assert {task["kfId"] for task in tasks} == {task.kf_id for task in view.tasks}
    assert {task["taskService"]["name"] for task in tasks} == {service.name for service in services}
    assert {task["state"] for task in tasks} == {"staged"}

    events = nodes((await a.data(dashboard.ALL_EVENTS, release=gid("ReleaseNode", kf_id)))["allEvents"])
    told = list(reversed(await a.c.store.events_after(kf_id, 0, 100)))
    assert [(event["id"], event["message"]) for event in events] == [
        (gid("EventNode", event.kf_id), event.message) for event in told
    ]
    assert {event["release"]["kfId"] for event in events} == {kf_id}
    of_task = next(event for event in events if event["task"])
    assert of_task["taskService"]["name"] in {"reports", "portal"}

    notes = nodes((await a.data(dashboard.ALL_NOTES, release=gid("ReleaseNode", kf_id)))["allReleaseNotes"])
    assert [(each["kfId"], each["study"]["id"]) for each in notes] == [(note.kf_id, gid("StudyNode", STUDIES[0]))]


@on_coordinator
async def test_a_variable_that_the_document_does_not_declare_is_ignored(a: Asked) -> None:
    view = await a.release()
    note = await a.note(view)
    ids = {"release": gid("ReleaseNode", view.release.kf_id), "study": gid("StudyNode", STUDIES[2])}
    seen = await a.data(dashboard.ALL_NOTES, **ids)
    assert [each["kfId"] for each in nodes(seen["allReleaseNotes"])] == [note.kf_id]


@on_coordinator
async def test_an_unknown_release_is_null(a: Asked) -> None:
    assert await a.data(dashboard.GET_RELEASE, id=gid("ReleaseNode", "RE_ZZZZZZZZ")) == {"release": None}


@on_coordinator
async def test_studies_are_shown_with_their_public_version(a: Asked) -> None:
    _, _, published = [await a.release(*STUDIES[:2], state=ReleaseState.PUBLISHED) for _ in range(3)]
    await a.release(*STUDIES)
    seen = nodes((await a.data(dashboard.ALL_STUDIES))["allStudies"])
    assert {study["kfId"] for study in seen} == set(STUDIES)
    version = str(published.release.version)
    assert {study["kfId"]: [r["version"] for r in nodes(study["releases"])] for study in seen} == {
        STUDIES[0]: [version],
        STUDIES[1]: [version],
        STUDIES[2]: [],
    }
    one = (await a.data(dashboard.GET_STUDY, id=gid("StudyNode", STUDIES[1])))["study"]
    assert (one["kfId"], one["visible"], one["deleted"]) == (STUDIES[1], True, False)
    assert len(nodes(one["releases"])) == 4
    assert nodes(one["releases"])[1]["version"] == version


@on_coordinator
async def test_services_are_shown_with_their_recent_tasks_and_events(a: Asked) -> None:
    services = [await a.c.service(name) for name in ("reports", "portal")]
    for _ in range(3):
        await a.release(state=ReleaseState.RUNNING)
    seen = nodes((await a.data(dashboard.ALL_SERVICES))["allTaskServices"])
    assert [(each["name"], each["healthStatus"], each["enabled"]) for each in seen] == [
        ("portal", "ok", True),
        ("reports", "ok", True),
    ]
    service_id = gid("TaskServiceNode", services[0].kf_id)
    one = (await a.data(dashboard.GET_SERVICE, id=service_id))["taskService"]
    assert (one["id"], one["kfId"], one["url"]) == (service_id, services[0].kf_id, "http://reports:5020")
    events = nodes((await a.data(dashboard.ALL_EVENTS, taskService=service_id, first=10))["allEvents"])
    assert {event["taskService"]["name"] for event in events} == {"reports"}
    assert len(nodes((await a.data(dashboard.ALL_TASKS, first=10))["allTasks"])) == 6


@on_coordinator
async def test_a_release_is_planned_described_canceled_and_run_again(a: Asked) -> None:
    given = {
        "name": "Spring",
        "description": "",
        "studies": [gid("StudyNode", s) for s in STUDIES[:2]],
        "isMajor": True,
    }
    started = (await a.data(dashboard.START_RELEASE, input=given))["startRelease"]["release"]
    assert (started["name"], started["state"], started["isMajor"], started["version"]) == (
        "Spring",
        "waiting",
        True,
        "0.0.0",
    )
    assert {study["kfId"] for study in nodes(started["studies"])} == set(STUDIES[:2])
    assert a.c.bell.rung == [started["kfId"]]
    markdown = "# New\n\n* things\n"
    described = await a.data(dashboard.UPDATE_RELEASE, release=started["id"], input={"description": markdown})
    assert described["updateRelease"]["release"]["description"] == markdown.strip()
    assert described["updateRelease"]["release"]["name"] == "Spring"
    canceled = await a.data(dashboard.CANCEL_RELEASE, release=started["id"])
    assert canceled["cancelRelease"]["release"]["state"] == "canceling"
    again = await a.data(dashboard.START_RELEASE, input={**given, "description": "again"})
    assert again["startRelease"]["release"]["version"] == "0.0.1"
    stored = await a.c.store.release(again["startRelease"]["release"]["kfId"])
    assert (stored.release.author, stored.release.description) == ("ada", "again")


@on_coordinator
async def test_a_staged_release_is_published(a: Asked) -> None:
    await a.c.service()
    view = await a.release(state=ReleaseState.STAGED)
    seen = await a.data(dashboard.PUBLISH_RELEASE, release=gid("ReleaseNode", view.release.kf_id))
    assert seen["publishRelease"]["release"]["kfId"] == view.release.kf_id
    assert (await a.c.store.release(view.release.kf_id)).release.publish_order == 1


def test_services_are_registered_and_changed(serve: Serve, tmp_path: Path) -> None:
    async def go() -> None:
        pings: list[str] = []

        def status(request: Any) -> Any:
            from starlette.responses import JSONResponse  # noqa: PLC0415

            pings.append(str(request.url))
            return JSONResponse({"name": "task"})

        async with serve(status_app(status)) as url, asked(tmp_path) as a:
            given = {"name": "reports", "description": "", "url": url}
            made = (await a.data(dashboard.CREATE_SERVICE, "dev", input=given))["createTaskService"]["taskService"]
            assert (made["name"], made["url"], made["enabled"], made["healthStatus"]) == ("reports", url, True, "ok")
            assert len(pings) == 1
            switched = await a.data(
                dashboard.UPDATE_SERVICE,
                "dev",
                taskService=made["id"],
                input={"name": "reports", "url": url, "enabled": False},
            )
            assert switched["updateTaskService"]["taskService"] == {**made, "enabled": False}
            assert len(pings) == 1, "a service is looked at again only when its address changes"
            edited = {"name": "Reports", "description": "counts", "url": f"{url}/"}
            after = await a.data(dashboard.UPDATE_SERVICE, "dev", taskService=made["id"], input=edited)
            assert after["updateTaskService"]["taskService"]["description"] == "counts"
            stored = await a.c.store.service(made["kfId"])
            assert (stored.name, stored.enabled, stored.author) == ("Reports", False, "dan")

    asyncio.run(go())


def test_studies_are_synced(tmp_path: Path) -> None:
    async def go() -> None:
        facts = [StudyFacts(kf_id, kf_id, True, datetime.now(UTC)) for kf_id in (STUDIES[0], "SD_00000009")]
        async with asked(tmp_path, data_service=PlayedDataService(facts)) as a:
            seen = (await a.data(dashboard.SYNC_STUDIES, "dev"))["syncStudies"]
            assert [study["kfId"] for study in nodes(seen["new"])] == ["SD_00000009"]
            assert {study["kfId"]: study["deleted"] for study in nodes(seen["deleted"])} == dict.fromkeys(
                STUDIES[1:], True
            )
            again = (await a.data(dashboard.SYNC_STUDIES, "dev"))["syncStudies"]
            assert (nodes(again["new"]), nodes(again["deleted"])) == ([], [])

    asyncio.run(go())


@on_coordinator
async def test_notes_are_written_changed_and_removed(a: Asked) -> None:
    view = await a.release(*STUDIES[:2])
    release = gid("ReleaseNode", view.release.kf_id)
    given = {"study": gid("StudyNode", STUDIES[1]), "release": release, "description": "More families.\n"}
    note = (await a.data(dashboard.CREATE_NOTE, "dev", input=given))["createReleaseNote"]["releaseNote"]["id"]
    changed = await a.data(dashboard.UPDATE_NOTE, "dev", releaseNote=note, input={"description": "Fewer."})
    assert changed["updateReleaseNote"]["releaseNote"]["id"] == note
    [seen] = nodes((await a.data(dashboard.ALL_NOTES, release=release))["allReleaseNotes"])
    assert (seen["id"], seen["description"], seen["study"]["id"]) == (note, "Fewer.", given["study"])
    assert (await a.c.store.note(seen["kfId"])).author == "dan"
    assert await a.data(dashboard.REMOVE_NOTE, "dev", releaseNote=note) == {
        "removeReleaseNote": {"success": True, "__typename": "RemoveReleaseNoteMutation"}
    }
    assert nodes((await a.data(dashboard.ALL_NOTES, release=release))["allReleaseNotes"]) == []


def test_a_browser_of_another_origin_may_ask_with_credentials(tmp_path: Path) -> None:
    async def go() -> None:
        origin = "http://127.0.0.1:3000"
        async with asked(tmp_path, cors_origins=[origin]) as a:
            preflight = await a.web.options(
                "/graphql",
                headers={
                    "origin": origin,
                    "access-control-request-method": "POST",
                    "access-control-request-headers": "authorization,content-type",
                },
            )
            answer = await a.web.post("/graphql", json={"query": dashboard.STATUS}, headers={"origin": origin})
            for each in (preflight, answer):
                assert each.status_code == 200
                assert each.headers["access-control-allow-origin"] == origin
                assert each.headers["access-control-allow-credentials"] == "true"
                assert "origin" in each.headers["vary"].lower()
            assert {"authorization", "content-type"} <= {
                name.strip().lower() for name in preflight.headers["access-control-allow-headers"].split(",")
            }
            assert "POST" in preflight.headers["access-control-allow-methods"]

    asyncio.run(go())


def test_where_callers_are_not_known_everybody_has_an_admins_profile(tmp_path: Path) -> None:
    async def go() -> None:
        async with asked(tmp_path, identity=False) as a:
            seen = (await a.data(dashboard.PROFILE, "anonymous"))["myProfile"]
            assert (seen["id"], seen["username"], seen["roles"]) == ("VXNlck5vZGU6Tm9uZQ==", "admin", ["ADMIN"])

    asyncio.run(go())
