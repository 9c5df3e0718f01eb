"""`lockstep reports`: the release reports service, until Ctrl-C, and the tables in DynamoDB that it may keep them in.

Everything about it is a setting (`lockstep.reports.settings`); the options are the most common ones and come before
the environment.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lockstep.cli.endings import Refused, WrongUse
from lockstep.cli.options import example
from lockstep.cli.task_services import CoordinatorUrl, Host, Port, as_sentence, host_task_service

if TYPE_CHECKING:
    from lockstep.reports.settings import ReportsSettings
    from lockstep.taskkit import TaskService

app = typer.Typer()
_reports = typer.Typer(name="reports", subcommand_metavar="[COMMAND]")
app.add_typer(_reports)


@_reports.callback(
    invoke_without_command=True,
    epilog=example(
        "lockstep reports --dataservice http://127.0.0.1:5100 --coordinator http://127.0.0.1:5000",
        "LOCKSTEP_FHIR_TOKEN=… lockstep reports --sources dataservice,fhir --fhir https://fhir.example.org/r4",
    ),
)
def run_reports(
    command: typer.Context,
    *,
    host: Host = "127.0.0.1",
    port: Port = 5020,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="PATH", help="LOCKSTEP_REPORTS_FOLDER, or .lockstep/reports without it."),
    ] = None,
    dataservice: Annotated[
        str | None,
        typer.Option(
            "--dataservice", metavar="URL", help="LOCKSTEP_DATASERVICE_URL, or http://127.0.0.1:5100 without it."
        ),
    ] = None,
    coordinator: CoordinatorUrl = None,
    sources: Annotated[
        str | None,
        typer.Option(
            "--sources",
            metavar="LIST",
            help="LOCKSTEP_REPORTS_SOURCES: dataservice, fhir and tasks, the preferred one first, with commas between "
            "them; dataservice without it.",
        ),
    ] = None,
    fhir: Annotated[
        str | None, typer.Option("--fhir", metavar="URL", help="LOCKSTEP_FHIR_URL, or none without it.")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option("--store", metavar="KIND", help="LOCKSTEP_REPORTS_STORE: sqlite or dynamodb; sqlite without it."),
    ] = None,
    fall_threshold: Annotated[
        float | None,
        typer.Option(
            "--fall-threshold",
            metavar="PERCENT",
            help="LOCKSTEP_REPORTS_FALL_THRESHOLD: a count that falls by more is flagged; 5 without it.",
        ),
    ] = None,
    warn_on_unknown: Annotated[
        bool, typer.Option("--warn-on-unknown", help="Stage a report even when counts that should be there are not.")
    ] = False,
) -> None:
    """Run the release reports service, which counts what each release holds and says what changes with it.

    It needs a data service to count in, and the coordinator, which alone knows the final version of a release. Settings
    are environment variables LOCKSTEP_…, also in a file .env; the options here are the most common ones and come before
    those. Secrets, tables and time limits are settings only.
    """
    if command.invoked_subcommand is not None:
        return
    settings = _settings(
        reports_folder=None if folder is None else str(folder),
        dataservice_url=dataservice,
        coordinator_url=coordinator,
        reports_sources=sources,
        fhir_url=fhir,
        reports_store=store,
        reports_fall_threshold=fall_threshold,
        reports_fail_on_unknown=False if warn_on_unknown else None,
    )
    host_task_service(lambda: _service(settings), host, port)


@_reports.command("create-tables", epilog=example("LOCKSTEP_TASK_TABLE=our-tasks lockstep reports create-tables"))
def create_tables() -> None:
    """Make the tables in DynamoDB that reports are kept in, and their indexes.

    It may be run again: what is there stays, a missing index is added, and a table with other keys is refused. Their
    names are LOCKSTEP_TASK_TABLE, LOCKSTEP_RELEASE_SUMMARY_TABLE and LOCKSTEP_STUDY_SUMMARY_TABLE; region and
    credentials come from where AWS programs find theirs, and LOCKSTEP_DYNAMODB_ENDPOINT names another address.
    """
    settings = _settings()

    from lockstep.reports import deployment
    from lockstep.reports.settings import WrongSetting
    from lockstep.taskkit import StoreUnavailable

    try:
        for line in deployment.create_tables(settings):
            print(as_sentence(line))
    except WrongSetting as error:
        raise WrongUse(str(error)) from None
    except StoreUnavailable as error:
        raise Refused(as_sentence(error)) from error


def _settings(**chosen: Any) -> "ReportsSettings":  # noqa: ANN401 - whatever the settings take
    from lockstep.reports.settings import WrongSetting, read_settings

    try:
        return read_settings(**{name: value for name, value in chosen.items() if value is not None})
    except WrongSetting as error:
        raise WrongUse(str(error)) from None


def _service(settings: "ReportsSettings") -> "TaskService":
    from lockstep.reports.deployment import from_settings
    from lockstep.reports.settings import WrongSetting

    try:
        return from_settings(settings)
    except WrongSetting as error:
        raise WrongUse(str(error)) from None
