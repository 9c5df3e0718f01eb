"""Reports in DynamoDB keep the contract, and what is their own besides: what the tables hold, and how they are made."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lockstep.reports.counting import Unknown
from lockstep.reports.dynamodb.calls import Calls
from lockstep.reports.dynamodb.rows import ItemTooLarge, decode, encode
from lockstep.reports.dynamodb.store import DynamoReports
from lockstep.reports.dynamodb.tables import Tables, WrongTable, create_tables
from lockstep.reports.report import ReportState
from lockstep.reports.store import ReportStore
from tests.reports.conftest import REAL, wait_for_indexes
from tests.reports.report_store_contract import (
    EPOCH,
    FINAL,
    RELEASE,
    RUNNING,
    STAGED,
    TASK,
    ReportStoreContract,
    report,
    stage,
)


class TestDynamoReports(ReportStoreContract):
    many = int(os.environ.get("LOCKSTEP_TEST_STUDIES", "2000" if REAL else "60"))

    @pytest.fixture(autouse=True)
    def _opened(self, calls: Calls, tables: Tables) -> None:
        self.calls = calls
        self.tables = tables

    def open_store(self, folder: Path) -> ReportStore:
        return DynamoReports(self.calls, self.tables)

    def wait_for_indexes(self) -> None:
        wait_for_indexes(self.calls, self.tables)


def items(calls: Calls, table: str) -> list[dict[str, Any]]:
    """Return everything in a table."""
    return [decode(item) for item in calls.client.scan(TableName=table, ConsistentRead=True)["Items"]]


def test_the_tables_hold_what_their_readers_know(calls: Calls, tables: Tables) -> None:
    """One row per task, release and study, all of them with the state and the version that is shown."""
    store = DynamoReports(calls, tables)
    stage(store)
    assert store.move(RELEASE, STAGED, ReportState.PUBLISHED, FINAL)
    (task,) = items(calls, tables.task)
    assert task == {"task_id": TASK, "release_id": RELEASE, "created_at": EPOCH.timestamp(), "state": "published"}
    (release,) = items(calls, tables.release_summary)
    studies = items(calls, tables.study_summary)
    common = {
        "release_id": RELEASE,
        "task_id": TASK,
        "version": "0.1.0",
        "state": "published",
        "created_at": "2024-01-01T00:00:00.000000+00:00",
        "published_at": "2024-01-01T01:00:00.000007+00:00",
    }
    for row in (release, *studies):
        assert {name: row[name] for name in common} == common
        assert "phenotypes" not in row
    assert (release["studies"], release["participants"], release["genomic-files"]) == (2, 0, 2 * 10**12)
    assert sorted((row["study_id"], row["biospecimens"]) for row in studies) == [
        ("SD_00000001", 334),
        ("SD_00000002", 334),
    ]


def test_rows_of_an_older_service_are_read(calls: Calls, tables: Tables) -> None:
    """It wrote no reasons, no sources, a time without a zone, and a state that never changed."""
    common = {
        "release_id": RELEASE,
        "task_id": TASK,
        "version": "0.0.3",
        "state": "running",
        "created_at": "2019-05-01T12:00:00.123",
        "participants": 7,
    }
    calls.client.put_item(TableName=tables.release_summary, Item=encode({**common, "studies": 1}))
    calls.client.put_item(TableName=tables.study_summary, Item=encode({**common, "study_id": "SD_00000001"}))
    store = DynamoReports(calls, tables)
    read = store.report(RELEASE)
    assert read is not None
    assert (read.summary.totals["participants"].number, read.studies[0].counts["participants"].source) == (
        7,
        "data service",
    )
    assert store.move(RELEASE, RUNNING, ReportState.CANCELED)
    assert {row["state"] for row in items(calls, tables.study_summary)} == {"canceled"}


def test_making_the_tables_twice_makes_them_once(calls: Calls, tables: Tables) -> None:
    """They are paid by the request, and have the keys and indexes that readers in the field use."""
    assert list(create_tables(calls, tables)) == [
        f"table {name} was there already" for name in (tables.task, tables.release_summary, tables.study_summary)
    ]
    found = [
        calls.client.describe_table(TableName=name)["Table"]
        for name in (tables.task, tables.release_summary, tables.study_summary)
    ]
    assert [table["BillingModeSummary"]["BillingMode"] for table in found] == ["PAY_PER_REQUEST"] * 3

    def keys(schema: Any) -> list[str]:
        return [key["AttributeName"] for key in schema["KeySchema"]]

    assert [keys(table) for table in found] == [["task_id"], ["release_id"], ["release_id", "study_id"]]
    indexes = {
        index["IndexName"]: (keys(index), index["Projection"]["ProjectionType"])
        for table in found
        for index in table.get("GlobalSecondaryIndexes", [])
    }
    assert indexes == {
        "global_task_id": (["task_id", "created_at"], "KEYS_ONLY"),
        "CreatedAtIndex": (["study_id", "created_at"], "ALL"),
        "PublishedAtIndex": (["study_id", "published_at"], "KEYS_ONLY"),
    }
    declared = {kind["AttributeName"]: kind["AttributeType"] for kind in found[0]["AttributeDefinitions"]}
    assert declared == {"task_id": "S", "created_at": "N"}


def test_a_table_that_lacks_an_index_gets_it(calls: Calls, tables: Tables) -> None:
    update: Any = {"Delete": {"IndexName": "PublishedAtIndex"}}
    calls.client.update_table(TableName=tables.study_summary, GlobalSecondaryIndexUpdates=[update])
    *_, last = create_tables(calls, tables)
    assert last == f"table {tables.study_summary} was there and got the index PublishedAtIndex"
    store = DynamoReports(calls, tables)
    stage(store)
    assert store.move(RELEASE, STAGED, ReportState.PUBLISHED, FINAL)
    wait_for_indexes(calls, tables)
    assert set(store.last_published(["SD_00000001"])) == {"SD_00000001"}


def test_a_table_of_something_else_is_refused(calls: Calls, tables: Tables) -> None:
    strange = Tables(tables.task, tables.release_summary, tables.release_summary)
    with pytest.raises(WrongTable, match="has the keys release_id, and one for reports has release_id, study_id"):
        list(create_tables(calls, strange))


def test_a_row_that_is_too_large_is_refused_before_anything_is_written(calls: Calls, tables: Tables) -> None:
    store = DynamoReports(calls, tables)
    assert store.write(report(ReportState.RUNNING, counts={}), None)
    large = report(ReportState.STAGED, counts={"families": Unknown("x" * 410_000, "data service")})
    with pytest.raises(
        ItemTooLarge, match=r"the row of SD_\d+ would have 410,\d\d\d bytes, and DynamoDB takes 409,600"
    ):
        store.write(large, RUNNING)
    assert store.mark(RELEASE) == RUNNING
    studies = [f"SD_{number:08d}" for number in range(40_000)]
    with pytest.raises(ItemTooLarge, match=r"the row of RE_00000002 would have \d+,\d+ bytes.*fewer studies"):
        store.write(report(ReportState.RUNNING, *studies, release="RE_00000002", counts={}), None)
    assert store.report("RE_00000002") is None


def test_what_an_index_shows_too_early_or_too_late_is_passed_over(calls: Calls, tables: Tables) -> None:
    """An item may say that it is public before its release does, and an index goes on saying so for a while."""
    store = DynamoReports(calls, tables)
    stage(store)
    assert store.move(RELEASE, STAGED, ReportState.PUBLISHED, FINAL)
    stage(store, release="RE_00000002", day=1)
    later = encode({":at": (FINAL.at + timedelta(days=1)).isoformat(timespec="microseconds")})
    key = encode({"release_id": "RE_00000002", "study_id": "SD_00000001"})
    calls.client.update_item(
        TableName=tables.study_summary,
        Key=key,
        UpdateExpression="SET published_at = :at",
        ExpressionAttributeValues=later,
    )
    wait_for_indexes(calls, tables)
    assert store.last_published(["SD_00000001"])["SD_00000001"].heading.release_id == RELEASE
