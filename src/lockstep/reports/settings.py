"""What a deployment of the reports service can choose: environment variables `LOCKSTEP_…`, also from a file `.env`.

Each field tells what it is for, its unit, and why its default is what it is. A setting that is wrong stops the start
with one line that names it. Where the service in the field has a name of its own for a setting, that name is taken
too. Secrets are kept so that no log and no error shows them.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from lockstep.dataservice.web import CONNECTIONS, TIMEOUT_S
from lockstep.reports.diff import THRESHOLD_PERCENT
from lockstep.reports.fhir import PROFILES
from lockstep.reports.sources import Source

PREFIX: Final = "LOCKSTEP_"

_SHOWN_CHARS: Final = 100


class WrongSetting(Exception):
    """A setting is wrong; the text is one line that names it and says what would be right."""


def _parts(given: object) -> object:
    return tuple(part.strip() for part in given.split(",")) if isinstance(given, str) else given


def _setting(default: object, description: str, right: str, **limits: Any) -> Any:  # noqa: ANN401 - as pydantic's Field
    """Return a field; `right` finishes the sentence "It must be …"."""
    return Field(default, description=description, json_schema_extra={"right": right}, **limits)


def _also(name: str, older: str) -> dict[str, AliasChoices]:
    return {"validation_alias": AliasChoices(PREFIX + name.upper(), older)}


class ReportsSettings(BaseSettings):
    """What a deployment can choose."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", env_ignore_empty=True, extra="ignore", populate_by_name=True
    )

    coordinator_url: str | None = _setting(
        None,
        "The coordinator, which is told of progress and alone knows the final version of a release. Default: none, and "
        "nothing can be published.",
        "an address such as https://coordinator.example.org",
    )
    dataservice_url: str = _setting(
        "http://127.0.0.1:5100",
        "The data service in which is counted. Default: where the sample data service answers.",
        "an address such as https://data.example.org",
    )
    reports_sources: Annotated[tuple[Source, ...], NoDecode, BeforeValidator(_parts)] = _setting(
        (Source.DATA_SERVICE,),
        "Where counts come from, the preferred source first; what one does not know is asked of the next. `tasks` are "
        "counts that other task services reported. Default: the data service alone, since the numbers of two sources "
        "do not mean the same.",
        f"a list of {', '.join(Source)} with commas between them, such as dataservice,fhir",
        min_length=1,
    )
    reports_connections: int = _setting(
        CONNECTIONS,
        "Counts that are asked for at the same time. Default: quick, and bearable for a source that others use too.",
        "a whole number from 1 to 1000, such as 16",
        ge=1,
        le=1000,
    )
    reports_timeout: float = _setting(
        TIMEOUT_S,
        "Seconds that a source may take for one count. Default: the real data service counts large lists within a few.",
        "a number of seconds above 0, such as 15",
        gt=0,
        le=86_400,
        allow_inf_nan=False,
        **_also("reports_timeout", "TIMEOUT"),
    )
    reports_attempts: int = _setting(
        3,
        "How often a count is asked for before it is unknown. Default: one lost request is common, three are not.",
        "a whole number from 1 to 100, such as 3",
        ge=1,
        le=100,
    )
    reports_retry_pause: float = _setting(
        0.5,
        "Seconds before a count is asked for again; twice as long each further time. Default: over in a moment when it "
        "was the network.",
        "a number of seconds from 0 up, such as 0.5",
        ge=0,
        le=3600,
        allow_inf_nan=False,
    )
    reports_fail_on_unknown: bool = _setting(
        True,
        "Whether counts that should be there and could not be had fail the task. Counts that a source does not publish "
        "never do. Default: they do, so that nobody signs for what nobody knows.",
        "true or false",
    )
    reports_fall_threshold: float = _setting(
        THRESHOLD_PERCENT,
        "Percent by which a count may fall before the comparison of releases flags it. Default: withdrawn consents "
        "take a few rows, mistakes take many.",
        "a number from 0 to 100, such as 5",
        ge=0,
        le=100,
        allow_inf_nan=False,
    )
    reports_folder: str = _setting(
        ".lockstep/reports",
        "Where reports and tasks are kept; with DynamoDB, tasks only. Default: below the working directory.",
        "a path",
    )
    reports_store: Literal["sqlite", "dynamodb"] = _setting(
        "sqlite",
        "Where reports are kept. Default: in a file of SQLite in the folder, which needs no server.",
        "sqlite or dynamodb",
    )
    dynamodb_endpoint: str = _setting(
        "",
        "Another address than that of AWS, such as a local DynamoDB. Default: none.",
        "an address such as http://127.0.0.1:8000",
        **_also("dynamodb_endpoint", "DYNAMO_ENDPOINT"),
    )
    task_table: str = _setting(
        "release-reports", "The table of tasks.", "the name of a table", **_also("task_table", "TASK_TABLE")
    )
    release_summary_table: str = _setting(
        "release-summary",
        "The table of releases.",
        "the name of a table",
        **_also("release_summary_table", "RELEASE_SUMMARY_TABLE"),
    )
    study_summary_table: str = _setting(
        "study-summary",
        "The table of studies in releases.",
        "the name of a table",
        **_also("study_summary_table", "STUDY_SUMMARY_TABLE"),
    )
    fhir_url: str = _setting(
        "",
        "The FHIR R4 server, where that is a source. Default: none.",
        "an address such as https://fhir.example.org/r4",
    )
    fhir_token: SecretStr = _setting(SecretStr(""), "A bearer token for the FHIR server. Default: none.", "a token")
    fhir_user: str = _setting("", "A name for basic authentication at the FHIR server. Default: none.", "a name")
    fhir_password: SecretStr = _setting(SecretStr(""), "The password that goes with it. Default: none.", "a password")
    fhir_profiles: str = _setting(
        PROFILES,
        "The beginning of the addresses of profiles, which tell diagnoses from phenotypes. Default: what loaders have "
        "written so far; newer ones write https://nih-ncpi.github.io/….",
        "an address that ends in /StructureDefinition/",
    )


def read_settings(**chosen: Any) -> ReportsSettings:  # noqa: ANN401 - whatever the fields take
    """Return the settings of this process; `chosen` ones come before the environment, and that before `.env`.

    Raises:
        WrongSetting: one of them is wrong; the first that is.
    """
    try:
        return ReportsSettings(**chosen)
    except ValidationError as error:
        raise WrongSetting(_sentence(str(error.errors()[0]["loc"][0]), error.errors()[0]["input"])) from None
    except (OSError, ValueError, SettingsError) as error:
        raise WrongSetting(f"The file .env could not be read: {error}.") from None


def _sentence(place: str, given: object) -> str:
    name = place.removeprefix(PREFIX).lower()
    extra = ReportsSettings.model_fields[name].json_schema_extra
    right = extra["right"] if isinstance(extra, dict) else "another value"
    return f"{PREFIX}{name.upper()} is {str(given)[:_SHOWN_CHARS]!r}; it must be {right}."
