"""Counts by a FHIR R4 server: how its resources stand for the entities of a report, and how it is asked for a number.

A study is a tag: the loader puts the study's id on each of its resources, without a system, so the search is by code
alone. `_summary=count` asks for the number of matches and none of them. The answer is a Bundle with a `total`; a
Bundle without one is no zero, and an `OperationOutcome` is a refusal. What the server does not hold (sequencing
experiments, read groups, study files) is withheld: nobody has to look for it, and no release fails for it.

The figures are not those of the data service. A FHIR server holds a collected sample and its aliquot as two specimens,
knows nothing of hidden rows, and may be behind with loading files. So every count says which of the two it is from.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode, urlsplit

from lockstep.dataservice.answers import is_count, no_count, shown
from lockstep.dataservice.patience import Patience, Unanswered
from lockstep.dataservice.web import CONNECTIONS, TIMEOUT_S, Silence, Web
from lockstep.reports.counting import Count, Known, Unknown

NOT_THERE: Final = "not on the FHIR server"

PROFILES: Final = "https://ncpi-fhir.github.io/ncpi-fhir-ig/StructureDefinition/"
"""Where the profiles lie that tell diagnoses from phenotypes; newer loaders write `https://nih-ncpi.github.io/…`."""

_RESOURCES: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "participants": ("Patient", {}),
    "families": ("Group", {"code": "FAMMEMB"}),
    "biospecimens": ("Specimen", {}),
    "diagnoses": ("Condition", {"_profile:below": "disease"}),
    "phenotypes": ("Condition", {"_profile:below": "phenotype"}),
    "genomic-files": ("DocumentReference", {}),
}
"""The resource that stands for an entity, and what tells it from others of its kind."""

_OK: Final = 200
_TOO_MANY: Final = 429
_SERVER_ERRORS: Final = 500
_ADDRESS: Final = re.compile(r"\w+://\S+")


@dataclass(frozen=True, slots=True)
class FhirAccess:
    """Where a FHIR server is and what it wants to see; the secrets are in no `repr` and so in no log.

    Attributes:
        url: the base address, such as `https://fhir.example.org/r4`.
        token: a bearer token, or "".
        user: a name for basic authentication, or "".
        password: the password that goes with the name.
        profiles: the beginning of the addresses of profiles.

    Raises:
        ValueError: the address is no HTTP address, or there are both a token and a name.
    """

    url: str
    token: str = field(default="", repr=False)
    user: str = ""
    password: str = field(default="", repr=False)
    profiles: str = PROFILES

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.username:
            raise ValueError("the address of the FHIR server must be of the form https://fhir.example.org/r4")
        if self.token and self.user:
            raise ValueError("a FHIR server is shown either a token or a name and password, not both")

    def headers(self) -> dict[str, str]:
        """Return what every request carries."""
        accept = {"Accept": "application/fhir+json"}
        if self.token:
            return {**accept, "Authorization": f"Bearer {self.token}"}
        if self.user:
            login = base64.b64encode(f"{self.user}:{self.password}".encode()).decode("ascii")
            return {**accept, "Authorization": f"Basic {login}"}
        return accept

    def address(self, resource: str, study_id: str, parameters: Mapping[str, str]) -> str:
        """Return the address at which resources of a study are counted."""
        at = {
            name: f"{self.profiles.rstrip('/')}/{value}" if name == "_profile:below" else value
            for name, value in parameters.items()
        }
        query = urlencode({"_tag": study_id, **at, "_summary": "count"}, safe=":/")
        return f"{self.url.rstrip('/')}/{resource}?{query}"


class FhirError(Unanswered):
    """The FHIR server did not give the number that it was asked for."""

    def __init__(self, fault: str, *, transient: bool = True) -> None:
        super().__init__(f"the FHIR server {fault}", fault)
        self.transient = transient


class FhirSource:
    """Counts by the totals of searches. Use it as `async with FhirSource(access, patience) as source`."""

    name: Final = "FHIR server"

    def __init__(
        self,
        access: FhirAccess,
        patience: Patience,
        *,
        timeout_s: float = TIMEOUT_S,
        connections: int = CONNECTIONS,
    ) -> None:
        self._access = access
        self._patience = patience
        self._web = Web(access.headers(), timeout_s=timeout_s, connections=connections)

    async def __aenter__(self) -> Self:
        await self._web.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._web.__aexit__(kind, error, trace)

    async def count(self, entity: str, study_id: str) -> Count:
        """Return how many resources of a study stand for an entity."""
        if entity not in _RESOURCES:
            return Unknown(NOT_THERE, self.name, withheld=True)
        resource, parameters = _RESOURCES[entity]
        url = self._access.address(resource, study_id, parameters)
        try:
            return Known(await self._patience.insist(lambda: self._total(url)), self.name)
        except Unanswered as error:
            return Unknown(f"the FHIR server {error.fault}", self.name)

    async def _total(self, url: str) -> int:
        try:
            answer = await self._web.get(url)
        except Silence as error:
            raise FhirError(error.fault) from error
        return total(answer.status, answer.headers, answer.body)


def total(status: int, headers: Mapping[str, str], body: bytes) -> int:
    """Return the total of a search.

    Raises:
        FhirError: the answer is none, is a refusal, or has no total that is a count.
    """
    try:
        decoded: object = json.loads(body)
    except (ValueError, RecursionError):
        decoded = None
    document = decoded if isinstance(decoded, dict) else {}
    is_refusal = document.get("resourceType") == "OperationOutcome"
    if status != _OK:
        said = f": {_outcome(document)}" if is_refusal else ""
        raise FhirError(f"answered {status}{said}", transient=status >= _SERVER_ERRORS or status == _TOO_MANY)
    if is_refusal:
        raise FhirError(f"refused: {_outcome(document)}")
    if document.get("resourceType") != "Bundle":
        sent = shown(headers.get("Content-Type", "no known format")) if decoded is None else "something else"
        raise FhirError(f"sent {sent} instead of a Bundle")
    number = document.get("total")
    if not is_count(number):
        raise FhirError(no_count(document))
    return number


def _outcome(document: Mapping[str, Any]) -> str:
    """Return what an OperationOutcome says, without addresses."""
    issues = document.get("issue")
    issue = issues[0] if isinstance(issues, list) and issues and isinstance(issues[0], dict) else {}
    details = issue.get("details")
    texts = (issue.get("diagnostics"), details.get("text") if isinstance(details, dict) else None, issue.get("code"))
    return shown(_ADDRESS.sub("…", next((text for text in texts if isinstance(text, str) and text), "no reason given")))
