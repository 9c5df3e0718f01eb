"""What a list of the data service answers to a query, worked out from rows in memory and nothing else.

The sample data service calls this. It follows the real one in what surprises its clients, because that is what a
sample is for: the limit is cut to 1000 in silence, a filter with an unknown name is ignored, a cursor that cannot be
read means "from the beginning", and a full page promises a next one even when nothing follows. It does not follow it
where the real one breaks down: a limit below 1 is refused with a sentence, and not by a crash.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from lockstep.dataservice.entities import STUDIES, looks_like_id

DEFAULT_LIMIT: Final = 100
MOST_ROWS: Final = 1000

Row = Mapping[str, Any]
Cursor = tuple[float, str]
"""Where a page ended: when its last row was created, as Unix time in seconds, and that row's uuid."""

HIDDEN: Final = frozenset({"uuid", "study_id"})
"""Keys of a row that steer it and are never shown."""

COMMON_COLUMNS: Final = frozenset(
    {"kf_id", "external_id", "created_at", "modified_at", "visibility_reason", "visibility_comment"}
    | {f"{kind}_id" for kind in ("participant", "family", "biospecimen", "genomic_file", "diagnosis")}
    | {"sequencing_experiment_id", "read_group_id"}
)
"""Columns that can be filtered by in any list, whether or not a row at hand has them."""

_PAGING: Final = frozenset({"limit", "after", "after_uuid"})
_BOOLEANS: Final = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_AFTER_ALL_UUIDS: Final = "~"


class BadFilter(Exception):
    """A filter holds what its column cannot."""

    def __init__(self, column: str, sentence: str) -> None:
        super().__init__(f"{{'{column}': ['{sentence}']}}")


@dataclass(frozen=True, slots=True)
class Query:
    """The parameters of a request for a list, read. `others` are the filters besides study and visibility."""

    limit: int = DEFAULT_LIMIT
    after: Cursor | None = None
    study_id: str | None = None
    visible: bool | None = None
    others: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of a list: some rows, how many there are over all pages, and where the page ended if it is full."""

    rows: Sequence[Row]
    total: int | None
    end: Cursor | None = None


def read_query(path: str, parameters: Mapping[str, str]) -> Query:
    """Return what the parameters of a request for the list at a path ask for.

    Raises:
        BadFilter: the limit is below 1, or `study_id` or `visible` hold no id and no truth value.
    """
    others = {name: text for name, text in parameters.items() if name not in _PAGING | {"study_id", "visible"}}
    study_id = None if path == STUDIES else parameters.get("study_id")
    if study_id is not None and not looks_like_id(study_id, "SD"):
        raise BadFilter("study_id", "Invalid kf_id")
    return Query(
        limit=_limit(parameters.get("limit", "")),
        after=_cursor(parameters.get("after"), parameters.get("after_uuid")),
        study_id=study_id,
        visible=_truth("visible", parameters["visible"]) if "visible" in parameters else None,
        others=others,
    )


def page_of(rows: Iterable[Row], query: Query) -> Page:
    """Return the page of some rows that a query asks for; `total` does not depend on where the page begins."""
    known = list(rows)
    columns = COMMON_COLUMNS.union(*known) - HIDDEN
    filters = {name: text for name, text in query.others.items() if name in columns}
    matching = sorted((row for row in known if _matches(row, query, filters)), key=position)
    following = [row for row in matching if query.after is None or position(row) > query.after]
    shown = following[: query.limit]
    return Page(shown, len(matching), position(shown[-1]) if len(shown) == query.limit else None)


def position(row: Row) -> Cursor:
    """Return the place of a row in its list; one without a time of creation comes first."""
    created_at = _seconds(str(row.get("created_at") or "0"))
    return created_at or 0.0, str(row.get("uuid") or uuid5(NAMESPACE_URL, str(row["kf_id"])))


def _matches(row: Row, query: Query, filters: Mapping[str, str]) -> bool:
    if query.study_id is not None and row.get("study_id") != query.study_id:
        return False
    if query.visible is not None and row.get("visible", True) is not query.visible:
        return False
    return all(_same(row.get(name), text) for name, text in filters.items())


def _same(value: object, text: str) -> bool:
    if isinstance(value, bool):
        return _BOOLEANS.get(text.lower()) is value
    return value is not None and str(value) == text


def _limit(text: str) -> int:
    try:
        limit = int(text)
    except ValueError:
        return DEFAULT_LIMIT
    if limit < 1:
        raise BadFilter("limit", "Must be at least 1.")
    return min(limit, MOST_ROWS)


def _truth(column: str, text: str) -> bool:
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        raise BadFilter(column, "Not a valid boolean.") from None


def _cursor(after: str | None, after_uuid: str | None) -> Cursor | None:
    seconds = None if after is None else _seconds(after)
    return None if seconds is None else (seconds, after_uuid or _AFTER_ALL_UUIDS)


def _seconds(text: str) -> float | None:
    """Return the Unix time that a text means, be it a number of seconds or a date; None when it is neither."""
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        return number if math.isfinite(number) else None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
