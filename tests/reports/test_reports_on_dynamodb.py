"""The service with its reports in DynamoDB: killed in the middle of its writes, throttled, and without its tables."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from lockstep.dataservice.catalogue import figure, five_demo_studies
from lockstep.dataservice.patience import Patience
from lockstep.dataservice.sample import make_app
from lockstep.reports.deployment import run
from lockstep.reports.dynamodb import DynamoReports
from lockstep.reports.dynamodb.calls import Calls, connect
from lockstep.reports.dynamodb.rows import decode
from lockstep.reports.dynamodb.tables import Tables
from lockstep.reports.service import make_service
from tests.coordination import RELEASE, PlayedCoordinator, TaskServiceSpokenTo, killable, spoken_to
from tests.patience import until
from tests.reports.conftest import REAL
from tests.reports.dynamodb_proxy import THROTTLED, Answer, Proxy, Request, proxied

pytestmark = pytest.mark.skipif(REAL, reason="faults are played in front of a played DynamoDB")

FIVE = [study["kf_id"] for study in five_demo_studies()]


class Gate:
    """Holds a request of a kind from its `number`th on, until it is opened."""

    def __init__(self, proxy: Proxy, operation: str, number: int) -> None:
        self.reached, self.open = Event(), Event()
        already = proxy.asked.count(operation)

        def hold(request: Request) -> Answer | None:
            if request.operation == operation and request.number >= already + number:
                self.reached.set()
                self.open.wait(20)
            return None

        proxy.before = hold

    async def wait(self) -> None:
        with ThreadPoolExecutor(1) as thread:
            assert await asyncio.get_running_loop().run_in_executor(thread, self.reached.wait, 20)


async def shown(reports: TaskServiceSpokenTo) -> tuple[str, str | None, int | None]:
    """Return state, version and participants of the report, all of whose rows have to agree."""
    _, report = await reports.get(f"/reports/{RELEASE}")
    rows = [report, *report["study_summaries"].values()]
    assert len({(row["state"], row["version"], row["published_at"]) for row in rows}) == 1
    counted = [row.get("participants") for row in rows[1:]]
    assert report.get("participants") == (None if None in counted else sum(counted))
    return report["state"], report["version"], report.get("participants")


def test_killed_in_the_middle_of_writing_counts_and_of_publishing_it_ends_right(
    serve: Any, tmp_path: Path, dynamodb_url: str, calls: Calls, tables: Tables
) -> None:
    """Three of five rows are written when the process dies. What is shown is what was there before."""
    participants = sum(figure("participants", study, "cfde-2023-q4") or 0 for study in FIVE)

    async def story(proxy: Proxy) -> None:
        coordinator = PlayedCoordinator()
        async with serve(coordinator.app) as coordinator.url, serve(make_app()) as dataservice_url:
            settings = {
                "dataservice_url": dataservice_url,
                "coordinator_url": coordinator.url,
                "reports_folder": str(tmp_path),
                "reports_store": "dynamodb",
                "dynamodb_endpoint": proxy.url,
                "task_table": tables.task,
                "release_summary_table": tables.release_summary,
                "study_summary_table": tables.study_summary,
            }
            async with killable(run.__module__, tmp_path, **settings) as process, spoken_to(process.url) as reports:
                gate = Gate(proxy, "PutItem", len(FIVE) + 3)
                await reports.start(*FIVE)
                await gate.wait()
                await process.kill()
                gate.open.set()
                gate = Gate(proxy, "PutItem", 1)
                await process.start()
                assert await shown(reports) == ("running", "0.0.7", None)
                gate.open.set()
                await reports.until("staged")
                assert await shown(reports) == ("staged", "0.0.7", participants)

                coordinator.version = "0.1.0"
                gate = Gate(proxy, "UpdateItem", 1 + 3)
                await reports.ask("publish")
                await gate.wait()
                await process.kill()
                gate.open.set()
                gate = Gate(proxy, "UpdateItem", 1)
                await process.start()
                assert await shown(reports) == ("staged", "0.0.7", participants)
                gate.open.set()
                await reports.until("published")
                assert await shown(reports) == ("published", "0.1.0", participants)
        for table in (tables.task, tables.release_summary, tables.study_summary):
            items = [decode(item) for item in calls.client.scan(TableName=table)["Items"]]
            assert {item["state"] for item in items} == {"published"}

    with proxied(dynamodb_url) as proxy:
        asyncio.run(story(proxy))


def test_a_missing_table_fails_the_task_in_words(serve: Any, tmp_path: Path, calls: Calls) -> None:
    """Its readers are told the same."""
    missing = DynamoReports(calls, Tables("nobody-made-a", "nobody-made-b", "nobody-made-c"))

    async def story() -> None:
        async with serve(make_app()) as url:
            service = make_service(dataservice_url=url, coordinator_url="", folder=tmp_path, reports=missing)
            async with serve(service) as served, spoken_to(served) as reports:
                sentence = (
                    "the tables of the reports in DynamoDB cannot be used: a table is not there; "
                    "`lockstep reports create-tables` makes what is missing"
                )
                await reports.start(*FIVE)
                ended = await reports.until("failed")
                assert ended["error"] == f"NoTable: {sentence}"
                assert await reports.get(f"/reports/{RELEASE}") == (503, {"message": sentence})

    asyncio.run(story())


def test_a_throttled_table_delays_a_report_and_nobody_else(
    serve: Any, tmp_path: Path, dynamodb_url: str, tables: Tables
) -> None:
    """While writes are throttled the service answers at once; when that is over, the report is staged."""

    async def story(proxy: Proxy) -> None:
        store = DynamoReports(Calls(connect(endpoint_url=proxy.url), attempts=1000, pause_s=0.001), tables)
        coordinator = PlayedCoordinator()
        async with serve(coordinator.app) as coordinator.url, serve(make_app()) as url:
            service = make_service(
                dataservice_url=url,
                coordinator_url=coordinator.url,
                folder=tmp_path,
                reports=store,
                patience=Patience(1, 0),
            )
            async with serve(service) as served, spoken_to(served) as reports:
                proxy.before = lambda request: THROTTLED if request.operation == "PutItem" else None
                await reports.start(*FIVE)
                await until(lambda: proxy.asked.count("PutItem") > 20)
                assert (await reports.ask("get_status"))["state"] == "running"
                assert (await reports.get(f"/reports/{RELEASE}"))[1]["state"] == "running"
                proxy.before = lambda _: None
                await reports.until("staged")
                assert (await shown(reports))[:2] == ("staged", "0.0.7")

    with proxied(dynamodb_url) as proxy:
        asyncio.run(story(proxy))
