"""`/studies`: list, show, and bring in from the data service."""

from typing import Annotated, Final

from fastapi import Query, Request
from starlette.responses import Response

from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.services import queries
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.web.answers import JsonAnswer, base_url
from lockstep.coordinator.web.callers import caller_of
from lockstep.coordinator.web.desk import desk_of, sight_of
from lockstep.coordinator.web.operations import Operation
from lockstep.coordinator.web.rest.pages import PageQuery, StudyPage, page_answer
from lockstep.coordinator.web.rest.shapes import StudyShape, SyncFailedShape, SyncShape, study_shape


async def list_studies(request: Request, query: Annotated[PageQuery, Query()]) -> Response:
    """List studies, newest created first."""
    page = await queries.studies(desk_of(request).store, query.page_of(), sight=sight_of(request))
    return page_answer(request, query, page, study_shape)


async def show_study(request: Request, study_id: str) -> Response:
    """Show a study."""
    study = await queries.study(desk_of(request).store, study_id, sight_of(request))
    return JsonAnswer(study_shape(study, base_url(request)))


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
        method="GET", path="/studies/{study_id}", act=Act.SEE_PUBLISHED, call=show_study, shape=StudyShape, also=(404,)
    ),
)
