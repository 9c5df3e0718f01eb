"""What changes with a release, and the history of a study, as they are asked for over HTTP."""

import asyncio
import csv
import io
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from starlette.applications import Starlette

from lockstep.dataservice.catalogue import AS_OF, figure, five_demo_studies
from lockstep.dataservice.entities import REPORTED
from lockstep.dataservice.sample import make_app
from lockstep.reports.api import reports_route
from lockstep.reports.dynamodb import DynamoReports
from lockstep.reports.dynamodb.calls import Calls
from lockstep.reports.dynamodb.tables import Tables
from lockstep.reports.report import ReportState
from lockstep.reports.service import make_service
from lockstep.reports.sqlite_store import SqliteReports
from lockstep.reports.store import ReportStore
from tests.coordination import PlayedCoordinator, spoken_to
from tests.reports.conftest import wait_for_indexes
from tests.reports.report_store_contract import publish, report, stage

FIVE = [study["kf_id"] for study in five_demo_studies()]


@pytest.fixture(params=["sqlite", "dynamodb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ReportStore:
    """Either store: what is asked over HTTP is answered the same."""
    if request.param == "sqlite":
        return SqliteReports(tmp_path / "reports.db")
    calls: Calls = request.getfixturevalue("calls")
    tables: Tables = request.getfixturevalue("tables")
    return DynamoReports(calls, tables)


Get = Callable[..., Awaitable[tuple[int, Any]]]
Story = Callable[[Get], Awaitable[None]]


@pytest.fixture
def reading(
    serve: Any, store: ReportStore, request: pytest.FixtureRequest
) -> Callable[[Callable[[Get], Awaitable[None]]], None]:
    """Read what is in the store through a real server."""

    def read(story: Story) -> None:
        if isinstance(store, DynamoReports):
            wait_for_indexes(request.getfixturevalue("calls"), request.getfixturevalue("tables"))

        async def told() -> None:
            app = Starlette(routes=[reports_route(store)])
            async with serve(app) as url, aiohttp.ClientSession() as web:

                async def get(path: str, **headers: str) -> tuple[int, Any]:
                    async with web.get(url + path, headers=headers) as answer:
                        is_json = answer.content_type == "application/json"
                        return answer.status, await (answer.json() if is_json else answer.text())

                await story(get)

        asyncio.run(told())

    return read


def test_each_study_is_compared_with_its_own_last_published_row(reading: Any, store: ReportStore) -> None:
    """Two studies come from two earlier releases; a published release is compared with what was public before it."""
    publish(store, "SD_00000001", "SD_00000002", release="RE_00000001", day=1, version="0.1.0")
    publish(store, "SD_00000002", "SD_00000004", release="RE_00000002", day=3, version="0.2.0")
    publish(store, "SD_00000001", "SD_00000002", "SD_00000003", release="RE_00000003", day=5, version="0.3.0")
    stage(store, "SD_00000001", "SD_00000003", release="RE_00000004", day=7)

    async def story(get: Get) -> None:
        _, published = await get("/reports/releases/RE_00000003/diff")
        assert {study: row["last"] and row["last"]["version"] for study, row in published["study_diffs"].items()} == {
            "SD_00000001": "0.1.0",
            "SD_00000002": "0.2.0",
            "SD_00000003": None,
            "SD_00000004": "0.2.0",
        }
        assert published["against"] == {"release_id": "RE_00000002", "version": "0.2.0"}
        assert published["studies"] == {
            "new": ["SD_00000003"],
            "changed": [],
            "unchanged": ["SD_00000001", "SD_00000002"],
            "gone": ["SD_00000004"],
        }
        _, staged = await get("/reports/releases/RE_00000004/diff")
        assert (staged["against"]["version"], staged["studies"]["gone"]) == ("0.3.0", ["SD_00000002"])
        _, chosen = await get("/reports/releases/RE_00000004/diff?against=RE_00000001")
        assert (chosen["compared_with"], chosen["studies"]["new"], chosen["studies"]["gone"]) == (
            "release",
            ["SD_00000003"],
            ["SD_00000002"],
        )
        assert (chosen["totals"]["biospecimens"]["last"], chosen["totals"]["biospecimens"]["now"]) == (668, 668)

    reading(story)


def test_the_first_release_of_all_is_new(reading: Any, store: ReportStore) -> None:
    stage(store, release="RE_00000001")

    async def story(get: Get) -> None:
        _, shown = await get("/reports/releases/RE_00000001/diff")
        assert (shown["against"], shown["studies"]["new"]) == (None, ["SD_00000001", "SD_00000002"])

    reading(story)


def test_the_format_is_what_the_request_accepts(reading: Any, store: ReportStore) -> None:
    stage(store, release="RE_00000001")

    async def story(get: Get) -> None:
        path = "/reports/releases/RE_00000001/diff"
        _, text = await get(path, Accept="text/csv")
        assert len(list(csv.DictReader(io.StringIO(text, newline="")))) == 3 * len(REPORTED)
        _, text = await get(path, Accept="text/markdown")
        assert text.startswith("## What changes with release 0.0.1 (RE_00000001, staged)\n")
        assert (await get(path, Accept="image/png"))[0] == 406
        assert (await get(path, Accept="image/png"))[1]["message"].startswith(
            "what changes with a release can be sent as"
        )

    reading(story)


def test_formats_are_declared_and_caches_told_apart(serve: Any, tmp_path: Path) -> None:
    store = SqliteReports(tmp_path / "reports.db")
    stage(store, release="RE_00000001")

    async def story() -> None:
        async with serve(Starlette(routes=[reports_route(store)])) as url, aiohttp.ClientSession() as web:
            path = f"{url}/reports/releases/RE_00000001/diff"
            kinds = {}
            for wanted in ("application/json", "text/csv", "text/markdown"):
                async with web.get(path, headers={"Accept": wanted, "Origin": "http://x.test"}) as answer:
                    kinds[wanted] = answer.headers["Content-Type"]
                    assert "Accept" in answer.headers["Vary"]
                    assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert kinds == {
                "application/json": "application/json",
                "text/csv": "text/csv; header=present; charset=utf-8",
                "text/markdown": "text/markdown; charset=utf-8",
            }

    asyncio.run(story())


def test_what_cannot_be_compared_is_said(reading: Any, store: ReportStore) -> None:
    stage(store, release="RE_00000001")
    assert store.write(report(ReportState.RUNNING, release="RE_00000002", counts={}), None)

    async def story(get: Get) -> None:
        running = "release RE_00000002 is still being counted; what changes is known when that is over"
        assert [
            await get(f"/reports/releases/{path}")
            for path in (
                "RE_00000009/diff",
                "RE_00000001/diff?against=RE_00000009",
                "RE_00000002/diff",
                "RE_00000001/diff?against=RE_00000002",
            )
        ] == [
            (404, {"message": "could not find a report for release RE_00000009"}),
            (404, {"message": "could not find a report for release RE_00000009"}),
            (409, {"message": running}),
            (409, {"message": running}),
        ]

    reading(story)


def test_the_history_of_a_study_is_read_page_by_page(reading: Any, store: ReportStore) -> None:
    """`next` is followed as it is, to the end; every release comes once, the newest first."""
    for day in range(5):
        stage(store, "SD_00000001", release=f"RE_{day:08d}", day=day)

    async def story(get: Get) -> None:
        path, seen = "/reports/studies/SD_00000001/history?limit=2", []
        while path:
            status, page = await get(path)
            assert (status, page["study_id"]) == (200, "SD_00000001")
            seen += [row["release_id"] for row in page["releases"]]
            path = page["next"]
        assert seen == [f"RE_{day:08d}" for day in (4, 3, 2, 1, 0)]
        _, whole = await get("/reports/studies/SD_00000001/history")
        assert whole["releases"][0] == (await get("/reports/RE_00000004/SD_00000001"))[1]
        assert (await get("/reports/studies/SD_00000009/history"))[0] == 404

    reading(story)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=many",
        "limit=-1",
        "limit=9999999999999999999999",
        "limit=%C2%B2",
        "after=",
        "after=yesterday~RE_1",
        "after=2024-01-01T00:00:00%2B00:00",
        "after=2024-01-01T00:00:00%2B00:00~",
        "after=0001-01-01T00:00:00%2B23:59~RE_1",
        "after=%00~%00",
    ],
)
def test_a_page_that_cannot_be_is_refused(serve: Any, tmp_path: Path, query: str) -> None:
    store = SqliteReports(tmp_path / "reports.db")
    stage(store, release="RE_00000001")

    async def story() -> None:
        async with serve(Starlette(routes=[reports_route(store)])) as url, spoken_to(url) as reports:
            status, body = await reports.get(f"/reports/studies/SD_00000001/history?{query}")
            assert status == 400
            assert body["message"].startswith(("limit must be", "after must be"))

    asyncio.run(story())


