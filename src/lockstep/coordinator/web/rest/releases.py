"""`/releases`: start, list, show, publish, cancel."""

from typing import Annotated, Final

from fastapi import Query, Request
from pydantic import BeforeValidator, Field, WithJsonSchema
from starlette.responses import Response

from lockstep.coordinator.core.records import ReleaseFilter, ReleaseView
from lockstep.coordinator.services import queries
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.services.inputs import RELEASE_WORDS, ReleaseEdit, ReleaseInput, release_state
from lockstep.coordinator.web.answers import JsonAnswer, base_url
from lockstep.coordinator.web.bodies import read
from lockstep.coordinator.web.callers import caller_of
from lockstep.coordinator.web.desk import desk_of, sight_of
from lockstep.coordinator.web.operations import Operation
from lockstep.coordinator.web.rest.pages import PageQuery, ReleasePage, page_answer
from lockstep.coordinator.web.rest.shapes import PublishShape, ReleaseShape, release_shape
from lockstep.protocol.states import ReleaseState


def _state(word: object) -> ReleaseState | None:
    return release_state(word) if word else None


class ReleaseQuery(PageQuery):
    """Which releases."""

    state: Annotated[
        ReleaseState | None,
        BeforeValidator(_state),
        WithJsonSchema({"type": "string", "enum": ["", *RELEASE_WORDS]}),
        Field(description="Only releases in this state."),
    ] = None


async def list_releases(request: Request, query: Annotated[ReleaseQuery, Query()]) -> Response:
    """List releases, newest created first."""
    states = () if query.state is None else (query.state,)
    page = await desk_of(request).store.releases(query.page_of(), ReleaseFilter(states), sight_of(request))
    return page_answer(request, query, page, release_shape)


async def create_release(request: Request) -> Response:
    """Start a release of some studies on every enabled task service."""
    new = await read(request, ReleaseInput)
    base = base_url(request)
    view = await desk_of(request).commands.create_release(new.new_release(), caller_of(request))
    return JsonAnswer(release_shape(view, base), 201, {"Location": f"{base}/releases/{view.release.kf_id}"})


async def show_release(request: Request, release_id: str) -> Response:
    """Show a release with its tasks and notes."""
    desk = desk_of(request)
    return _shown(request, await queries.release(desk.store, desk.access, release_id, caller_of(request)))


async def edit_release(request: Request, release_id: str) -> Response:
    """Publish a release the older way, by setting its state to `publishing`. Other fields are ignored."""
    edit = await read(request, ReleaseEdit)
    base_url(request)
    return _shown(request, await desk_of(request).commands.edit_release(release_id, edit, caller_of(request)))


async def cancel_release(request: Request, release_id: str) -> Response:
    """Cancel a release on all of its services. One that has ended stays as it is."""
    base_url(request)
    return _shown(request, await desk_of(request).commands.cancel(release_id, caller_of(request)))


async def publish_release(request: Request, release_id: str) -> Response:
    """Publish a release that is staged, on all of its services."""
    base = base_url(request)
    view = await desk_of(request).commands.publish(release_id, caller_of(request))
    return JsonAnswer({"message": "publishing", **release_shape(view, base)})


def _shown(request: Request, view: ReleaseView) -> JsonAnswer:
    return JsonAnswer(release_shape(view, base_url(request)))


_ONE: Final = "/releases/{release_id}"

OPERATIONS: Final = (
    Operation(method="GET", path="/releases", act=Act.SEE_PUBLISHED, call=list_releases, shape=ReleasePage),
    Operation(
        method="POST",
        path="/releases",
        act=Act.CREATE_RELEASE,
        call=create_release,
        status=201,
        shape=ReleaseShape,
        body=ReleaseInput,
    ),
    Operation(method="GET", path=_ONE, act=Act.SEE_PUBLISHED, call=show_release, shape=ReleaseShape, also=(404,)),
    Operation(
        method="PATCH",
        path=_ONE,
        act=Act.EDIT_RELEASE,
        call=edit_release,
        shape=ReleaseShape,
        also=(404, 409),
        body=ReleaseEdit,
    ),
    Operation(method="DELETE", path=_ONE, act=Act.CANCEL_RELEASE, call=cancel_release, shape=ReleaseShape, also=(404,)),
    Operation(
        method="POST",
        path=f"{_ONE}/publish",
        act=Act.PUBLISH_RELEASE,
        call=publish_release,
        shape=PublishShape,
        also=(404, 409),
    ),
)
