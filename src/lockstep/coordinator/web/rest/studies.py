"""`/studies`: list, show with their releases, and bring in from the data service."""

from dataclasses import replace
from typing import Annotated, Final

from fastapi import Query, Request
from pydantic import Field
from starlette.responses import Response

from lockstep.coordinator.core.errors import NotFound, Unavailable
from lockstep.coordinator.core.records import STUDY_ORDERS, StudyFilter
from lockstep.coordinator.services import queries
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.web.answers import JsonAnswer, base_url
from lockstep.coordinator.web.callers import caller_of
from lockstep.coordinator.web.conditional import one
from lockstep.coordinator.web.desk import desk_of, sight_of
from lockstep.coordinator.web.operations import Operation
from lockstep.coordinator.web.rest.pages import (
    ORDERING,
    After,
    Before,
    Flag,
    PageQuery,
    ReleasePage,
    StudyPage,
    Words,
    orders,
    page_answer,
)
from lockstep.coordinator.web.rest.releases import ReleaseQuery
from lockstep.coordinator.web.rest.shapes import (
    ReleaseShape,
    StudyShape,
    SyncFailedShape,
    SyncShape,
    release_shape,
    study_shape,
)


class StudyQuery(PageQuery):
    """Which studies."""

    kf_id: Annotated[Words, Field(description="Only this study.")] = ""
    visible: Annotated[Flag, Field(description="Only studies that the data service shows, or only others.")] = None
    deleted: Annotated[Flag, Field(description="Only studies that the data service lost, or only others.")] = None
    search: Annotated[Words, Field(description="Only studies whose name contains this, in any case of letters.")] = ""
    created_before: Before = None
    created_after: After = None
    ordering: Annotated[str, orders(STUDY_ORDERS), ORDERING] = ""

    def which(self) -> StudyFilter:
        """Return the filter as the store knows it."""
        return StudyFilter(
            self.kf_id or None, self.search or None, self.visible, self.deleted, self.created_before, self.created_after
        )


async def list_studies(request: Request, query: Annotated[StudyQuery, Query()]) -> Response:
    """List studies, newest created first."""
    page = await queries.studies(desk_of(request).store, query.page_of(), query.which(), sight_of(request))
    return page_answer(request, query, page, study_shape)


async def show_study(request: Request, study_id: str) -> Response:
    """Show a study."""
    study = await queries.study(desk_of(request).store, study_id, sight_of(request))
    return one(request, study_shape(study, base_url(request)))


async def list_releases_of_study(request: Request, study_id: str, query: Annotated[ReleaseQuery, Query()]) -> Response:
    """List the releases that hold a study, newest created first."""
    store, sight = desk_of(request).store, sight_of(request)
    await queries.study(store, study_id, sight)
    page = await store.releases(query.page_of(), replace(query.which(), study_id=study_id), sight)
    return page_answer(request, query, page, release_shape)


async def show_release_of_study(request: Request, study_id: str, release_id: str) -> Response:
    """Show a release that holds a study."""
    view = await desk_of(request).store.release(release_id, sight_of(request))
    if study_id not in view.release.studies:
        raise NotFound(f"Release {release_id} does not hold study {study_id}.")
    return one(request, release_shape(view, base_url(request)))


async def sync_studies(request: Request) -> Response:
    """Make the studies here those of the data service."""
    commands = desk_of(request).commands
    try:
        result = await commands.sync_studies(caller_of(request))
    except Unavailable as error:
        return JsonAnswer({"status": "error", "message": str(error), "detail": str(error)}, 503)
    new, deleted, restored = len(result.new), len(result.deleted), len(result.restored)
    message = f"{new} new, {deleted} deleted, {restored} restored."
    if commands.data_service is None:
        message = "No data service is configured (LOCKSTEP_DATASERVICE_URL), so there is nothing to sync with."
    return JsonAnswer({"status": "ok", "new": new, "deleted": deleted, "restored": restored, "message": message})


_ONE: Final = "/studies/{study_id}"

OPERATIONS: Final = (
    Operation(method="GET", path="/studies", act=Act.SEE_PUBLISHED, call=list_studies, shape=StudyPage),
    Operation(
        method="POST",
        path="/studies/sync",
        act=Act.SYNC_STUDIES,
        call=sync_studies,
        shape=SyncShape,
        answers={503: {"model": SyncFailedShape, "description": "The data service did not give its studies."}},
    ),
    Operation(
        method="GET",
        path=_ONE,
        act=Act.SEE_PUBLISHED,
        call=show_study,
        shape=StudyShape,
        also=(404,),
        conditional=True,
    ),
    Operation(
        method="GET",
        path=f"{_ONE}/releases",
        act=Act.SEE_PUBLISHED,
        call=list_releases_of_study,
        shape=ReleasePage,
        also=(404,),
    ),
    Operation(
        method="GET",
        path=f"{_ONE}/releases/{{release_id}}",
        act=Act.SEE_PUBLISHED,
        call=show_release_of_study,
        shape=ReleaseShape,
        also=(404,),
        conditional=True,
    ),
)