def test_two_releases_of_real_studies_show_their_difference(serve: Any, tmp_path: Path) -> None:
    """The first is published with the figures of one date, the second staged with those of the next."""
    app = make_app(as_of=AS_OF[0])

    async def story() -> None:
        coordinator = PlayedCoordinator()
        async with serve(coordinator.app) as coordinator.url, serve(app) as dataservice_url:
            service = make_service(dataservice_url=dataservice_url, coordinator_url=coordinator.url, folder=tmp_path)
            async with serve(service) as url, spoken_to(url) as reports:
                await reports.start(*FIVE)
                await reports.until("staged")
                coordinator.version = "0.1.0"
                await reports.ask("publish")
                await reports.until("published")
                app.state.sample.turn_to(AS_OF[1])
                second = {"task": "TA_00000002", "release": "RE_00000002"}
                await reports.start(*FIVE, **second)
                await reports.until("staged", **second)
                _, shown = await reports.get("/reports/releases/RE_00000002/diff")
        assert shown["against"] == {"release_id": "RE_00000001", "version": "0.1.0"}
        for entity in ("participants", "biospecimens", "genomic-files"):
            before, after = (sum(figure(entity, study, as_of) or 0 for study in FIVE) for as_of in AS_OF)
            total = shown["totals"][entity]
            assert (total["last"], total["now"], total["difference"]) == (before, after, after - before)
        assert any(total["difference"] for total in shown["totals"].values())
        assert shown["totals"]["families"]["difference"] is None

    asyncio.run(story())


@contextmanager
def counted_requests(store: ReportStore) -> Iterator[list[str]]:
    """Note every request that a store on DynamoDB makes."""
    made: list[str] = []
    events = store._items._calls.client.meta.events  # type: ignore[attr-defined]

    def note(model: Any, **_: Any) -> None:
        made.append(model.name)

    events.register("before-call.dynamodb", note)
    yield made
    events.unregister("before-call.dynamodb", note)


def test_a_page_of_history_costs_the_same_however_long_it_is(calls: Calls, tables: Tables) -> None:
    """Two requests for a page; and one for each study whose last published row is looked for."""
    store = DynamoReports(calls, tables)
    made: list[list[str]] = []
    for known in (3, 7):
        for day in range(known):
            release = f"RE_{known:04d}{day:04d}"
            publish(store, "SD_00000001", "SD_00000002", release=release, day=day, version=f"0.{day}.0")
        wait_for_indexes(calls, tables)
        with counted_requests(store) as requests:
            store.history("SD_00000001", 3)
            store.last_published(["SD_00000001", "SD_00000002"])
        made.append(requests)
    assert made == [["Query", "BatchGetItem", "Query", "Query", "BatchGetItem"]] * 2
