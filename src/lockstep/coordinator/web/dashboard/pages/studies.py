"""The studies, and what became of one of them."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.core.records import STUDY_ORDERS, PageOf, ReleaseFilter, StudyFilter
from lockstep.coordinator.services import queries
from lockstep.coordinator.web.callers import caller_of
from lockstep.coordinator.web.dashboard import report
from lockstep.coordinator.web.dashboard.charts import curve
from lockstep.coordinator.web.dashboard.forms import Form, read
from lockstep.coordinator.web.dashboard.listing import Asked, Listed
from lockstep.coordinator.web.dashboard.page import Page, go, pages_of
from lockstep.coordinator.web.dashboard.pages.release import REPORT_WAITS_S
from lockstep.coordinator.web.desk import desk_of, sight_of

_ROWS: Final = 50
_RELEASES: Final = 50
_UNAVAILABLE: Final = 503


async def show_all(request: Request) -> Page:
    """Show a page of the studies."""
    return await _all(request, Form())


async def sync(request: Request) -> Response:
    """Make the studies here those of the data service."""
    form = await read(request)
    try:
        await desk_of(request).commands.sync_studies(caller_of(request))
    except Unavailable as error:
        form.blame(error)
        return pages_of(request).answer(request, await _all(request, form, _UNAVAILABLE))
    return go("/studies", "synced")


async def _all(request: Request, form: Form, status: int = 200) -> Page:
    desk = desk_of(request)
    asked = Asked.of(request, ("q", "hidden"), STUDY_ORDERS, first="name", size=_ROWS)
    hidden = "hidden" in asked.filters
    which = StudyFilter(
        name_contains=asked.filters.get("q"), visible=None if hidden else True, deleted=None if hidden else False
    )
    page = await queries.studies(desk.store, asked.page_of, which, sight_of(request))
    values = {
        "list": Listed.of(page, asked),
        "form": form,
        "can_sync": desk.commands.data_service is not None,
    }
    return Page("studies.html", "Studies", values, live=("list",), status=status)


async def show(request: Request) -> Page:
    """Show a study: its releases, and its counts over time."""
    desk = desk_of(request)
    study = await queries.study(desk.store, request.path_params["study_id"], sight_of(request))
    page = await desk.store.releases(PageOf(_RELEASES), ReleaseFilter(study_id=study.kf_id), sight_of(request))
    reading = None
    if desk.reports is not None:
        reading = await desk.reports.history(study.kf_id, wait_s=REPORT_WAITS_S)
    counted = report.series(reading.answer) if reading and reading.answer else {}
    notes = [note for view in page.rows for note in view.notes if note.study_id == study.kf_id]
    values = {
        "study": study,
        "views": page.rows,
        "count": page.count,
        "reading": reading,
        "curves": [curve(entity, points) for entity, points in counted.items()],
        "notes": notes,
        "versions": {view.release.kf_id: view.release.version for view in page.rows},
    }
    unfinished = reading is not None and reading.newer
    return Page("study.html", study.name, values, live=("facts", "counts", "releases"), unfinished=unfinished)
