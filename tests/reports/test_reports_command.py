"""`lockstep reports` as a real process: with its tables in DynamoDB, by its settings, and when it cannot start."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from lockstep.dataservice.catalogue import AS_OF
from lockstep.dataservice.sample import make_app
from lockstep.reports.dynamodb.calls import Calls
from tests.cli.stage import lockstep, started
from tests.coordination import RELEASE, PlayedCoordinator, TaskServiceSpokenTo, spoken_to
from tests.reports.conftest import REAL

STUDY = "SD_9PYZAHHE"
FALLING = "SD_8Y99QZJJ"

played = pytest.mark.skipif(REAL, reason="the command is tried on a played DynamoDB")


@pytest.fixture
def in_dynamodb(dynamodb_url: str, calls: Calls) -> Iterator[dict[str, str]]:
    """Settings for tables of the test's own, which are not made yet."""
    own = f"lockstep-test-{uuid4().hex[:12]}"
    names = {f"LOCKSTEP_{kind}_TABLE": f"{own}-{kind}" for kind in ("TASK", "RELEASE_SUMMARY", "STUDY_SUMMARY")}
    yield {"LOCKSTEP_DYNAMODB_ENDPOINT": dynamodb_url, **names}
    for name in set(calls.client.list_tables()["TableNames"]) & set(names.values()):
        calls.client.delete_table(TableName=name)


@played
def test_tables_are_made_once_however_often_it_is_asked(in_dynamodb: dict[str, str], tmp_path: Path) -> None:
    names = [name for setting, name in in_dynamodb.items() if setting.endswith("_TABLE")]
    for what in ("is made", "was there already"):
        ended = asyncio.run(lockstep("reports", "create-tables", folder=tmp_path, **in_dynamodb))
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.splitlines() == [f"Table {name} {what}." for name in names]


@played
def test_a_table_of_something_else_is_refused(in_dynamodb: dict[str, str], calls: Calls, tmp_path: Path) -> None:
    name = in_dynamodb["LOCKSTEP_TASK_TABLE"]
    calls.client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "wing", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "wing", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    ended = asyncio.run(lockstep("reports", "create-tables", folder=tmp_path, **in_dynamodb))
    sentence = (
        f"The tables cannot be made: the table {name} has the keys wing, and one for reports has task_id; "
        "choose another name, or remove that table.\n"
    )
    assert (ended.code, ended.out, ended.err) == (2, "", sentence)


async def _published(reports: TaskServiceSpokenTo, study: str, task: str, release: str) -> None:
    await reports.start(study, task=task, release=release)
    await reports.until("staged", task, release)
    await reports.ask("publish", task, release)
    await reports.until("published", task, release)


@asynccontextmanager
async def _running(*options: str, folder: Path, **settings: str) -> AsyncIterator[TaskServiceSpokenTo]:
    async with started("reports", "--port", "0", *options, folder=folder, **settings) as running:
        await running.says("; Ctrl-C ends it.\n")
        url = running.out.partition(" answers at ")[2].partition(";")[0]
        async with spoken_to(url) as reports:
            yield reports


@played
def test_reports_are_kept_in_dynamodb(serve: Any, in_dynamodb: dict[str, str], tmp_path: Path) -> None:
    """Another process, in a folder that knows nothing of it, shows what the first one published."""

    async def story() -> None:
        coordinator = PlayedCoordinator()
        async with serve(coordinator.app) as coordinator_url, serve(make_app()) as dataservice_url:
            assert (await lockstep("reports", "create-tables", folder=tmp_path, **in_dynamodb)).code == 0
            options = ("--store", "dynamodb", "--coordinator", coordinator_url, "--dataservice", dataservice_url)
            async with _running(*options, "--folder", "first", folder=tmp_path, **in_dynamodb) as reports:
                await _published(reports, STUDY, "TA_00000001", RELEASE)
            async with _running(*options, "--folder", "second", folder=tmp_path, **in_dynamodb) as reports:
                status, row = await reports.get(f"/reports/{RELEASE}/{STUDY}")
        assert (status, row["state"], row["version"], row["families"]) == (200, "published", "0.0.7", 484)
        assert not (tmp_path / "first" / "reports.db").exists()

    asyncio.run(story())


def test_settings_decide_when_no_option_does(serve: Any, tmp_path: Path) -> None:
    """The threshold is that of the option, the sources those of the environment, and the folder that of `.env`."""
    (tmp_path / ".env").write_text("LOCKSTEP_REPORTS_FOLDER=kept\nLOCKSTEP_REPORTS_FALL_THRESHOLD=50\n")

    async def story() -> None:
        coordinator, data_service = PlayedCoordinator(), make_app(as_of=AS_OF[0])
        async with serve(coordinator.app) as coordinator_url, serve(data_service) as dataservice_url:
            settings = {
                "LOCKSTEP_REPORTS_SOURCES": "tasks,dataservice",
                "LOCKSTEP_COORDINATOR_URL": coordinator_url,
                "LOCKSTEP_DATASERVICE_URL": dataservice_url,
            }
            async with _running("--fall-threshold", "8.5", folder=tmp_path, **settings) as reports:
                await _published(reports, FALLING, "TA_00000001", RELEASE)
                data_service.state.sample.turn_to(AS_OF[1])
                await _published(reports, FALLING, "TA_00000002", "RE_00000002")
                _, diff = await reports.get("/reports/releases/RE_00000002/diff")
        assert (diff["threshold_percent"], [flag["entity"] for flag in diff["flags"]]) == (8.5, ["biospecimens"])
        assert (tmp_path / "kept" / "reports.db").exists()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "sentence"),
    [
        ([], {"LOCKSTEP_REPORTS_STORE": "paper"}, 2, "LOCKSTEP_REPORTS_STORE is 'paper'; it must be sqlite or"),
        (["--store", "paper"], {}, 2, "LOCKSTEP_REPORTS_STORE is 'paper'; it must be sqlite or dynamodb."),
        (["--fall-threshold", "101"], {}, 2, "LOCKSTEP_REPORTS_FALL_THRESHOLD is '101.0'; it must be a number from"),
        (["--sources", "dataservice,guess"], {}, 2, "LOCKSTEP_REPORTS_SOURCES is 'guess'; it must be a list of"),
        (["--sources", "fhir"], {}, 2, "The reports service cannot start: counts are to come from a FHIR server, and"),
        (["--sources", "fhir", "--fhir", "nowhere"], {}, 2, "The reports service cannot start: the address of the"),
        (["--store", "dynamodb"], {"LOCKSTEP_DYNAMODB_ENDPOINT": "nowhere"}, 2, "The reports service cannot start: "),
        (["--folder", "full"], {}, 1, "The reports in full/reports.db cannot be used: file is not a database."),
        (["create-tables"], {"LOCKSTEP_REPORTS_SOURCES": "guess"}, 2, "LOCKSTEP_REPORTS_SOURCES is 'guess'; it"),
        (["create-tables"], {"LOCKSTEP_DYNAMODB_ENDPOINT": "nowhere"}, 2, "The tables cannot be made: "),
    ],
)
def test_what_keeps_it_from_starting_is_one_line(
    arguments: list[str], settings: dict[str, str], code: int, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "reports.db").write_text("Dear diary, this is no database. " * 40)
    aws = {"AWS_DEFAULT_REGION": "us-east-1"}
    ended = asyncio.run(lockstep("reports", "--port", "0", *arguments, folder=tmp_path, **aws, **settings))
    assert (ended.code, ended.out, ended.err.count("\n")) == (code, "", 1), ended.err
    assert ended.err.startswith(sentence)
