"""What an answer of a data service says, and what is no answer of one. No network in here.

The client calls this for every answer. It refuses, each time in a sentence that names the address that was asked:

* anything that is no JSON envelope with status 200;
* a `total` that is no count. It must be a whole number, 0 or more; `null` means that the source publishes none; and
  anything else is unknown, least of all 0;
* a page with rows that came before or that belong to another study;
* a link to a next page on another host, of another list or of another study.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeGuard
from urllib.parse import parse_qs, urljoin, urlsplit

from lockstep.dataservice.patience import Unanswered
from lockstep.protocol.ids import Prefix, is_id

_OK: Final = 200
_TOO_MANY: Final = 429
_SERVER_ERRORS: Final = 500
_SHOWN_CHARS: Final = 200
_MOST: Final = 10**12
_CURSOR: Final = ("after", "after_uuid")


class DataServiceError(Unanswered):
    """The data service did not give what was asked of it; `url` is the address that was asked."""

    def __init__(self, url: str, fault: str) -> None:
        super().__init__(f"data service at {url} {fault}", fault)
        self.url = url


class NoAnswer(DataServiceError):
    """It could not be reached, broke off, or took too long."""


class Refused(DataServiceError):
    """It answered with a status other than 200, kept in `status`."""

    def __init__(self, url: str, fault: str, status: int) -> None:
        super().__init__(url, fault)
        self.status = status
        self.transient = status >= _SERVER_ERRORS or status == _TOO_MANY


class BadAnswer(DataServiceError):
    """It answered 200 with something that is no answer of a data service: HTML, too much, a total that is no count."""


@dataclass(frozen=True, slots=True)
class Study:
    """What the coordinator keeps of a study. Some studies have no name, and not every source tells when one began."""

    kf_id: str
    name: str | None
    visible: bool
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a list. `total` is the count over all pages, None when the source publishes none."""

    rows: Sequence[Mapping[str, Any]]
    total: int | None


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for: a list, and the filters that every one of its pages is asked with."""

    path: str
    filters: Mapping[str, str] = field(default_factory=dict)

    @property
    def study_id(self) -> str | None:
        """The study that the list was asked for, if it was asked for one."""
        return self.filters.get("study_id")

    def parameters(self, limit: int, cursor: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the parameters of a request for one page: all filters, every time."""
        return {**self.filters, "limit": str(limit), **(cursor or {})}


def envelope(status: int, headers: Mapping[str, str], body: bytes, url: str) -> Mapping[str, Any]:
    """Return the envelope of an answer.

    Raises:
        Refused: the status is not 200; the sentence says what the service said to it.
        BadAnswer: the body is no JSON object.
    """
    try:
        decoded: object = json.loads(body)
    except (ValueError, RecursionError):
        decoded = None
    if status != _OK:
        raise Refused(url, f"answered {status}{_said(decoded, headers)}", status)
    if not isinstance(decoded, Mapping):
        sent = shown(headers.get("Content-Type", "no known format")) if decoded is None else "other JSON"
        raise BadAnswer(url, f"sent {sent} instead of its JSON envelope")
    return decoded


def record(body: Mapping[str, Any], kf_id: str, url: str) -> Mapping[str, Any]:
    """Return the one row that an answer holds, its links with it.

    Raises:
        BadAnswer: it holds another row, or none.
    """
    row = body.get("results")
    if not isinstance(row, Mapping) or row.get("kf_id") != kf_id:
        raise BadAnswer(url, f"answered without the record of {kf_id}")
    return {**row, "_links": body["_links"]} if "_links" in body else row


def count(body: Mapping[str, Any], url: str) -> int | None:
    """Return the total of a list, or None when the source says that it publishes none.

    Raises:
        BadAnswer: there is no total, or it is no whole number of rows.
    """
    total = body.get("total", "")
    if total is None or is_count(total):
        return total
    raise BadAnswer(url, no_count(body))


