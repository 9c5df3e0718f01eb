"""`/releases`: start, list, show, edit, publish, cancel; and have those at work looked at."""

from typing import Annotated, Final

from fastapi import Query, Request
from pydantic import BeforeValidator, Field, WithJsonSchema
from starlette.responses import Response

from lockstep.coordinator.core.records import RELEASE_ORDERS, ReleaseFilter, ReleaseView
from lockstep.coordinator.core.versions import Version
from lockstep.coordinator.services import queries
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.services.checking import check_releases
from lockstep.coordinator.services.fields import RELEASE_WORDS, release_state
from lockstep.coordinator.services.inputs import (
    ReleaseEdit,
    ReleaseInput,
    ReleaseReplacement,
)
from lockstep.coordinator.web.answers import JsonAnswer, base_url
from lockstep.coordinator.web.bodies import read
from lockstep.coordinator.web.callers import caller_of
from lockstep.coordinator.web.conditional import (
    IDEMPOTENCY_KEY,
    check_seen,
    expects,
    idempotency_key,
    one,
)
from lockstep.coordinator.web.desk import desk_of, sight_of
from lockstep.coordinator.web.operations import Operation
from lockstep.coordinator.web.rest.pages import (
    ORDERING,
    After,
    Before,
    Flag,
    Moment,
    PageQuery,
    ReleasePage,
    Words,
    orders,
    page_answer,
)
from lockstep.coordinator.web.rest.shapes import (
    CheckedShape,
    DecisionShape,
    PublishShape,
    ReleaseShape,
    decision_shape,
    release_shape,
)
from lockstep.protocol.states import ReleaseState


def _state(word: object) -> ReleaseState | None:
    return release_state(word) if word else None


def _version(word: object) -> Version | None:
    try:
        return Version.parse(word) if isinstance(word, str) and word else None
    except ValueError as error:
        raise ValueError(f"{error}.") from None


_State = Annotated[
    ReleaseState | None,
    BeforeValidator(_state),
    WithJsonSchema({"type": "string", "enum": ["", *RELEASE_WORDS]}),
]
_Version = Annotated[
    Version | None,
    BeforeValidator(_version),
    WithJsonSchema({"type": "string", "pattern": r"^$|^\d{1,9}\.\d{1,9}\.\d{1,9}$"}),
]


class ReleaseQuery(PageQuery):
    """Which releases."""

    state: Annotated[tuple[_State, ...], Field(description="Only releases in this state; repeated, in any.")] = ()
    study: Annotated[Words, Field(description="Only releases that hold this study.")] = ""
    author: Annotated[Words, Field(description="Only releases of this author.")] = ""
    name: Annotated[Words, Field(description="Only releases of this name.")] = ""
    search: Annotated[Words, Field(description="Only releases whose name contains this, in any case of letters.")] = ""
    version: Annotated[_Version, Field(description="Only the release of this version.")] = None
    is_major: Annotated[Flag, Field(description="Only releases that change the shape of the data, or only others.")] = (
        None
    )
    tags: Annotated[tuple[Words, ...], Field(description="Only releases with this tag; repeated, with all.")] = ()
    created_before: Before = None
    created_after: After = None
    published_before: Annotated[Moment, Field(description="Only what was published before this time.")] = None
    published_after: Annotated[Moment, Field(description="Only what was published after this time.")] = None
    ordering: Annotated[str, orders(RELEASE_ORDERS), ORDERING] = ""

    def which(self) -> ReleaseFilter:
        """Return the filter as the store knows it."""
        return ReleaseFilter(
            states=tuple(state for state in self.state if state is not None),
            study_id=self.study or None,
            author=self.author or None,
            name=self.name or None,
            name_contains=self.search or None,
            version=self.version,
            is_major=self.is_major,
            tags=tuple(filter(None, self.tags)),
            created_before=self.created_before,
            created_after=self.created_after,
            published_before=self.published_before,
            published_after=self.published_after,
        )


async def list_releases(request: Request, query: Annotated[ReleaseQuery, Query()]) -> Response:
    """List releases, newest created first."""
    page = await desk_of(request).store.releases(query.page_of(), query.which(), sight_of(request))
    return page_answer(request, query, page, release_shape)


async def create_release(request: Request) -> Response:
    """Start a release of some studies on every enabled task service.

    Sent again with the same `Idempotency-Key`, the request gives the same release, as it is by then.
    """
    new = await read(request, ReleaseInput)
    base, key = base_url(request), idempotency_key(request)
    view = await desk_of(request).commands.create_release(new.new_release(), caller_of(request), key)
    return JsonAnswer(release_shape(view, base), 201, {"Location": f"{base}/releases/{view.release.kf_id}"})


