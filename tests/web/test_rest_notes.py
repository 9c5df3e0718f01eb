"""`/release-notes` and `/events`: what people write about releases."""

import asyncio
from typing import Any

import pytest

from lockstep.protocol.states import ReleaseState
from tests.faces import STUDIES, Coordinator, coordinator

BASE = "http://coordinator:5000"


async def _ids(c: Coordinator) -> tuple[str, str, str]:
    service = await c.service()
    view = await c.release(*STUDIES[:2])
    return view.release.kf_id, view.tasks[0].kf_id, service.kf_id


def test_a_note_is_written_shown_changed_and_removed() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            release_id, _, _ = await _ids(c)
            link, study = f"{BASE}/releases/{release_id}", f"{BASE}/studies/{STUDIES[0]}"
            given = {"description": "Twelve *new* participants.", "release": link, "study": study, "author": "eve"}
            made = await web.post("/release-notes", json=given)
            note = made.json()
            assert made.status_code == 201
            assert made.headers["location"] == f"{BASE}/release-notes/{note['kf_id']}"
            assert list(note) == ["kf_id", "description", "author", "created_at", "release", "study"]
            assert {name: note[name] for name in given} == given
            path = f"/release-notes/{note['kf_id']}"
            assert (await web.get(path)).json() == note
            assert (await web.get(f"/releases/{release_id}")).json()["notes"] == [note]
            patched = await web.patch(path, json={"description": "Thirteen."})
            assert (patched.status_code, patched.json()) == (200, {**note, "description": "Thirteen."})
            put = await web.put(path, json={**given, "description": "Fourteen.", "author": "mallory"})
            assert (put.status_code, put.json()) == (200, {**note, "description": "Fourteen."})
            assert (await web.delete(path)).status_code == 204
            assert (await web.get(path)).status_code == 404
            assert (await web.get(f"/releases/{release_id}")).json()["notes"] == []

    asyncio.run(go())


@pytest.mark.parametrize("form", ["{base}/releases/{id}", "/releases/{id}", "{id}", "{base}/releases/{id}?x=1"])
def test_a_link_is_an_address_a_path_or_an_id(form: str) -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            release_id, _, _ = await _ids(c)
            given = {"description": "n", "release": form.format(base=BASE, id=release_id)}
            for body in ({"json": given}, {"data": {**given, "study": ""}}, {"files": _parts(given)}):
                answer = await web.post("/release-notes", **body)
                assert (answer.status_code, answer.json()["release"]) == (201, f"{BASE}/releases/{release_id}")
                assert answer.json()["study"] is None

    asyncio.run(go())


def _parts(fields: dict[str, str]) -> dict[str, tuple[None, str]]:
    return {name: (None, value) for name, value in fields.items()}


def test_a_note_that_fits_nothing_is_refused_in_the_known_words() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            release_id, _, _ = await _ids(c)
            no_url = "Invalid hyperlink - No URL match. An address that ends in RE_… would be one."
            for given, expected in (
                ({}, {"description": ["This field is required."], "release": ["This field is required."]}),
                ({"description": " ", "release": release_id}, {"description": ["This field may not be blank."]}),
                ({"description": "n", "release": None}, {"release": ["This field may not be null."]}),
                ({"description": "n", "release": "TA_00000000"}, {"release": [no_url]}),
                ({"description": "n", "release": 7}, {"release": [no_url]}),
                (
                    {"description": "n", "release": "RE_00000000"},
                    {"release": ["Release RE_00000000 does not exist"]},
                ),
                (
                    {"description": "n", "release": release_id, "study": "SD_00000000"},
                    {"study": ["Study SD_00000000 does not exist"]},
                ),
                (
                    {"description": "n", "release": release_id, "study": STUDIES[2]},
                    {"study": [f"Study {STUDIES[2]} is not in release {release_id}"]},
                ),
            ):
                answer = await web.post("/release-notes", json=given)
                assert (answer.status_code, answer.json()) == (400, expected)

    asyncio.run(go())


def test_a_note_stays_where_it_was_written() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            release_id, _, _ = await _ids(c)
            other = (await c.release()).release.kf_id
            note = (await web.post("/release-notes", json={"description": "n", "release": release_id})).json()
            path = f"/release-notes/{note['kf_id']}"
            for edit in ({"release": other}, {"study": STUDIES[0]}):
                answer = await web.patch(path, json=edit)
                assert answer.status_code == 409
                assert "stays on the release and the study" in answer.json()["detail"]
            assert (await web.patch(path, json={"release": release_id, "study": None})).json() == note

    asyncio.run(go())


def test_notes_are_filtered() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            release_id, _, _ = await _ids(c)
            for n, more in enumerate(({}, {"study": STUDIES[0]}, {"author": "eve"})):
                await web.post("/release-notes", json={"description": f"note {n}", "release": release_id, **more})

            async def listed(query: str) -> list[str]:
                answer = await web.get(f"/release-notes?{query}")
                assert answer.status_code == 200, answer.text
                return [note["description"][-1] for note in answer.json()["results"]]

            assert await listed("") == ["2", "1", "0"]
            assert await listed("ordering=created_at&limit=2") == ["0", "1"]
            assert await listed(f"release={release_id}&author=eve") == ["2"]
            assert await listed(f"study={STUDIES[0]}") == ["1"]
            assert await listed("search=NOTE 0") == ["0"]
            assert await listed(f"study={STUDIES[1]}") == []
            for query, field in (("release=RE_00000000", "release"), ("study=SD_00000000", "study")):
                answer = await web.get(f"/release-notes?{query}")
                assert (answer.status_code, list(answer.json())) == (400, [field])

    asyncio.run(go())


def test_an_event_of_elsewhere_is_written_and_never_changed() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            release_id, task_id, service_id = await _ids(c)
            made = await web.post("/events", json={"message": "disk full", "event_type": "error", "task": task_id})
            event = made.json()
            assert made.status_code == 201
            links = {
                "release": f"{BASE}/releases/{release_id}",
                "task_service": f"{BASE}/task-services/{service_id}",
                "task": f"{BASE}/tasks/{task_id}",
            }
            assert {name: event[name] for name in links} == links
            assert (event["event_type"], event["message"]) == ("error", "disk full")
            assert (await web.get(made.headers["location"])).json() == event
            assert (await web.get("/events?event_type=error")).json()["results"] == [event]
            for method in ("PUT", "PATCH", "DELETE"):
                assert (await web.request(method, f"/events/{event['kf_id']}", json={})).status_code == 405
            for given, field in (
                ({"message": "m", "release": "RE_00000000"}, "release"),
                ({"message": "m", "event_type": "bad"}, "event_type"),
                ({"message": "m" * 1001}, "message"),
                ({}, "message"),
            ):
                answer = await web.post("/events", json=given)
                assert (answer.status_code, list(answer.json())) == (400, [field])

    asyncio.run(go())


def test_events_are_searched_and_found_by_time() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            release_id, _, _ = await _ids(c)
            await c.bring(release_id, ReleaseState.STAGED)
            found = (await web.get("/events?search=RUNNING TO STAGED&ordering=created_at")).json()["results"]
            assert [event["task"] is None for event in found] == [False, True]
            newest: dict[str, Any] = (await web.get("/events?limit=1")).json()["results"][0]
            before = (await web.get("/events", params={"created_before": newest["created_at"]})).json()
            after = (await web.get("/events", params={"created_after": newest["created_at"]})).json()
            everything = (await web.get("/events")).json()["count"]
            assert after["count"] == 0
            assert before["count"] < everything

    asyncio.run(go())
