"""The settings of a deployment: environment variables with the prefix `LOCKSTEP_`, also from a file `.env`.

Each field tells what it is for, its unit, and why its default is what it is; the documentation is made from these
texts. A setting that is wrong stops the start with one line that names it: `read_settings` raises `WrongSetting`.
"""

import re
from ipaddress import ip_address
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from lockstep.coordinator.core.policy import Policy

PREFIX: Final = "LOCKSTEP_"
_LONGEST_S: Final = 1_000_000_000
_SHOWN_CHARS: Final = 100
_CREDENTIALS: Final = re.compile(r"(?<=:).*(?=@)|(?<=password=)[^&]*", re.DOTALL | re.IGNORECASE)
"""What may be a user and a password in an address, or in what was meant for one: whatever stands between a colon and
the last `@`, slashes included, since a password may hold any of them."""

_SECRET: Final = re.compile("token$|secret$")
_TOPIC: Final = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}")


class WrongSetting(Exception):
    """A setting is wrong; the text is one line that names it and says what would be right."""


def _http_address(given: str) -> str:
    try:
        parts = urlsplit(given)
        sound = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if given and not sound:
        raise ValueError("no HTTP address")
    return given.rstrip("/")


def _database(given: str) -> str:
    scheme, _, rest = given.partition("://")
    sqlite = scheme == "sqlite" and rest.startswith("/") and rest not in {"/", "/:memory:"}
    postgres = scheme in {"postgresql", "postgres"} and urlsplit(given).path.strip("/")
    if not (sqlite or postgres):
        raise ValueError("neither a SQLite file nor a Postgres database")
    return f"postgresql://{rest}" if postgres else given


def _redis(given: str) -> str:
    if given and (urlsplit(given).scheme not in {"redis", "rediss"} or not urlsplit(given).hostname):
        raise ValueError("no Redis")
    return given


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _parts(given: object) -> object:
    return tuple(part.strip() for part in given.split(",")) if isinstance(given, str) else given


def _each_an_origin(given: tuple[str, ...]) -> tuple[str, ...]:
    if any(origin != "*" and (_http_address(origin) != origin or origin.count("/") != 2) for origin in given):  # noqa: PLR2004
        raise ValueError("no origins")
    return given


def _topic(given: str) -> str:
    if given and not _TOPIC.fullmatch(given):
        raise ValueError("no topic")
    return given


_SECONDS: Final = "a number of seconds above 0, such as 30 or 0.5"
_ADDRESS: Final = "an address such as https://data.example.org"


def _setting(default: object, description: str, right: str, **limits: Any) -> Any:  # noqa: ANN401 - as pydantic's Field
    """Return a field; `right` finishes the sentence "It must be …"."""
    return Field(default, description=description, json_schema_extra={"right": right}, **limits)


def _seconds(default: float, description: str, *, least: float = 0) -> Any:  # noqa: ANN401 - as pydantic's Field
    return _setting(default, description, _SECONDS, gt=least, le=_LONGEST_S, allow_inf_nan=False)


