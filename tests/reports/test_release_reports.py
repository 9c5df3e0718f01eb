"""The reports service as its users meet it: real servers, from the start of a release to its end."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import HTMLResponse, JSONResponse, Response

from lockstep.dataservice.catalogue import figure, five_demo_studies
from lockstep.dataservice.entities import REPORTED
from lockstep.dataservice.patience import Patience
from lockstep.dataservice.sample import make_app
from lockstep.reports.deployment import run
from lockstep.reports.service import make_service
from tests.coordination import RELEASE, TASK, PlayedCoordinator, TaskServiceSpokenTo, killable, spoken_to
from tests.patience import PATIENCE_S, until

FIVE = [study["kf_id"] for study in five_demo_studies()]
STUDY = FIVE[0]
PUBLISHED = ("participants", "biospecimens", "genomic-files")
BRISK = Patience(attempts=3, pause_s=0.01)
EVERYTHING = {
    entity: [{"kf_id": f"XX_{n:08d}", "study_id": STUDY, "created_at": n} for n in range(number)]
    for number, entity in enumerate(REPORTED)
}


class Meddler:
    """A data service in front of which somebody stands who may answer in its place."""

    def __init__(self, app: Any, answer: Callable[[str, int], Awaitable[Response | None]]) -> None:
        self._app = app
        self._answer = answer
        self.asked: dict[str, int] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            path = scope["path"].strip("/")
            self.asked[path] = self.asked.get(path, 0) + 1
            if (instead := await self._answer(path, self.asked[path])) is not None:
                await instead(scope, receive, send)
                return
        await self._app(scope, receive, send)


Story = Callable[[TaskServiceSpokenTo, PlayedCoordinator], Awaitable[None]]


@pytest.fixture
def play(serve: Any, tmp_path: Path) -> Callable[..., None]:
    """Play a story with a reports service, a data service and a coordinator, all of them served for real."""

    def playing(story: Story, dataservice: Any = None, **settings: Any) -> None:
        async def told() -> None:
            coordinator = PlayedCoordinator()
            async with serve(coordinator.app) as coordinator.url, serve(dataservice or make_app()) as dataservice_url:
                service = make_service(
                    dataservice_url=dataservice_url,
                    coordinator_url=coordinator.url,
                    folder=tmp_path,
                    **{"patience": BRISK, **settings},
                )
                async with serve(service) as url, spoken_to(url) as reports:
                    await story(reports, coordinator)

        asyncio.run(told())

    return playing


def test_it_is_known_by_its_name(play: Any) -> None:
    async def story(reports: TaskServiceSpokenTo, _coordinator: PlayedCoordinator) -> None:
        status, body = await reports.get("/status")
        assert (status, body["name"]) == (200, "kf-task-release-reports")

    play(story)


def test_a_release_of_real_studies_is_counted_and_published(play: Any) -> None:
    """Published figures are numbers, everything else is unknown and says so; publishing brings the final version."""

    async def story(reports: TaskServiceSpokenTo, coordinator: PlayedCoordinator) -> None:
        await reports.start(*FIVE)
        await reports.until("staged")
        _, report = await reports.get(f"/reports/releases/{RELEASE}")
        sums = {entity: sum(figure(entity, study, "cfde-2023-q4") or 0 for study in FIVE) for entity in PUBLISHED}
        assert {entity: report.get(entity) for entity in REPORTED} == {**dict.fromkeys(REPORTED), **sums}
        assert (report["state"], report["version"], report["studies"]) == ("staged", "0.0.7", 5)
        assert report["at_least"] is True
        assert report["unknown"] == {
            entity: "unknown for 5 of 5 studies: not published by the source"
            for entity in REPORTED
            if entity not in PUBLISHED
        }
        row = report["study_summaries"][STUDY]
        assert (row["participants"], row["unknown"]["families"]) == (77, "not published by the source")
        assert row["sources"] == dict.fromkeys(PUBLISHED, "data service")

        coordinator.version = "0.1.0"
        await reports.ask("publish")
        await reports.until("published")
        _, final = await reports.get(f"/reports/releases/{RELEASE}")
        rows = [final, *final["study_summaries"].values()]
        assert [(row["state"], row["version"], row["task_id"]) for row in rows] == [("published", "0.1.0", TASK)] * 6
        assert {row["published_at"] for row in rows} == {final["published_at"]}
        assert datetime.fromisoformat(final["published_at"]) >= datetime.fromisoformat(final["created_at"])

    play(story)


def test_all_known_counts_leave_nothing_to_say(play: Any) -> None:
    """Zero is a count; the sums are whole."""

    async def story(reports: TaskServiceSpokenTo, coordinator: PlayedCoordinator) -> None:
        await reports.start(STUDY)
        await reports.until("staged")
        _, report = await reports.get(f"/reports/releases/{RELEASE}")
        assert {entity: report[entity] for entity in REPORTED} == {entity: n for n, entity in enumerate(REPORTED)}
        assert (report["unknown"], report["at_least"]) == ({}, False)
        await until(lambda: 100 in coordinator.progress)
        assert coordinator.progress == sorted(coordinator.progress)

    play(story, make_app(rows=EVERYTHING))


def test_every_address_shows_the_same_rows_to_pages_from_anywhere(play: Any) -> None:
    async def story(reports: TaskServiceSpokenTo, _coordinator: PlayedCoordinator) -> None:
        await reports.start(*FIVE)
        await reports.until("staged")
        await reports.start(STUDY, task="TA_00000002", release="RE_00000002")
        await reports.until("staged", task="TA_00000002", release="RE_00000002")
        _, whole = await reports.get(f"/reports/releases/{RELEASE}")
        assert await reports.get(f"/reports/{RELEASE}") == (200, whole)
        row = whole["study_summaries"][STUDY]
        assert await reports.get(f"/reports/{RELEASE}/{STUDY}") == (200, row)
        _, history = await reports.get(f"/reports/studies/{STUDY}?state=staged")
        assert [list(releases) for releases in history["releases"]] == [["RE_00000002", RELEASE]]
        assert history["releases"][0][RELEASE] == row
        async with reports._web.get(f"{reports.url}/reports/{RELEASE}", headers={"Origin": "http://x.test"}) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == "*"

    play(story)


def test_what_is_not_there_is_said_in_the_words_that_clients_know(play: Any) -> None:
    async def story(reports: TaskServiceSpokenTo, _coordinator: PlayedCoordinator) -> None:
        assert [
            await reports.get(path)
            for path in (
                "/reports/releases/RE_00000009",
                "/reports/RE_00000009",
                "/reports/RE_00000009/SD_00000009",
                "/reports/studies/SD_00000009",
                "/reports/studies/SD_00000009?state=bogus",
                "/reports/a/b/c",
            )
        ] == [
            (404, {"message": "could not find a report for release RE_00000009"}),
            (404, {"message": "could not find a report for release RE_00000009"}),
            (404, {"message": "could not find study report for release RE_00000009 and study id SD_00000009"}),
            (404, {"message": "could not find a report for study SD_00000009"}),
            (400, {"message": "state must be one of running, staged, published, canceled, failed"}),
            (404, {"message": "there is no report at this address"}),
        ]

    play(story)


async def _broken(path: str, _: int) -> Response | None:
    answers = {
        "participants": HTMLResponse("<h1>Oops</h1>", 500),
        "biospecimens": HTMLResponse("<h1>Welcome</h1>"),
        "phenotypes": JSONResponse({"results": []}),
        "genomic-files": JSONResponse({"results": [], "total": -1}),
        "study-files": JSONResponse({"results": [], "total": "12"}),
        "read-groups": JSONResponse({"results": [], "total": None}),
    }
    return answers.get(path)


REASONS = {
    "participants": "the data service answered 500",
    "biospecimens": "the data service sent text/html; charset=utf-8 instead of its JSON envelope",
    "phenotypes": "the data service answered with no total; a whole number from 0 to a trillion is a count",
    "genomic-files": "the data service answered with the total -1; a whole number from 0 to a trillion is a count",
    "study-files": 'the data service answered with the total "12"; a whole number from 0 to a trillion is a count',
    "read-groups": "not published by the source",
}


def test_counts_that_cannot_be_had_fail_the_task_and_are_named(play: Any) -> None:
    """The report says what was found and what was not; nothing is 0 for want of an answer."""
    dataservice = Meddler(make_app(rows=EVERYTHING), _broken)

    async def story(reports: TaskServiceSpokenTo, _coordinator: PlayedCoordinator) -> None:
        await reports.start(STUDY)
        ended = await reports.until("failed")
        assert ended["error"].startswith("CountsMissing: 5 counts could not be had: participants of SD_8Y99QZJJ: the d")
        await reports.ask("cancel")
        _, report = await reports.get(f"/reports/releases/{RELEASE}")
        row = report["study_summaries"][STUDY]
        assert (report["state"], row["state"], row["unknown"]) == ("failed", "failed", REASONS)
        assert {entity: row.get(entity) for entity in REPORTED} == {
            entity: None if entity in REASONS else number for number, entity in enumerate(REPORTED)
        }
        assert "127.0.0.1" not in str(report)
        assert dataservice.asked["participants"] == BRISK.attempts

    play(story, dataservice)


def test_counts_that_cannot_be_had_only_warn_when_so_set(play: Any) -> None:
    async def story(reports: TaskServiceSpokenTo, _coordinator: PlayedCoordinator) -> None:
        await reports.start(STUDY)
        await reports.until("staged")
        _, report = await reports.get(f"/reports/releases/{RELEASE}")
        assert (report["state"], report["at_least"]) == ("staged", True)
        assert report["study_summaries"][STUDY]["unknown"] == REASONS

    play(story, Meddler(make_app(rows=EVERYTHING), _broken), fail_on_unknown=False)


def test_a_count_that_fails_once_is_asked_for_again(play: Any) -> None:
    async def first_fails(_: str, times: int) -> Response | None:
        return HTMLResponse("<h1>Bad Gateway</h1>", 502) if times == 1 else None

    async def story(reports: TaskServiceSpokenTo, _coordinator: PlayedCoordinator) -> None:
        await reports.start(STUDY)
        await reports.until("staged")
        _, report = await reports.get(f"/reports/releases/{RELEASE}")
        assert report["unknown"] == {}

    play(story, Meddler(make_app(rows=EVERYTHING), first_fails))


def test_a_data_service_that_is_slow_or_gone_leaves_every_count_unknown(serve: Any, tmp_path: Path) -> None:
    """Each says why, and nothing is staged."""
    is_over = asyncio.Event()

    async def slow(_path: str, _times: int) -> Response | None:
        await is_over.wait()
        return None

    async def reason(url: str, folder: Path, timeout_s: float) -> set[str]:
        service = make_service(
            dataservice_url=url, coordinator_url="", folder=folder, timeout_s=timeout_s, patience=BRISK
        )
        async with serve(service) as served, spoken_to(served) as reports:
            await reports.start(STUDY)
            await reports.until("failed")
            _, report = await reports.get(f"/reports/{RELEASE}")
            assert (report["state"], set(report["unknown"])) == ("failed", set(REPORTED))
            return set(report["study_summaries"][STUDY]["unknown"].values())

    async def story() -> None:
        async with serve(Meddler(make_app(), slow)) as url:
            assert await reason(url, tmp_path / "slow", 0.05) == {"the data service did not answer within 0.05 s"}
            is_over.set()
        assert await reason(url, tmp_path / "gone", PATIENCE_S) == {
            "the data service did not answer: Connection refused"
        }

    asyncio.run(story())


def test_a_service_registered_twice_reports_once(play: Any) -> None:
    """The second task of the same release fails in words, and the first one's report stays as it is."""

    async def story(reports: TaskServiceSpokenTo, _coordinator: PlayedCoordinator) -> None:
        await reports.start(STUDY)
        await reports.until("staged")
        await reports.start(STUDY, task="TA_00000002")
        ended = await reports.until("failed", task="TA_00000002")
        assert "is being reported on by task TA_00000001 already" in ended["error"]
        await reports.ask("cancel", task="TA_00000002")
        _, report = await reports.get(f"/reports/{RELEASE}")
        assert (report["task_id"], report["state"]) == (TASK, "staged")

    play(story)