async def show_release(request: Request, release_id: str) -> Response:
    """Show a release with its tasks and notes."""
    desk = desk_of(request)
    return _shown(request, await queries.release(desk.store, desk.access, release_id, caller_of(request)))


async def show_decision(request: Request, release_id: str) -> Response:
    """Show what was decided about a release: nothing yet, to publish it, or to cancel it.

    For task services that were away and do not know what became of a release that they have staged. One that is not
    known was never decided to be published, so the answer for it is `cancel`.
    """
    desk = desk_of(request)
    release = await queries.decided(desk.store, desk.access, release_id, caller_of(request))
    return JsonAnswer(decision_shape(release_id, release))


async def edit_release(request: Request, release_id: str) -> Response:
    """Change the given fields of a release; the state `publishing` publishes it. Other fields are ignored."""
    return await _edit(request, release_id, await read(request, ReleaseEdit))


async def replace_release(request: Request, release_id: str) -> Response:
    """Change a release by sending all of it; what is left out stays as it is."""
    return await _edit(request, release_id, await read(request, ReleaseReplacement))


async def cancel_release(request: Request, release_id: str) -> Response:
    """Cancel a release on all of its services. One that has ended stays as it is."""
    base_url(request)
    await _seen(request, release_id)
    return _shown(request, await desk_of(request).commands.cancel(release_id, caller_of(request)))


async def publish_release(request: Request, release_id: str) -> Response:
    """Publish a release that is staged, on all of its services."""
    base = base_url(request)
    view = await desk_of(request).commands.publish(release_id, caller_of(request))
    return JsonAnswer({"message": "publishing", **release_shape(view, base)})


async def start_release_checks(request: Request) -> Response:
    """Have every release that services are at work on looked at now; they are looked at without this, too."""
    number = await check_releases(desk_of(request).commands, caller_of(request))
    return JsonAnswer({"status": "ok", "message": f"{number} releases to check"})


async def _edit(request: Request, release_id: str, edit: ReleaseEdit) -> Response:
    base_url(request)
    seen = await _seen(request, release_id)
    commands = desk_of(request).commands
    view = await commands.edit_release(release_id, edit, caller_of(request), seen.release if seen else None)
    return _shown(request, view)


async def _seen(request: Request, release_id: str) -> ReleaseView | None:
    """Return what the caller has seen, if it asks that only this be changed; None if it does not ask."""
    if not expects(request):
        return None
    view = await desk_of(request).store.release(release_id, sight_of(request))
    check_seen(request, release_shape(view, base_url(request)))
    return view


def _shown(request: Request, view: ReleaseView) -> Response:
    return one(request, release_shape(view, base_url(request)))


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
        also=(422,),
        body=ReleaseInput,
        headers=(IDEMPOTENCY_KEY,),
    ),
    Operation(
        method="POST",
        path="/releases/status_checks",
        act=Act.CHECK,
        call=start_release_checks,
        shape=CheckedShape,
    ),
    Operation(
        method="GET",
        path=_ONE,
        act=Act.SEE_PUBLISHED,
        call=show_release,
        shape=ReleaseShape,
        also=(404,),
        conditional=True,
    ),
    Operation(
        method="PATCH",
        path=_ONE,
        act=Act.EDIT_RELEASE,
        call=edit_release,
        shape=ReleaseShape,
        also=(404, 409),
        body=ReleaseEdit,
        conditional=True,
    ),
    Operation(
        method="PUT",
        path=_ONE,
        act=Act.EDIT_RELEASE,
        call=replace_release,
        shape=ReleaseShape,
        also=(404, 409),
        body=ReleaseReplacement,
        conditional=True,
    ),
    Operation(
        method="DELETE",
        path=_ONE,
        act=Act.CANCEL_RELEASE,
        call=cancel_release,
        shape=ReleaseShape,
        also=(404,),
        conditional=True,
    ),
    Operation(
        method="GET",
        path=f"{_ONE}/decision",
        act=Act.SEE_DECISION,
        call=show_decision,
        shape=DecisionShape,
        also=(404,),
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/publish",
        act=Act.PUBLISH_RELEASE,
        call=publish_release,
        shape=PublishShape,
        also=(404, 409),
    ),
)
