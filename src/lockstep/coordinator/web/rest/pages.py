"""Lists in pages: the query that asks for one, and the page as clients know it.

`limit` and `offset` that make no sense are refused, so that nobody takes the first ten of a list for all of it.
Parameters that are not ours are ignored, and kept in the links to the next and the previous page.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema
from starlette.requests import Request
from typing_extensions import TypedDict

from lockstep.coordinator.core.records import NEWEST_FIRST, Page, PageOf
from lockstep.coordinator.web.answers import JsonAnswer, base_url
from lockstep.coordinator.web.rest.shapes import (
    EventShape,
    NoteShape,
    ReleaseShape,
    ServiceShape,
    StudyShape,
    TaskShape,
    id_pattern,
)
from lockstep.protocol.ids import Prefix, is_id

LIMIT: Final = 10
MOST: Final = 100
FARTHEST: Final = 1_000_000_000

Row = TypeVar("Row")


class PageQuery(BaseModel):
    """Which part of a list, newest created first."""

    limit: Annotated[int, Field(ge=1, le=MOST, description="Rows in a page.")] = LIMIT
    offset: Annotated[int, Field(ge=0, le=FARTHEST, description="Rows before it.")] = 0

    def page_of(self) -> PageOf:
        """Return the part as the store knows it."""
        return PageOf(self.limit, self.offset, getattr(self, "ordering", "") or NEWEST_FIRST)


@dataclass(frozen=True, slots=True)
class OneOf:
    """Makes a text parameter one of some words, or empty, which asks for nothing."""

    words: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401
        return core_schema.no_info_after_validator_function(self._word, handler(source))

    def __get_pydantic_json_schema__(self, _: CoreSchema, __: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "enum": ["", *self.words]}

    def _word(self, given: str) -> str:
        if given and given not in self.words:
            raise ValueError(f"{ascii(given)[:_SHOWN]} is not one of {', '.join(self.words)}.")
        return given


def orders(names: tuple[str, ...]) -> OneOf:
    """Return what a list can be ordered by: each of some names, and with a minus before it the other way round."""
    return OneOf(tuple(sign + name for name in names for sign in ("", "-")))


ORDERING: Final = Field(description="What the list is ordered by; with a minus, the largest or newest first.")


def _flag(word: object) -> bool | None:
    if isinstance(word, str) and word.lower() in _FLAGS:
        return _FLAGS[word.lower()]
    raise ValueError("This is neither true nor false.")


def _moment(word: object) -> datetime | None:
    if word == "":
        return None
    try:
        moment = datetime.fromisoformat(str(word).replace(" ", "+"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{ascii(word)[:_SHOWN]} is not a time; 2026-01-31T12:00:00Z would be one.") from None


_SHOWN: Final = 60
_FLAGS: Final = {"": None, "true": True, "True": True, "false": False, "False": False}
_TIME_PATTERN: Final = r"^$|^2\d{3}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?Z$"

Flag = Annotated[bool | None, BeforeValidator(_flag), WithJsonSchema({"type": "string", "enum": list(_FLAGS)})]
"""A parameter that is true or false, in any case of letters, or empty, which asks for nothing."""

Moment = Annotated[
    datetime | None,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "pattern": _TIME_PATTERN, "examples": ["2026-01-31T12:00:00Z"]}),
]
"""A parameter that is a time, in UTC where it does not say; or empty."""

Words = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\u0000]*$")]
"""A parameter that is a text, or empty, which asks for nothing."""

Before = Annotated[Moment, Field(description="Only what was created before this time.")]
After = Annotated[Moment, Field(description="Only what was created after this time.")]


def id_filter(prefix: Prefix, kind: str) -> Any:  # noqa: ANN401 - a type, made at import
    """Return the type of a filter by the id of one kind of thing; empty filters nothing."""

    def well_formed(given: str) -> str:
        if given and not is_id(given, prefix):
            raise ValueError(f"This is not the id of a {kind}; {prefix}_ and eight characters would be one.")
        return given

    schema = {"type": "string", "pattern": f"^$|{id_pattern(prefix)}"}
    return Annotated[str, AfterValidator(well_formed), WithJsonSchema(schema)]


NoteIdFilter = id_filter(Prefix.RELEASE_NOTE, "release note")
ReleaseIdFilter = id_filter(Prefix.RELEASE, "release")
ServiceIdFilter = id_filter(Prefix.TASK_SERVICE, "task service")
TaskIdFilter = id_filter(Prefix.TASK, "task")

_PageLink = Annotated[str | None, Field(description="The page's absolute address; none when there is no such page.")]


class _PageShape(TypedDict):
    count: Annotated[
        int,
        Field(ge=0, description="Rows in the whole list; if filtered, counted up to 10,000 or 1,000 beyond the page."),
    ]
    next: _PageLink
    previous: _PageLink


class ReleasePage(_PageShape):
    """A page of releases."""

    results: list[ReleaseShape]


class TaskPage(_PageShape):
    """A page of tasks."""

    results: list[TaskShape]


class ServicePage(_PageShape):
    """A page of task services."""

    results: list[ServiceShape]


class NotePage(_PageShape):
    """A page of release notes."""

    results: list[NoteShape]


class StudyPage(_PageShape):
    """A page of studies."""

    results: list[StudyShape]


class EventPage(_PageShape):
    """A page of events."""

    results: list[EventShape]


def next_page(request: Request, query: PageQuery, page: Page[Row]) -> str | None:
    """Return the address of the page after one, None after the last."""
    after = query.offset + query.limit
    return _link(request, base_url(request), query.limit, after) if after < page.count else None


def page_answer(request: Request, query: PageQuery, page: Page[Row], shape: Callable[[Row, str], Any]) -> JsonAnswer:
    """Return a page as clients know it."""
    base = base_url(request)
    before = query.offset - query.limit
    return JsonAnswer(
        {
            "count": page.count,
            "next": next_page(request, query, page),
            "previous": _link(request, base, query.limit, max(0, before)) if query.offset else None,
            "results": [shape(row, base) for row in page.rows],
        }
    )


def _link(request: Request, base: str, limit: int, offset: int) -> str:
    """Return the address of another page: all parameters kept, sorted by name; no offset for the first page."""
    given = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    parameters = [(name, value) for name, value in given if name not in {"limit", "offset"}]
    parameters += [("limit", str(limit))] + ([("offset", str(offset))] if offset else [])
    return f"{base}{request.scope['path']}?{urlencode(sorted(parameters))}"