def test_a_cancel_in_the_middle_of_counting_marks_the_rows(play: Any) -> None:
    """The counts under way are dropped; no later end of theirs makes the report staged."""
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def hold(path: str, _: int) -> Response | None:
        if path == "families":
            reached.set()
            await go_on.wait()
        return None

    async def story(reports: TaskServiceSpokenTo, _coordinator: PlayedCoordinator) -> None:
        await reports.start(STUDY)
        await reached.wait()
        _, report = await reports.get(f"/reports/{RELEASE}")
        assert (report["state"], report["unknown"]["participants"]) == (
            "running",
            "unknown for 1 of 1 studies: not counted",
        )
        await reports.ask("cancel")

        async def canceled() -> bool:
            return bool((await reports.get(f"/reports/{RELEASE}"))[1]["state"] == "canceled")

        await until(canceled)
        go_on.set()
        await reports.until("canceled")
        _, row = await reports.get(f"/reports/{RELEASE}/{STUDY}")
        assert row["state"] == "canceled"

    play(story, Meddler(make_app(), hold))


def test_a_staged_report_is_canceled_with_its_release(play: Any) -> None:
    async def story(reports: TaskServiceSpokenTo, _coordinator: PlayedCoordinator) -> None:
        await reports.start(*FIVE)
        await reports.until("staged")
        await reports.ask("cancel")

        async def states() -> bool:
            _, report = await reports.get(f"/reports/{RELEASE}")
            return {row["state"] for row in [report, *report["study_summaries"].values()]} == {"canceled"}

        await until(states)

    play(story)


