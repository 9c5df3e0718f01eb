"""Lists in pages: the query that asks for one, and the page as clients know it.

`limit` and `offset` that make no sense are refused, so that nobody takes the first ten of a list for all of it.
Parameters that are not ours are ignored, and kept in the links to the next and the previous page.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode

from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema
from starlette.requests import Request
from typing_extensions import TypedDict

from lockstep.coordinator.core.records import Page, PageOf
from lockstep.coordinator.web.answers import JsonAnswer, base_url
from lockstep.coordinator.web.rest.shapes import (
    EventShape,
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
    """Which part of a list."""

    limit: Annotated[int, Field(ge=1, le=MOST, description="Rows in a page.")] = LIMIT
    offset: Annotated[int, Field(ge=0, le=FARTHEST, description="Rows before it, newest created first.")] = 0

    def page_of(self) -> PageOf:
        """Return the part as the store knows it."""
        return PageOf(self.limit, self.offset)


def id_filter(prefix: Prefix, kind: str) -> Any:  # noqa: ANN401 - a type, made at import
    """Return the type of a filter by the id of one kind of thing; empty filters nothing."""

    def well_formed(given: str) -> str:
        if given and not is_id(given, prefix):
            raise ValueError(f"This is not the id of a {kind}; {prefix}_ and eight characters would be one.")
        return given

    schema = {"type": "string", "pattern": f"^$|{id_pattern(prefix)}"}
    return Annotated[str, AfterValidator(well_formed), WithJsonSchema(schema)]


ReleaseIdFilter = id_filter(Prefix.RELEASE, "release")
ServiceIdFilter = id_filter(Prefix.TASK_SERVICE, "task service")
TaskIdFilter = id_filter(Prefix.TASK, "task")

_PageLink = Annotated[str | None, Field(description="The page's absolute address; none when there is no such page.")]


class _PageShape(TypedDict):
    count: Annotated[int, Field(ge=0, description="Rows in the whole list.")]
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


class StudyPage(_PageShape):
    """A page of studies."""

    results: list[StudyShape]


class EventPage(_PageShape):
    """A page of events."""

    results: list[EventShape]


def page_answer(request: Request, query: PageQuery, page: Page[Row], shape: Callable[[Row, str], Any]) -> JsonAnswer:
    """Return a page as clients know it."""
    base = base_url(request)
    after, before = query.offset + query.limit, query.offset - query.limit
    return JsonAnswer(
        {
            "count": page.count,
            "next": _link(request, base, query.limit, after) if after < page.count else None,
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
