"""What has been published: the release notes for those who work here, and the public page for everybody."""

from collections.abc import Sequence
from typing import Any, Final

from starlette.requests import Request

from lockstep.coordinator.core.callers import PUBLIC
from lockstep.coordinator.core.errors import NotFound
from lockstep.coordinator.core.records import PageOf, ReleaseFilter, ReleaseView
from lockstep.coordinator.web.dashboard import report
from lockstep.coordinator.web.dashboard.listing import Asked, Listed
from lockstep.coordinator.web.dashboard.names import study_names
from lockstep.coordinator.web.dashboard.page import Page
from lockstep.coordinator.web.dashboard.pages.release import notes, read_report
from lockstep.coordinator.web.dashboard.words import date
from lockstep.coordinator.web.desk import desk_of, sight_of
from lockstep.protocol.states import ReleaseState

_ROWS: Final = 10
_PAST: Final = 50
_PUBLISHED: Final = ReleaseFilter((ReleaseState.PUBLISHED,))


async def show_notes(request: Request) -> Page:
    """Show published releases with their notes."""
    asked = Asked.of(request, (), first="-published_at", size=_ROWS)
    page = await desk_of(request).store.releases(asked.page_of, _PUBLISHED, sight_of(request))
    names = await study_names(request, [study for view in page.rows for study in view.release.studies])
    rows = [{"view": view, "release": view.release, "notes": notes(view, names)} for view in page.rows]
    values = {"list": Listed.of(page, asked, rows), "text": as_markdown(rows)}
    return Page("release_notes.html", "Release notes", values)


def as_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Return releases with their notes as Markdown, for copying elsewhere."""
    parts = []
    for row in rows:
        release = row["release"]
        parts.append(f"## {release.version}: {release.name}")
        parts.append(f"Published on {date(release.published_at)} ({release.kf_id}).")
        parts.append(release.description)
        for subject in row["notes"]:
            if subject["notes"]:
                parts.append(f"### {subject['name']}")
                parts.extend(note.description for note in subject["notes"])
    return "\n\n".join(part for part in parts if part) + "\n"


async def show_public(request: Request) -> Page:
    """Show what is public now, or one of the releases that were."""
    store = desk_of(request).store
    release_id = request.path_params.get("release_id")
    past = (await store.releases(PageOf(_PAST, order="-published_at"), _PUBLISHED, PUBLIC)).rows
    view: ReleaseView | None = past[0] if past else None
    if release_id:
        view = await store.release(release_id, PUBLIC)
        if view.release.state is not ReleaseState.PUBLISHED:
            raise NotFound(f"There is no public release {release_id}.")
    reading = await read_report(request, view) if view else None
    answer = reading.answer if reading else None
    ids = [*(view.release.studies if view else ()), *(report.study_ids(answer) if answer else ())]
    names = await study_names(request, ids)
    values = {
        "view": view,
        "release": view.release if view else None,
        "current": bool(past) and view is past[0],
        "past": past,
        "reading": reading,
        "report": report.shown(answer, names) if answer else None,
        "studies": names,
        "notes": notes(view, names) if view else [],
    }
    title = f"Release {view.release.version}" if view else "Public releases"
    return Page("public.html", title, values)
