"""The reports service of a deployment: its settings, its tables, and the process that serves it.

The command line calls these. boto3 is loaded when reports are kept in DynamoDB, and not before.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lockstep.dataservice.patience import Patience
from lockstep.reports.fhir import FhirAccess
from lockstep.reports.service import DEFAULT_PORT, make_service
from lockstep.reports.settings import ReportsSettings, WrongSetting, read_settings
from lockstep.taskkit import TaskService

if TYPE_CHECKING:
    from lockstep.reports.dynamodb import DynamoDb


def from_settings(settings: ReportsSettings) -> TaskService:
    """Make the service that settings describe.

    Raises:
        WrongSetting: an address is missing or none, or DynamoDB cannot be used from here.
        StoreUnavailable: the folder cannot be used.
    """
    try:
        return make_service(
            dataservice_url=settings.dataservice_url,
            folder=settings.reports_folder,
            coordinator_url=settings.coordinator_url,
            sources=settings.reports_sources,
            fhir=_fhir_access(settings),
            connections=settings.reports_connections,
            timeout_s=settings.reports_timeout,
            patience=Patience(settings.reports_attempts, settings.reports_retry_pause),
            fail_on_unknown=settings.reports_fail_on_unknown,
            threshold_percent=settings.reports_fall_threshold,
            reports=_dynamodb(settings).store() if settings.reports_store == "dynamodb" else None,
        )
    except ValueError as error:
        raise WrongSetting(f"The reports service cannot start: {error}.") from None


def create_tables(settings: ReportsSettings) -> Iterator[str]:
    """Make the DynamoDB tables and indexes that are not there, and yield a sentence about each table.

    Raises:
        WrongSetting: DynamoDB cannot be used from here, or a table of that name is one of something else.
        StoreUnavailable: DynamoDB refuses, or cannot be reached.
    """
    try:
        yield from _dynamodb(settings).create_tables()
    except ValueError as error:
        raise WrongSetting(f"The tables cannot be made: {error}.") from None


def run(**chosen: Any) -> None:  # noqa: ANN401 - whatever the settings take
    """Serve until Ctrl-C or SIGTERM, on `host` and `port` if these are given; other arguments are settings.

    Raises:
        WrongSetting: one of the settings is wrong.
        StoreUnavailable: the tasks or reports cannot be read, or another process is working on them.
    """
    place = {"host": chosen.pop("host", "127.0.0.1"), "port": chosen.pop("port", DEFAULT_PORT)}
    from_settings(read_settings(**chosen)).run(**place)


def _fhir_access(settings: ReportsSettings) -> FhirAccess | None:
    if not settings.fhir_url:
        return None
    return FhirAccess(
        settings.fhir_url,
        token=settings.fhir_token.get_secret_value(),
        user=settings.fhir_user,
        password=settings.fhir_password.get_secret_value(),
        profiles=settings.fhir_profiles,
    )


def _dynamodb(settings: ReportsSettings) -> "DynamoDb":
    """Return DynamoDB as the settings have it; this loads boto3."""
    try:
        from lockstep.reports.dynamodb import DynamoDb, Tables  # noqa: PLC0415 - loaded only where it is used
    except ModuleNotFoundError as error:
        raise ValueError(f"{error.name} is not installed; pip install 'lockstep[aws]' brings it") from None
    tables = Tables(settings.task_table, settings.release_summary_table, settings.study_summary_table)
    return DynamoDb.at(settings.dynamodb_endpoint or None, tables)