def is_count(value: object) -> TypeGuard[int]:
    """Tell whether a value can be the number of rows of something."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST


def no_count(body: Mapping[str, Any]) -> str:
    """Return the fault of an answer whose total is no count."""
    stated = f"the total {shown(json.dumps(body['total']))}" if "total" in body else "no total"
    return f"answered with {stated}; a whole number from 0 to a trillion is a count"


def shown(text: str) -> str:
    """Return a foreign text as one short line that can be encoded."""
    return _clean(text)[:_SHOWN_CHARS]


def page(body: Mapping[str, Any], asked: Asked, url: str) -> Page:
    """Return the page of a list that an answer holds.

    Raises:
        BadAnswer: it holds no list of rows, or something of another study than the one asked for.
    """
    rows = body.get("results")
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) and _has_id(row) for row in rows):
        raise BadAnswer(url, "answered without a list of results that all have a kf_id")
    if asked.study_id is not None:
        answered_for = _study_of_address(_link(body, "self"))
        if answered_for is not None and answered_for != asked.study_id:
            raise BadAnswer(url, f"answered for another study: {shown(answered_for)}")
        for row in rows:
            owner = _last_part(_link(row, "study"))
            if owner is not None and owner != asked.study_id:
                raise BadAnswer(url, f"sent {shown(row['kf_id'])}, which belongs to {shown(owner)}")
    total = body.get("total")
    return Page(rows, total if is_count(total) else None)


def next_cursor(body: Mapping[str, Any], asked: Asked, url: str) -> Mapping[str, str] | None:
    """Return the cursor in the link to the next page, None when there is no such link.

    Raises:
        BadAnswer: the link leads to another host, another list or another study, or holds no cursor.
    """
    link = _link(body, "next")
    if link is None:
        return None
    here, there = urlsplit(url), urlsplit(urljoin(url, link))
    if (there.scheme, there.netloc) != (here.scheme, here.netloc):
        raise BadAnswer(url, f"names a next page on another host: {shown(link)}")
    if _last_part(there.path) != asked.path or _study_of_address(link) not in {None, asked.study_id}:
        raise BadAnswer(url, f"names a next page of something else: {shown(link)}")
    parameters = parse_qs(there.query)
    cursor: dict[str, str] = {name: parameters[name][0] for name in _CURSOR if name in parameters}
    if not cursor:
        raise BadAnswer(url, f"names a next page without a cursor: {shown(link)}")
    return cursor


def study(row: Mapping[str, Any], url: str) -> Study:
    """Return the study that a row of the list of studies tells of.

    Raises:
        BadAnswer: its id is no id of a study.
    """
    if not is_id(row["kf_id"], Prefix.STUDY):
        raise BadAnswer(url, f"lists {shown(row['kf_id'])!r}, which is no id of a study")
    name = row.get("name")
    return Study(
        kf_id=row["kf_id"],
        name=(_clean(name) or None) if isinstance(name, str) else None,
        visible=row.get("visible") is not False,
        created_at=_moment(row.get("created_at")),
    )


def _said(decoded: object, headers: Mapping[str, str]) -> str:
    if "Location" in headers:
        return f", which points to {shown(headers['Location'])}; give that address if it is right"
    status = decoded.get("_status") if isinstance(decoded, Mapping) else None
    message = status.get("message") if isinstance(status, Mapping) else None
    return f": {shown(message)}" if isinstance(message, str) else ""


def _clean(text: str) -> str:
    return " ".join(text.replace("\0", " ").split()).encode("utf-8", "replace").decode("utf-8")


def _has_id(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("kf_id"), str) and row["kf_id"] != ""


def _link(holder: Mapping[str, Any], name: str) -> str | None:
    links = holder.get("_links")
    link = links.get(name) if isinstance(links, Mapping) else None
    return link if isinstance(link, str) and link else None


def _last_part(path: str | None) -> str | None:
    return None if path is None else path.rstrip("/").rsplit("/", 1)[-1]


def _study_of_address(address: str | None) -> str | None:
    stated = parse_qs(urlsplit(address or "").query).get("study_id")
    return stated[0] if stated else None


def _moment(text: object) -> datetime | None:
    """Return the time that a text means, in UTC unless it names a zone; None when there is none."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment
