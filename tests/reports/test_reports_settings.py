"""The settings of a deployment of the reports, and what the command line makes of them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lockstep.reports.deployment import create_tables, from_settings
from lockstep.reports.dynamodb.calls import Calls
from lockstep.reports.settings import PREFIX, ReportsSettings, WrongSetting, read_settings
from tests.reports.conftest import REAL


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No `.env` and no variable of the machine comes into it."""
    monkeypatch.chdir(tmp_path)
    older = {"TIMEOUT", "DYNAMO_ENDPOINT", "TASK_TABLE", "RELEASE_SUMMARY_TABLE", "STUDY_SUMMARY_TABLE"}
    for name in {PREFIX + field.upper() for field in ReportsSettings.model_fields} | older:
        monkeypatch.delenv(name, raising=False)


def test_nothing_has_to_be_set() -> None:
    settings = read_settings()
    assert (settings.reports_store, settings.reports_sources, settings.reports_fall_threshold) == (
        "sqlite",
        ("dataservice",),
        5.0,
    )
    assert (settings.task_table, settings.release_summary_table, settings.study_summary_table) == (
        "release-reports",
        "release-summary",
        "study-summary",
    )


def test_names_of_the_service_in_the_field_are_taken_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TASK_TABLE", "RELEASE_SUMMARY_TABLE", "STUDY_SUMMARY_TABLE", "DYNAMO_ENDPOINT"):
        monkeypatch.setenv(name, f"http://{name.lower()}")
    monkeypatch.setenv("TIMEOUT", "2.5")
    monkeypatch.setenv("LOCKSTEP_TASK_TABLE", "ours")
    settings = read_settings(release_summary_table="chosen")
    assert (settings.task_table, settings.release_summary_table, settings.study_summary_table) == (
        "ours",
        "chosen",
        "http://study_summary_table",
    )
    assert (settings.reports_timeout, settings.dynamodb_endpoint) == (2.5, "http://dynamo_endpoint")


@pytest.mark.parametrize(
    ("name", "given", "sentence"),
    [
        ("LOCKSTEP_REPORTS_SOURCES", "dataservice,guess", "LOCKSTEP_REPORTS_SOURCES is 'guess'; it must be a list of"),
        ("LOCKSTEP_REPORTS_CONNECTIONS", "0", "LOCKSTEP_REPORTS_CONNECTIONS is '0'; it must be a whole number"),
        ("TIMEOUT", "soon", "LOCKSTEP_REPORTS_TIMEOUT is 'soon'; it must be a number of seconds above 0"),
        ("LOCKSTEP_REPORTS_FALL_THRESHOLD", "nan", "LOCKSTEP_REPORTS_FALL_THRESHOLD is 'nan'; it must be a number"),
        ("LOCKSTEP_REPORTS_STORE", "paper", "LOCKSTEP_REPORTS_STORE is 'paper'; it must be sqlite or dynamodb."),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, given: str, sentence: str) -> None:
    monkeypatch.setenv(name, given)
    with pytest.raises(WrongSetting) as caught:
        read_settings()
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"dataservice_url": "nowhere"}, "'nowhere' is no address of a data service"),
        ({"reports_sources": "fhir"}, "its address is missing"),
        ({"fhir_url": "https://x.test", "fhir_token": "s3cret", "fhir_user": "kf"}, "either a token or a name"),
        ({"reports_store": "dynamodb", "dynamodb_endpoint": "nowhere"}, "nowhere"),
    ],
)
def test_what_cannot_work_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, chosen: dict[str, Any], sentence: str
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with pytest.raises(WrongSetting, match=sentence) as caught:
        from_settings(read_settings(**chosen))
    assert "s3cret" not in str(caught.value)


def test_no_secret_is_shown() -> None:
    settings = read_settings(fhir_token="s3cret", fhir_password="s3cret")
    assert "s3cret" not in repr(settings) + str(settings.model_dump())


@pytest.mark.skipif(REAL, reason="it makes tables under their own names")
def test_tables_are_made_by_the_settings(dynamodb_url: str, calls: Calls) -> None:
    settings = read_settings(
        dynamodb_endpoint=dynamodb_url, task_table="set-a", release_summary_table="set-b", study_summary_table="set-c"
    )
    assert list(create_tables(settings)) == [f"table {name} is made" for name in ("set-a", "set-b", "set-c")]
    assert list(create_tables(settings)) == [f"table {name} was there already" for name in ("set-a", "set-b", "set-c")]
    for name in ("set-a", "set-b", "set-c"):
        calls.client.delete_table(TableName=name)


def test_boto3_is_loaded_only_where_it_is_used() -> None:
    code = "import sys, lockstep.reports.deployment; print('boto3' in sys.modules, 'botocore' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False False\n"


def test_every_setting_says_what_it_is_for_and_why_its_default_is_what_it_is() -> None:
    for name, field in ReportsSettings.model_fields.items():
        assert field.description, name
        assert isinstance(field.json_schema_extra, dict), name
        assert field.json_schema_extra["right"], name