class Settings(BaseSettings):
    """What a deployment can choose."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", env_ignore_empty=True, extra="ignore")

    host: str = _setting(
        "127.0.0.1",
        "The address to serve on. Default: this machine only, since without identity whoever reaches the coordinator "
        "may publish.",
        "a host name or an address, such as 127.0.0.1",
    )
    port: int = _setting(
        5000,
        "The TCP port to serve on; 0 takes any that is free. Default: where clients look for a coordinator.",
        "a whole number from 0 to 65535, such as 5000",
        ge=0,
        le=65_535,
    )
    database_url: Annotated[str, AfterValidator(_database)] = _setting(
        "sqlite:///lockstep.db",
        "Where everything is remembered. Default: a SQLite file in the working directory, which needs no server and "
        "carries one process; several processes, on several machines, share a Postgres database.",
        "the URL of a SQLite file or a Postgres database, such as sqlite:////var/lib/lockstep/lockstep.db or "
        "postgresql://lockstep:password@db.example.org/lockstep",
    )
    redis_url: Annotated[str, AfterValidator(_redis)] = _setting(
        "",
        "The Redis or Valkey that carries wake-ups from `lockstep serve` to `lockstep worker`. Default: none; `serve` "
        "then does the work itself. It needs a Postgres database, and holds nothing that cannot be lost.",
        "the URL of a Redis, such as redis://localhost:6379/0",
    )
    dataservice_url: Annotated[str, AfterValidator(_http_address)] = _setting(
        "",
        "The data service whose studies are released. Default: none; studies are then not synced, and task services "
        "are given retrieval addresses without a host (`/studies/…`).",
        _ADDRESS,
    )
    reports_url: Annotated[str, AfterValidator(_http_address)] = _setting(
        "",
        "The release reports service, whose reports the dashboard shows with each release. Default: none, and no "
        "reports are shown.",
        _ADDRESS,
    )
    poll_interval: float = _seconds(
        30,
        "Seconds between two questions to a task that is at work. Default: as in the first description of the "
        "protocol; services that report by themselves do not wait for it.",
    )
    request_timeout: float = _seconds(
        15,
        "Seconds that one request to a task service or the data service may take. Default: what services in the "
        "field have been given so far.",
    )
    task_timeout: float = _seconds(
        160_000,
        "Seconds that a task may show no sign of life (a new state or progress) before it fails. Default: 44 hours, "
        "since staging may take a weekend.",
    )
    release_timeout: float = _seconds(
        360_000,
        "Seconds that a release may stay in a step that needs no person before it fails. Default: 100 hours, longer "
        "than any of its tasks may be silent.",
    )
    cancel_patience: float = _seconds(
        60,
        "Seconds that a canceled release waits for its services to answer before it ends. Default: long enough for a "
        "restart of a service; what is not delivered then goes on being tried for a day.",
    )
    attempts: int = _setting(
        3,
        "Requests without an answer, in a row, after which a service has failed. Default: one lost request is "
        "common, three in a row are not.",
        "a whole number from 1 to 1000, such as 3",
        ge=1,
        le=1000,
    )
    retry_pause: float = _seconds(
        1,
        "Seconds before a request without an answer is followed up; twice as long each further time. Default: over "
        "in a moment when it was the network, and no burden when it was the service.",
    )
    lease: float = _seconds(
        15,
        "Seconds that a worker's claim on a release holds without being renewed. Default: a killed worker is "
        "replaced within a quarter of a minute, and a slow one is not.",
        least=0.1,
    )
    health_interval: float = _seconds(
        60,
        "Seconds between two looks at the `/status` of every task service. Default: one that is down shows as down "
        "after four minutes.",
    )
    auth: Literal["none", "oidc"] = _setting(
        "none",
        "How callers are known: `none`, not at all, so that whoever reaches the coordinator may do everything; or "
        "`oidc`, by the tokens of an OpenID Connect issuer. Default: none, for a machine of one's own.",
        "none or oidc",
    )
    oidc_issuer: Annotated[str, AfterValidator(_http_address)] = _setting(
        "",
        "The issuer whose tokens are believed; its `/.well-known/openid-configuration` says the rest. Default: none; "
        "needed with `oidc`.",
        "an address such as https://login.example.org",
    )
    oidc_audience: str = _setting(
        "",
        "The audience that tokens must be meant for, so that those for other services of the issuer are not believed "
        "here. Default: none; needed with `oidc`.",
        "a word such as lockstep or https://lockstep.example.org",
        max_length=500,
    )
    oidc_algorithm: Literal[
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"
    ] = _setting(
        "RS256",
        "The one algorithm that tokens may be signed with. Default: what nearly every issuer uses.",
        "RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512 or Ed25519",
    )
    oidc_client_id: str = _setting(
        "",
        "What the issuer knows this coordinator by. Default: none; then nobody can sign in with a browser, and task "
        "services are shown no token.",
        "a short text",
        max_length=200,
    )
    oidc_client_secret: str = _setting(
        "",
        "The secret of that client. Default: none; people can sign in all the same (by PKCE), and task services are "
        "shown no token.",
        "a short text",
        max_length=1000,
        repr=False,
    )
    oidc_services_audience: str = _setting(
        "",
        "The audience that the coordinator asks its own token for, which it shows to task services. Default: left to "
        "the issuer.",
        "a word such as task-services",
        max_length=500,
    )
    oidc_roles_claim: str = _setting(
        "https://kidsfirstdrc.org/roles",
        "The claim with a person's roles: ADMIN, DEV, USER. Default: as in Kids First.",
        "the name of a claim",
        max_length=200,
    )
    oidc_groups_claim: str = _setting(
        "https://kidsfirstdrc.org/groups",
        "The claim with the ids of the studies that a person belongs to. Default: as in Kids First.",
        "the name of a claim",
        max_length=200,
    )
    oidc_name_claim: str = _setting(
        "nickname",
        "The claim that becomes the author of what a person writes; `preferred_username` and `email` stand in for it. "
        "Default: as in Kids First.",
        "the name of a claim",
        max_length=200,
    )
    oidc_service_claim: str = _setting(
        "gty=client-credentials",
        "The claim and the value by which the token of a machine is told from that of a person. Default: as Auth0 "
        "marks them.",
        "a claim and a value with = between them, such as gty=client-credentials",
        pattern="^[^=]+=.+$",
        max_length=200,
    )
    oidc_client_claim: str = _setting(
        "azp",
        "The claim with the client id of a machine; `client_id` and `sub` stand in for it. Default: as Auth0 says it.",
        "the name of a claim",
        max_length=200,
    )
    admin_clients: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parts)] = _setting(
        (),
        "Client ids of machines that may do what an admin may, with commas between them. Default: none; machines only "
        "report on the tasks of their own service.",
        "a list such as deployer,nightly",
    )
    open_reads: bool = _setting(
        False,
        "Callers without a token may read ids, studies, state and version of a release in flight, as task services in "
        "the field do. Default: no.",
        "true or false",
    )
    open_reports: bool = _setting(
        False,
        "Callers without a token may report on any task, as task services in the field do. Default: no; those services "
        "are found by polling.",
        "true or false",
    )
    secret: str = _setting(
        "",
        "What callback tokens and sign-ins are sealed with, the same for every process of a deployment. Default: made "
        "up once, and kept in the database.",
        "a text of 32 characters or more that nobody can guess",
        pattern="^(|.{32,1000})$",
        repr=False,
    )
    allow_private_urls: bool | None = _setting(
        None,
        "Call task services and webhooks at private addresses and on this machine. Default: yes without identity, no "
        "with it, since whoever may register an address could have the coordinator look behind the firewall.",
        "true or false",
    )
    insecure: bool = _setting(
        False,
        "Serve other machines, and under any name, without identity all the same; or take the keys of an issuer "
        "without HTTPS. Default: no.",
        "true or false",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parts), AfterValidator(_each_an_origin)] = (
        _setting(
            (),
            "Origins whose web pages may use the API, with commas between them; `*` for all. Default: none.",
            "a list such as https://portal.example.org,https://review.example.org",
        )
    )
    sns_topic_arn: Annotated[str, AfterValidator(_topic)] = _setting(
        "",
        "The topic of Amazon's Simple Notification Service that every event is announced to, from the first start with "
        "it on. Default: none. Credentials come from where AWS's library looks for them, the region from the name.",
        "the ARN of a topic, such as arn:aws:sns:us-east-1:123456789012:releases",
    )
    sns_endpoint_url: Annotated[str, AfterValidator(_http_address)] = _setting(
        "",
        "Where that service is, if it is not Amazon's own. Default: Amazon's.",
        _ADDRESS,
    )
    write_rate: int = _setting(
        100,
        "Requests per second, beyond twenty seconds' worth in one go, in which one caller may change something; more "
        "are answered 429. 0 limits nothing. Default: a thousand task services at one address may report at the same "
        "time, and a script that runs wild is slowed down.",
        "a whole number from 0 to 1000000, such as 100",
        ge=0,
        le=1_000_000,
    )
    metrics_token: str = _setting(
        "",
        "The bearer token with which `/metrics` may be read from anywhere. Default: none; it is then shown to this "
        "machine only, and not through a proxy.",
        "a text of 16 to 200 characters without spaces",
        pattern=r"^$|^[!-~]{16,200}$",
    )
    worker_port: int = _setting(
        0,
        "The TCP port on which `lockstep worker` answers `/healthz`, `/readyz` and `/metrics`; 0 for none. Default: "
        "none; what workers count is then not to be seen.",
        "a whole number from 0 to 65535, such as 5001",
        ge=0,
        le=65_535,
    )
    otlp_endpoint: Annotated[str, AfterValidator(_http_address)] = _setting(
        "",
        "Where traces are sent, by OTLP over HTTP; it takes the extra `telemetry`. Default: nowhere; none are made.",
        "an address such as http://collector:4318",
    )
    environment: str = _setting(
        "",
        "What this deployment is called, such as production; the dashboard shows it on every page. Default: nothing.",
        "a short text",
        max_length=40,
    )
    commit: str = _setting(
        "",
        "The commit that was deployed, as `/status` tells it. Default: nothing; images set it when they are built.",
        "a short text",
        max_length=100,
    )

    @model_validator(mode="after")
    def _served_safely(self) -> Self:
        if self.auth == "none" and not self.loopback and not self.insecure:
            raise ValueError(
                f"{PREFIX}HOST is {self.host}, which other machines can reach, and without identity anyone there could "
                f"publish: set {PREFIX}HOST=127.0.0.1, or {PREFIX}INSECURE=true to serve them all the same."
            )
        return self

    @model_validator(mode="after")
    def _issuer_known(self) -> Self:
        if self.auth == "none":
            return self
        for name in ("oidc_issuer", "oidc_audience"):
            if not getattr(self, name):
                raise ValueError(f"{PREFIX}AUTH is oidc, which needs {PREFIX}{name.upper()} too.")
        parts = urlsplit(self.oidc_issuer)
        if parts.scheme != "https" and not _is_loopback(parts.hostname or "") and not self.insecure:
            raise ValueError(
                f"{PREFIX}OIDC_ISSUER is {self.oidc_issuer}, whose keys anybody on the way could replace: it must "
                f"begin with https://, or set {PREFIX}INSECURE=true."
            )
        return self

    @model_validator(mode="after")
    def _patient_enough(self) -> Self:
        """Let no task or release fail before it was asked, or while an answer may still come.

        The lease needs no such relation: it is renewed for as long as answers are awaited.
        """
        for limit in ("task_timeout", "release_timeout"):
            for wait in ("poll_interval", "request_timeout"):
                limit_s, wait_s = getattr(self, limit), getattr(self, wait)
                if limit_s <= wait_s:
                    raise ValueError(
                        f"{PREFIX}{limit.upper()} is {limit_s:g}, and {PREFIX}{wait.upper()} is {wait_s:g}, so that "
                        "releases would fail before their services could answer: the first must be the longer one."
                    )
        return self

    @property
    def private_urls_allowed(self) -> bool:
        """Tell whether task services and webhooks may be at private addresses."""
        return self.auth == "none" if self.allow_private_urls is None else self.allow_private_urls

    @property
    def loopback(self) -> bool:
        """Tell whether only this machine is served."""
        return _is_loopback(self.host)

    @property
    def policy(self) -> Policy:
        """Return the patience that was chosen."""
        return Policy(
            poll_interval_s=self.poll_interval,
            attempts=self.attempts,
            retry_pause_s=self.retry_pause,
            task_timeout_s=self.task_timeout,
            release_timeout_s=self.release_timeout,
            cancel_patience_s=self.cancel_patience,
            lease_s=self.lease,
        )


def read_settings(**chosen: Any) -> Settings:  # noqa: ANN401 - whatever the fields take
    """Return the settings of this process; `chosen` ones come before the environment, and that before `.env`.

    Raises:
        WrongSetting: one of them is wrong; the first that is.
    """
    try:
        return Settings(**chosen)
    except ValidationError as error:
        raise WrongSetting(_sentence(error.errors(include_url=False)[0])) from None
    except (OSError, ValueError, SettingsError) as error:
        raise WrongSetting(f"The file .env could not be read: {error}.") from None


def _sentence(error: ErrorDetails) -> str:
    if not error["loc"]:
        return str(error["ctx"]["error"])
    name = str(error["loc"][0])
    extra = Settings.model_fields[name].json_schema_extra
    right = extra["right"] if isinstance(extra, dict) else "another value"
    secret = not Settings.model_fields[name].repr
    shown = "(not shown)" if secret else _CREDENTIALS.sub("…", str(error["input"]))[:_SHOWN_CHARS]
    said = "is not shown here" if _SECRET.search(name) else f"is {shown!r}"
    return f"{PREFIX}{name.upper()} {said}; it must be {right}."
