"""The snapshot service as its users meet it: real servers, from the start of a release to its end."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import HTMLResponse, JSONResponse, Response

from lockstep.dataservice.entities import ENTITIES
from lockstep.dataservice.patience import Patience
from lockstep.dataservice.sample import make_app
from lockstep.snapshot.service import make_service, run
from tests.coordination import RELEASE, TASK, PlayedCoordinator, TaskServiceSpokenTo, killable, spoken_to
from tests.patience import until

ONE, TWO = "SD_BHJXBDQK", "SD_9PYZAHHE"
BRISK = Patience(attempts=2, pause_s=0.01)


def rows(study_id: str, first: int, how_many: int = 230) -> list[dict[str, Any]]:
    """Return rows that lie between those of another study in time, one in ten of them hidden."""
    return [
        {"kf_id": f"XX_{n:08d}", "study_id": study_id, "visible": n % 10 != 0, "created_at": n // 7}
        for n in range(first, first + 2 * how_many, 2)
    ]


ROWS = {entity: rows(ONE, 0) + rows(TWO, 1, 120) for entity in ("participants", "families", "study-files")}


def wanted(study_id: str, entity: str) -> list[str]:
    return sorted(row["kf_id"] for row in ROWS.get(entity, []) if row["study_id"] == study_id and row["visible"])


def stored(folder: Path, study_id: str, entity: str) -> list[str]:
    text = (folder / RELEASE / study_id / "dataservice" / f"{entity}.json").read_text()
    return [record["kf_id"] for record in json.loads(text)]


def files(folder: Path) -> list[Path]:
    """Return what is in a folder, which may be on its way to being removed."""
    return [Path(root) / name for root, _, names in os.walk(folder) for name in names]


class Meddler:
    """A data service in front of which somebody stands who may answer in its place."""

    def __init__(self, app: Any, answer: Callable[[str, str], Awaitable[Response | None]]) -> None:
        self._app = app
        self._answer = answer

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            instead = await self._answer(scope["path"].strip("/"), scope["query_string"].decode())
            if instead is not None:
                await instead(scope, receive, send)
                return
        await self._app(scope, receive, send)


Story = Callable[[TaskServiceSpokenTo], Awaitable[None]]


@pytest.fixture
def play(serve: Any, tmp_path: Path) -> Callable[..., None]:
    """Play a story with a snapshot service that keeps all in `tmp_path`, and with a data service."""

    def playing(story: Story, dataservice: Any) -> None:
        async def told() -> None:
            async with serve(dataservice) as dataservice_url:
                service = make_service(
                    dataservice_url=dataservice_url, coordinator_url="", folder=tmp_path, patience=BRISK
                )
                async with serve(service) as url, spoken_to(url) as snapshot:
                    await story(snapshot)

        asyncio.run(told())

    return playing


def test_each_study_gets_its_own_records_over_all_pages(play: Any, tmp_path: Path) -> None:
    """Several studies, several pages: the case in which the snapshot in the field stores rows of the wrong study."""

    async def story(snapshot: TaskServiceSpokenTo) -> None:
        await snapshot.start(ONE, TWO)
        await snapshot.until("staged")
        assert files(tmp_path / "public") == []
        await snapshot.ask("publish")
        await snapshot.until("published")
        assert files(tmp_path / "staging") == []
        for study_id in (ONE, TWO):
            found = {entity: stored(tmp_path / "public", study_id, entity) for entity in ENTITIES}
            assert {entity: sorted(ids) for entity, ids in found.items()} == {
                entity: [study_id] if entity == "studies" else wanted(study_id, entity) for entity in ENTITIES
            }

    play(story, make_app(rows=ROWS))


def test_the_manifest_says_what_is_in_it_and_what_is_not(play: Any, tmp_path: Path) -> None:
    """The sample knows that there are participants and has none to show: the snapshot does not pretend otherwise."""

    async def story(snapshot: TaskServiceSpokenTo) -> None:
        await snapshot.start("SD_8Y99QZJJ")
        await snapshot.until("staged")
        manifest = json.loads((tmp_path / "staging" / RELEASE / "snapshot.json").read_text())
        assert (manifest["release_id"], manifest["task_id"], manifest["complete"]) == (RELEASE, TASK, True)
        contents = manifest["studies"]["SD_8Y99QZJJ"]
        assert contents["participants"] == {"records": 0, "total": 77}
        assert contents["phenotypes"] == {"records": 0, "total": None}
        assert contents["studies"] == {"records": 1, "total": 1}

    play(story, make_app())


def test_records_of_another_study_end_the_task_and_are_not_kept(play: Any, tmp_path: Path) -> None:
    """A data service that mixes studies up on its second page is found out."""

    async def mixed_up(path: str, query: str) -> Response | None:
        if path == "participants" and ONE in query and "after=" in query:
            strange = {"kf_id": "PT_99999999", "_links": {"study": f"/studies/{TWO}"}}
            return JSONResponse({"results": [strange], "total": 1, "_links": {"self": f"/participants?study_id={ONE}"}})
        return None

    async def story(snapshot: TaskServiceSpokenTo) -> None:
        await snapshot.start(ONE, TWO)
        ended = await snapshot.until("failed")
        assert f"sent PT_99999999, which belongs to {TWO}" in ended["error"]
        await until(lambda: not files(tmp_path / "staging"))
        assert files(tmp_path / "public") == []

    play(story, Meddler(make_app(rows=ROWS), mixed_up))


def test_a_list_that_broke_off_is_read_again_from_its_beginning(play: Any, tmp_path: Path) -> None:
    """No record is in the file twice."""
    broken: set[str] = set()

    async def breaks_off_once(path: str, query: str) -> Response | None:
        if path in ROWS and "after=" in query and path not in broken:
            broken.add(path)
            return HTMLResponse("<h1>Bad Gateway</h1>", 502)
        return None

    async def story(snapshot: TaskServiceSpokenTo) -> None:
        await snapshot.start(ONE)
        await snapshot.until("staged")
        assert broken == set(ROWS)
        for entity in ROWS:
            assert sorted(stored(tmp_path / "staging", ONE, entity)) == wanted(ONE, entity)

    play(story, Meddler(make_app(rows=ROWS), breaks_off_once))


def test_a_study_that_the_data_service_does_not_know_fails_the_task(play: Any, tmp_path: Path) -> None:
    async def story(snapshot: TaskServiceSpokenTo) -> None:
        await snapshot.start("SD_00000000")
        ended = await snapshot.until("failed")
        assert "answered 404: could not find study `SD_00000000`" in ended["error"]
        await until(lambda: not files(tmp_path / "staging"))

    play(story, make_app())


def test_a_cancel_removes_what_was_written(play: Any, tmp_path: Path) -> None:
    """In the middle of the work and after it."""
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def hold(path: str, _: str) -> Response | None:
        if path == "study-files":
            reached.set()
            await go_on.wait()
        return None

    async def story(snapshot: TaskServiceSpokenTo) -> None:
        await snapshot.start(ONE)
        await reached.wait()
        assert files(tmp_path / "staging") != []
        await snapshot.ask("cancel")
        await until(lambda: not list((tmp_path / "staging").iterdir()))
        go_on.set()
        await snapshot.until("canceled")

        await snapshot.start(ONE, task="TA_00000002", release="RE_00000002")
        await snapshot.until("staged", task="TA_00000002", release="RE_00000002")
        await snapshot.ask("cancel", task="TA_00000002", release="RE_00000002")
        await until(lambda: not list((tmp_path / "staging").iterdir()))
        assert list((tmp_path / "public").iterdir()) == []

    play(story, Meddler(make_app(rows=ROWS), hold))


def test_killed_in_the_middle_it_begins_again_and_ends_whole(serve: Any, tmp_path: Path) -> None:
    """The public sees nothing until all is there; publishing is the same after another kill."""
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def hold(path: str, query: str) -> Response | None:
        if path == "participants" and "after=" in query:
            reached.set()
            await go_on.wait()
        return None

    async def story() -> None:
        coordinator = PlayedCoordinator()
        dataservice = Meddler(make_app(rows=ROWS), hold)
        async with serve(coordinator.app) as coordinator.url, serve(dataservice) as dataservice_url:
            settings = {"dataservice_url": dataservice_url, "coordinator_url": coordinator.url, "folder": str(tmp_path)}
            async with killable(run.__module__, tmp_path, **settings) as process, spoken_to(process.url) as snapshot:
                await snapshot.start(ONE, TWO)
                await reached.wait()
                await process.kill()
                assert files(tmp_path / "public") == []
                await process.start()
                go_on.set()
                await snapshot.until("staged")
                await snapshot.ask("publish")
                await snapshot.until("published")
                await process.kill()
                await process.start()
                assert (await snapshot.ask("publish"))["state"] == "published"
        assert files(tmp_path / "staging") == []
        for study_id in (ONE, TWO):
            for entity in ROWS:
                assert sorted(stored(tmp_path / "public", study_id, entity)) == wanted(study_id, entity)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [({"dataservice_url": "nowhere"}, "no address of a data service"), ({"connections": 0}, "must be at least 1")],
)
def test_a_wrong_setting_is_refused_at_once(tmp_path: Path, wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make_service(**{"dataservice_url": "http://127.0.0.1:1", "folder": tmp_path, **wrong})
