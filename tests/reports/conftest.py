"""DynamoDB for the tests of reports: played by moto on loopback, or the real one.

`LOCKSTEP_TEST_DYNAMODB=real` runs the same tests on tables of an AWS account, with the credentials and the region of
the environment. The tables are made for each test and removed after it.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from lockstep.reports.dynamodb.calls import Calls, connect
from lockstep.reports.dynamodb.tables import Tables, create_tables

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import ScanInputPaginateTypeDef

REAL = os.environ.get("LOCKSTEP_TEST_DYNAMODB") == "real"

_INDEXED_WITHIN_S = 60.0


@pytest.fixture(scope="session")
def dynamodb_url() -> Iterator[str | None]:
    """Where DynamoDB is; None for where AWS has it."""
    if REAL:
        yield None
        return
    command = [sys.executable, str(Path(__file__).with_name("dynamodb_server.py"))]
    played = {"AWS_ACCESS_KEY_ID": "played", "AWS_SECRET_ACCESS_KEY": "played", "AWS_DEFAULT_REGION": "us-east-1"}
    with pytest.MonkeyPatch.context() as environment, subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        for name, value in played.items():
            environment.setenv(name, value)
        environment.delenv("AWS_PROFILE", raising=False)
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


@pytest.fixture(scope="session")
def calls(dynamodb_url: str | None) -> Calls:
    return Calls(connect(endpoint_url=dynamodb_url))


@pytest.fixture
def tables(calls: Calls) -> Iterator[Tables]:
    """Three tables of the test's own."""
    own = f"lockstep-test-{uuid4().hex[:12]}"
    tables = Tables(f"{own}-task", f"{own}-release", f"{own}-study")
    list(create_tables(calls, tables))
    yield tables
    for name in (tables.task, tables.release_summary, tables.study_summary):
        calls.ask(calls.client.delete_table, TableName=name)


def wait_for_indexes(calls: Calls, tables: Tables) -> None:
    """Wait until the indexes over studies show what their table holds; the played ones always do."""
    if not REAL:
        return
    table = tables.study_summary
    deadline = time.monotonic() + _INDEXED_WITHIN_S
    for index, attribute in (("CreatedAtIndex", "created_at"), ("PublishedAtIndex", "published_at")):
        whole: ScanInputPaginateTypeDef = {"TableName": table}
        while _keys(calls, attribute, whole) != _keys(calls, attribute, {**whole, "IndexName": index}):
            assert time.monotonic() < deadline, f"{index} is behind its table for {_INDEXED_WITHIN_S:g} s"
            time.sleep(0.1)


def _keys(calls: Calls, attribute: str, where: "ScanInputPaginateTypeDef") -> set[str]:
    """Return the keys of all items that have an attribute, with that attribute."""
    found: set[str] = set()
    for page in calls.client.get_paginator("scan").paginate(**where):
        found |= {
            str([item[name] for name in ("release_id", "study_id", attribute)])
            for item in page["Items"]
            if attribute in item
        }
    return found
