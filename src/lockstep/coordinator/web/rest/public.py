"""What is public now, or was at a time: the pointer that portals follow. Without sign-in, and cacheable by anybody.

It shows the release that was published last. That a release is published means that every one of its services has
published it, so that whoever follows the pointer never meets half of a release.
"""

from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from lockstep.coordinator.core.errors import NotFound
from lockstep.coordinator.core.records import ReleaseView
from lockstep.coordinator.web.answers import JsonAnswer, base_url
from lockstep.coordinator.web.conditional import FOR_ALL, tagged
from lockstep.coordinator.web.desk import desk_of
from lockstep.coordinator.web.operations import Operation
from lockstep.coordinator.web.rest.feed import ATOM, atom
from lockstep.coordinator.web.rest.pages import Moment
from lockstep.coordinator.web.rest.shapes import CurrentShape, current_shape

IN_FEED: Final = 50
_ANY_ORIGIN: Final = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "ETag"}


class TimeQuery(BaseModel):
    """When."""

    time: Annotated[Moment, Field(description="The time to look back to; the one now if it is empty.")]


async def show_current_release(request: Request) -> Response:
    """Show the release that was published last, for everybody."""
    views = await desk_of(request).store.published(1)
    return _shown(request, _first(views))


async def show_release_at(request: Request, query: Annotated[TimeQuery, Query()]) -> Response:
    """Show the release that was public at a time, for everybody."""
    views = await desk_of(request).store.published(1, query.time)
    return _shown(request, _first(views))


async def show_current_release_of_study(request: Request, study_id: str) -> Response:
    """Show the release with which a study became public last, for everybody."""
    return _shown(request, await desk_of(request).store.current_of(study_id))


async def show_feed(request: Request) -> Response:
    """Show the releases that were published last, as an Atom feed, for everybody."""
    base = base_url(request)
    views = await desk_of(request).store.published(IN_FEED)
    headers = {**_ANY_ORIGIN, "X-Content-Type-Options": "nosniff"}
    return tagged(request, Response(atom(views, base), media_type=ATOM, headers=headers), FOR_ALL)


def _first(views: Sequence[ReleaseView]) -> ReleaseView:
    if not views:
        raise NotFound("No release was published by then.")
    return views[0]


def _shown(request: Request, view: ReleaseView) -> Response:
    return tagged(request, JsonAnswer(current_shape(view, base_url(request)), headers=_ANY_ORIGIN), FOR_ALL)


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/releases/current",
        act=None,
        call=show_current_release,
        shape=CurrentShape,
        also=(404,),
        conditional=True,
    ),
    Operation(
        method="GET",
        path="/releases/at",
        act=None,
        call=show_release_at,
        shape=CurrentShape,
        also=(404,),
        conditional=True,
    ),
    Operation(
        method="GET",
        path="/releases/feed",
        act=None,
        call=show_feed,
        conditional=True,
        answers={200: {"description": "The feed.", "content": {ATOM: {"schema": {"type": "string"}}}}},
    ),
    Operation(
        method="GET",
        path="/studies/{study_id}/current",
        act=None,
        call=show_current_release_of_study,
        shape=CurrentShape,
        also=(404,),
        conditional=True,
    ),
)
