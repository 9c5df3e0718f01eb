"""The addresses at which reports are read. They are public, and pages from anywhere may read them.

    GET /reports/releases/{release}                a release, with the rows of its studies by study id
    GET /reports/{release}                         the same, as the first description of the service has it
    GET /reports/{release}/{study}                 the row of one study in one release
    GET /reports/studies/{study}?state=            the rows of one study, the newest release first
    GET /reports/studies/{study}/history           the same, page by page: ?limit=, and ?after= as `next` has it
    GET /reports/releases/{release}/diff?against=  what changes with a release, as JSON, CSV or Markdown

Every error is `{"message": sentence}`. The functions are plain ones, which the server runs in threads: a store may
take its time, and delays nobody else.
"""

import re
from datetime import UTC, datetime
from itertools import islice
from typing import Final
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from lockstep.reports.accept import choose
from lockstep.reports.baseline import NoReport, NotCounted, counted_report, one_release, what_is_public
from lockstep.reports.diff import THRESHOLD_PERCENT, compare
from lockstep.reports.diff_texts import diff_to_csv, diff_to_json, diff_to_markdown
from lockstep.reports.report import ReportState
from lockstep.reports.shapes import report_to_json, study_to_json
from lockstep.reports.store import Place, ReportStore, rows_of_study
from lockstep.taskkit.error_answers import error_answers

MOST_ROWS: Final = 1000
"""The most releases of one study that are looked at without paging, the newest ones."""

PAGE_SIZE: Final = 50
LARGEST_PAGE: Final = 100

_FORMATS: Final = ("application/json", "text/csv", "text/markdown")


def reports_route(store: ReportStore, *, threshold_percent: float = THRESHOLD_PERCENT) -> Mount:
    """Make the route under which all of the addresses lie."""
    reading = _Reading(store, threshold_percent)
    app = Starlette(
        routes=[
            Route("/releases/{release_id}", reading.release),
            Route("/releases/{release_id}/diff", reading.diff),
            Route("/studies/{study_id}", reading.studies),
            Route("/studies/{study_id}/history", reading.history),
            Route("/{release_id}", reading.release),
            Route("/{release_id}/{study_id}", reading.study),
        ],
        middleware=[Middleware(CORSMiddleware, allow_origins=["*"], allow_headers=["authorization"])],
        exception_handlers=error_answers(
            "there is no report at this address", {NoReport: 404, NotCounted: 409}, passing=[NotCounted]
        ),
    )
    return Mount("/reports", app=app)


class _Reading:
    """What is behind the addresses."""

    def __init__(self, store: ReportStore, threshold_percent: float) -> None:
        self._store = store
        self._threshold_percent = threshold_percent

    def release(self, request: Request) -> Response:
        release_id = request.path_params["release_id"]
        report = self._store.report(release_id)
        if report is None:
            raise NoReport(release_id)
        return JSONResponse(report_to_json(report))

    def study(self, request: Request) -> Response:
        release_id, study_id = request.path_params["release_id"], request.path_params["study_id"]
        summary = self._store.study(release_id, study_id)
        if summary is None:
            raise HTTPException(404, f"could not find study report for release {release_id} and study id {study_id}")
        return JSONResponse(study_to_json(summary))

    def studies(self, request: Request) -> Response:
        study_id, state = request.path_params["study_id"], _state(request)
        rows = islice(rows_of_study(self._store, study_id), MOST_ROWS)
        found = {row.heading.release_id: study_to_json(row) for row in rows if state in {None, row.heading.state}}
        if not found:
            raise _no_report_of(study_id)
        return JSONResponse({"releases": [found]})

    def history(self, request: Request) -> Response:
        study_id, limit = request.path_params["study_id"], _limit(request)
        page = self._store.history(study_id, limit, _place(request))
        if not page.rows and page.end is None and "after" not in request.query_params:
            raise _no_report_of(study_id)
        following = None
        if page.end is not None:
            after = f"{page.end.created_at.isoformat(timespec='microseconds')}~{page.end.release_id}"
            following = f"{request.url.path}?{urlencode({'after': after, 'limit': limit})}"
        return JSONResponse(
            {"study_id": study_id, "releases": [study_to_json(row) for row in page.rows], "next": following}
        )

    def diff(self, request: Request) -> Response:
        wanted = choose(request.headers.get("accept", ""), _FORMATS)
        if wanted is None:
            raise HTTPException(406, f"what changes with a release can be sent as {', '.join(_FORMATS)}")
        report = counted_report(self._store, request.path_params["release_id"])
        against = request.query_params.get("against")
        baseline = one_release(counted_report(self._store, against)) if against else what_is_public(self._store, report)
        diff = compare(report, baseline, threshold_percent=self._threshold_percent)
        headers = {"Vary": "Accept"}
        if wanted == "text/csv":
            return Response(diff_to_csv(diff), media_type="text/csv; header=present", headers=headers)
        if wanted == "text/markdown":
            return Response(diff_to_markdown(diff), media_type=wanted, headers=headers)
        return JSONResponse(diff_to_json(diff), headers=headers)


def _no_report_of(study_id: str) -> HTTPException:
    return HTTPException(404, f"could not find a report for study {study_id}")


def _state(request: Request) -> ReportState | None:
    word = request.query_params.get("state")
    try:
        return ReportState(word) if word else None
    except ValueError:
        raise HTTPException(400, f"state must be one of {', '.join(ReportState)}") from None


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(PAGE_SIZE))
    limit = int(text) if re.fullmatch("[0-9]{1,3}", text) else 0
    if not 1 <= limit <= LARGEST_PAGE:
        raise HTTPException(400, f"limit must be a whole number from 1 to {LARGEST_PAGE}")
    return limit


def _place(request: Request) -> Place | None:
    text = request.query_params.get("after")
    if text is None:
        return None
    created_at, _, release_id = text.partition("~")
    try:
        moment = datetime.fromisoformat(created_at).astimezone(UTC)
    except (ValueError, OverflowError):
        moment = None
    if moment is None or not release_id:
        raise HTTPException(400, "after must be what the `next` of an earlier page had there")
    return Place(moment, release_id)