def test_without_the_final_version_nothing_is_published(play: Any) -> None:
    async def story(reports: TaskServiceSpokenTo, coordinator: PlayedCoordinator) -> None:
        await reports.start(STUDY)
        await reports.until("staged")
        coordinator.version = None
        await reports.ask("publish")
        ended = await reports.until("failed")
        assert ended["error"] == f"ReportError: the coordinator names no version for release {RELEASE}"
        _, report = await reports.get(f"/reports/{RELEASE}")
        assert report["state"] == "failed"

    play(story)


def test_killed_while_counting_and_while_publishing_the_report_ends_right(serve: Any, tmp_path: Path) -> None:
    """What was half done is begun again, and at no time is a half-written report shown as staged or published."""
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def hold(path: str, _: int) -> Response | None:
        if path == "families":
            reached.set()
            await go_on.wait()
        return None

    async def state(reports: TaskServiceSpokenTo) -> tuple[str, str | None]:
        _, report = await reports.get(f"/reports/{RELEASE}")
        rows = {(row["state"], row["version"]) for row in [report, *report["study_summaries"].values()]}
        assert len(rows) == 1
        return rows.pop()

    async def story() -> None:
        coordinator, dataservice = PlayedCoordinator(), Meddler(make_app(), hold)
        async with serve(coordinator.app) as coordinator.url, serve(dataservice) as dataservice_url:
            settings = {"dataservice_url": dataservice_url, "coordinator_url": coordinator.url}
            settings["reports_folder"] = str(tmp_path)
            async with killable(run.__module__, tmp_path, **settings) as process, spoken_to(process.url) as reports:
                await reports.start(*FIVE)
                await reached.wait()
                await process.kill()
                await process.start()
                assert await state(reports) == ("running", "0.0.7")
                go_on.set()
                await reports.until("staged")
                assert await state(reports) == ("staged", "0.0.7")
                _, counted = await reports.get(f"/reports/{RELEASE}")
                assert counted["participants"] == sum(
                    figure("participants", study, "cfde-2023-q4") or 0 for study in FIVE
                )

                coordinator.version = "0.1.0"
                coordinator.open.clear()
                coordinator.asked_for_release.clear()
                await reports.ask("publish")
                await coordinator.asked_for_release.wait()
                await process.kill()
                await process.start()
                assert await state(reports) == ("staged", "0.0.7")
                coordinator.open.set()
                await reports.until("published")
                assert await state(reports) == ("published", "0.1.0")

    asyncio.run(story())


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [({"dataservice_url": "nowhere"}, "no address of a data service"), ({"connections": 0}, "must be at least 1")],
)
def test_a_wrong_setting_is_refused_at_once(tmp_path: Path, wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make_service(**{"dataservice_url": "http://127.0.0.1:1", "folder": tmp_path, **wrong})
