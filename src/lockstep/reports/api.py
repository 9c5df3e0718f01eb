"""The addresses at which reports are read. They are public, and pages from anywhere may read them.

    GET /reports/releases/{release}       a release, with the rows of its studies by study id
    GET /reports/{release}                the same, as the first description of the service has it
    GET /reports/{release}/{study}        the row of one study in one release
    GET /reports/studies/{study}?state=   the rows of one study, the newest release first

A row holds a number per entity, as its readers in the field expect. An entity whose count is unknown has no number;
`unknown` then names it and says why. In the row of a release, `at_least` tells that some number is a lower bound or
missing, and `unknown` which ones. Every error is `{"message": sentence}`.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from lockstep.dataservice.entities import REPORTED
from lockstep.reports.counting import NOT_COUNTED, Known
from lockstep.reports.report import Heading, ReleaseSummary, Report, ReportState, StudySummary
from lockstep.reports.store import ReportStore
from lockstep.taskkit import StoreUnavailable

_RETRY_AFTER_S: Final = 5


def reports_route(store: ReportStore) -> Mount:
    """Make the route under which all of the addresses lie."""

    def release(request: Request) -> JSONResponse:
        release_id = request.path_params["release_id"]
        report = store.report(release_id)
        if report is None:
            raise HTTPException(404, f"could not find a report for release {release_id}")
        return JSONResponse(report_to_json(report))

    def study(request: Request) -> JSONResponse:
        release_id, study_id = request.path_params["release_id"], request.path_params["study_id"]
        summary = store.study(release_id, study_id)
        if summary is None:
            raise HTTPException(404, f"could not find study report for release {release_id} and study id {study_id}")
        return JSONResponse(study_to_json(summary))

    def studies(request: Request) -> JSONResponse:
        study_id = request.path_params["study_id"]
        found = store.of_study(study_id, _state(request))
        if not found:
            raise HTTPException(404, f"could not find a report for study {study_id}")
        return JSONResponse({"releases": [{row.heading.release_id: study_to_json(row) for row in found}]})

    app = Starlette(
        routes=[
            Route("/releases/{release_id}", release),
            Route("/studies/{study_id}", studies),
            Route("/{release_id}", release),
            Route("/{release_id}/{study_id}", study),
        ],
        middleware=[Middleware(CORSMiddleware, allow_origins=["*"], allow_headers=["authorization"])],
        exception_handlers={HTTPException: _http_error, StoreUnavailable: _unavailable},
    )
    return Mount("/reports", app=app)


def report_to_json(report: Report) -> dict[str, Any]:
    """Return a release's row with the rows of its studies."""
    studies = {summary.study_id: study_to_json(summary) for summary in report.studies}
    return {**release_to_json(report.summary), "study_summaries": studies}


def release_to_json(summary: ReleaseSummary) -> dict[str, Any]:
    """Return a release's row."""
    numbers = {entity: total.number for entity, total in summary.totals.items() if total.number is not None}
    unknown = {entity: total.gap for entity, total in summary.totals.items() if total.gap is not None}
    return {
        **_heading_to_json(summary.heading),
        "studies": summary.studies,
        **numbers,
        "unknown": unknown,
        "at_least": bool(unknown),
    }


def study_to_json(summary: StudySummary) -> dict[str, Any]:
    """Return a study's row."""
    counts = summary.counts
    known = {entity: count for entity, count in counts.items() if isinstance(count, Known)}
    unknown = {entity: getattr(counts.get(entity), "reason", NOT_COUNTED) for entity in REPORTED if entity not in known}
    return {
        **_heading_to_json(summary.heading),
        "study_id": summary.study_id,
        **{entity: count.number for entity, count in known.items()},
        "unknown": unknown,
        "sources": {entity: count.source for entity, count in known.items()},
    }


def _heading_to_json(heading: Heading) -> Mapping[str, Any]:
    return {
        "release_id": heading.release_id,
        "task_id": heading.task_id,
        "version": heading.version,
        "state": heading.state.value,
        "created_at": heading.created_at.isoformat(timespec="microseconds"),
    }


def _state(request: Request) -> ReportState | None:
    word = request.query_params.get("state")
    try:
        return ReportState(word) if word else None
    except ValueError:
        raise HTTPException(400, f"state must be one of {', '.join(ReportState)}") from None


async def _http_error(request: Request, raised: Exception) -> JSONResponse:
    error = cast("HTTPException", raised)
    sentence = error.detail
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        sentence = f"{request.method} is not possible here; reports are only read"
    elif sentence == HTTPStatus.NOT_FOUND.phrase:
        sentence = "there is no report at this address"
    return JSONResponse({"message": sentence}, error.status_code, error.headers)


async def _unavailable(_request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"message": str(error)}, 503, {"Retry-After": str(_RETRY_AFTER_S)})
