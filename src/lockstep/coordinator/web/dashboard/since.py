"""What was counted of studies since they were published, for whoever plans the next release.

The newest release that holds a study and was not published has counted it, as far as it came. One look at the report of
each such release tells of all its studies, so that thousands of them cost a few looks; what is not known is said.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from starlette.requests import Request

from lockstep.coordinator.core.model import Release
from lockstep.coordinator.core.records import PageOf, ReleaseFilter, Study
from lockstep.coordinator.services.reporting import Reading
from lockstep.coordinator.web.dashboard import report
from lockstep.coordinator.web.desk import desk_of, sight_of
from lockstep.protocol.states import ReleaseState

_COUNTED: Final = tuple(set(ReleaseState) - {ReleaseState.WAITING, ReleaseState.INITIALIZING, ReleaseState.PUBLISHED})
_RELEASES, _REPORTS = 50, 8
"""Releases that are looked through for the studies, the newest ones, and reports of them that are read."""

_FETCHING: Final = "being fetched"
_NOTHING: Final = "nothing counted since"


async def since_published(
    request: Request, studies: Sequence[Study], *, wait_s: float
) -> tuple[Mapping[str, str], bool]:
    """Return by study what changed since it was published, and whether that is still being fetched.

    A study that was never published has nothing to be compared with, and is left out; so is everything where there
    are no reports.
    """
    desk = desk_of(request)
    if desk.reports is None:
        return {}, False
    page = await desk.store.releases(PageOf(_RELEASES), ReleaseFilter(_COUNTED), sight_of(request))
    newest: dict[str, Release] = {}
    for view in page.rows:
        for study_id in view.release.studies:
            newest.setdefault(study_id, view.release)
    published = [study for study in studies if study.last_pub_version is not None]
    counting = {study.kf_id: release for study in published if (release := _later(study, newest))}
    releases = list({release.kf_id: release for release in counting.values()}.values())[:_REPORTS]
    readings = await asyncio.gather(*(desk.reports.diff(release, wait_s=wait_s) for release in releases))
    known = dict(zip((release.kf_id for release in releases), readings, strict=True))
    told = {study.kf_id: _said(study.kf_id, counting.get(study.kf_id), known) for study in published}
    return told, any(reading.newer for reading in readings)


def _later(study: Study, newest: Mapping[str, Release]) -> Release | None:
    release = newest.get(study.kf_id)
    if release is None or (study.last_pub_date is not None and release.created_at <= study.last_pub_date):
        return None
    return release


def _said(study_id: str, release: Release | None, known: Mapping[str, Reading]) -> str:
    if release is None:
        return _NOTHING
    reading = known.get(release.kf_id)
    if reading is None or reading.missing:
        return f"{release.version} counted nothing that is known"
    if reading.answer is None:
        return _FETCHING
    return f"{release.version}: {report.changed(reading.answer, study_id)}"
