"""A release: everything that is known of it, on one page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request

from lockstep.coordinator.core.model import Task
from lockstep.coordinator.core.records import Event, ReleaseNote, ReleaseView
from lockstep.coordinator.core.versions import final_version
from lockstep.coordinator.services.discretion import seen
from lockstep.coordinator.services.reporting import Reading
from lockstep.coordinator.web.dashboard import history, report, timeline
from lockstep.coordinator.web.dashboard.names import study_names
from lockstep.coordinator.web.dashboard.page import Page, pages_of
from lockstep.coordinator.web.dashboard.progress import sentence, step_percent
from lockstep.coordinator.web.dashboard.steps import steps
from lockstep.coordinator.web.desk import desk_of, sight_of
from lockstep.protocol.states import SETTLED_RELEASES, ReleaseState, TaskState

EVENTS: Final = 5000
"""Events of one release that are read; a release with 700 services has as many when all goes well."""

REPORT_WAITS_S: Final = 0.06
_LOG_SHORT, _LOG_LONG = 40, 500
_FEW: Final = 12
_REPORTED: Final = frozenset(ReleaseState) - {ReleaseState.WAITING, ReleaseState.INITIALIZING}
_FIXED: Final = frozenset({ReleaseState.PUBLISHING, *SETTLED_RELEASES})
LIVE: Final = ("head", "steps", "partial", "lanes", "timeline", "report", "notes", "log")


async def show(request: Request) -> Page:
    """Show a release."""
    desk, now = desk_of(request), pages_of(request).now()
    sight = sight_of(request)
    view = await desk.store.release(request.path_params["release_id"], sight)
    release = view.release
    events = [seen(event, sight) for event in await desk.store.events_after(release.kf_id, 0, EVENTS)]
    moves = history.moves_of_release(events)
    lanes = history.lanes(release, view.tasks, events)
    reading = await read_report(request, view)
    gone = report.study_ids(reading.answer) if reading and reading.answer else []
    names = await study_names(request, [*release.studies, *gone])
    values = {
        "view": view,
        "release": release,
        "sentence": sentence(view),
        "percent": step_percent(view),
        "will_be": await will_be(request, view),
        "steps": steps(view, moves),
        "tasks": sorted(view.tasks, key=lambda task: not task.last_error),
        "tally": tally(view),
        "lanes": lanes,
        "line": timeline.draw(release, lanes, moves, now),
        "partial": partial(view),
        "deciders": history.deciders(release, events),
        "reading": reading,
        "report": report.shown(reading.answer, names) if reading and reading.answer else None,
        "studies": names,
        "notes": notes(view, names),
        "log": log(request, view, events),
        "settled": release.state in SETTLED_RELEASES,
        "may_be_published": release.state is ReleaseState.STAGED and release.publish_order is None,
        "may_be_canceled": release.state not in {*SETTLED_RELEASES, ReleaseState.CANCELING},
    }
    unfinished = reading is not None and reading.newer
    return Page("release.html", release.name, values, live=LIVE, unfinished=unfinished)


async def read_report(request: Request, view: ReleaseView, wait_s: float = REPORT_WAITS_S) -> Reading | None:
    """Return the report of a release as far as it can be had; None where there is none to be expected.

    A page waits for a moment only; an open one is looked at again when the report is there.
    """
    shelf, release = desk_of(request).reports, view.release
    if shelf is None or release.state not in _REPORTED:
        return None
    return await shelf.diff(release, wait_s=wait_s)


async def will_be(request: Request, view: ReleaseView) -> str:
    """Return the version under which a release would become public now; empty when that is decided."""
    if view.release.state in {*_FIXED, ReleaseState.CANCELING}:
        return ""
    numbers = await desk_of(request).store.numbers()
    return str(final_version(numbers.published, is_major=view.release.is_major))


def tally(view: ReleaseView) -> list[tuple[str, int]]:
    """Return how many tasks are in each state, where there are too many to be seen at once."""
    amounts = Counter(task.state for task in view.tasks)
    return [(state.value, amounts[state]) for state in TaskState if state in amounts] if len(view.tasks) > _FEW else []


def partial(view: ReleaseView) -> Mapping[str, Sequence[Task]] | None:
    """Return who has published and who has not, when a release stopped in between; None otherwise."""
    live = [task for task in view.tasks if task.state is TaskState.PUBLISHED]
    stopped = view.release.state in {ReleaseState.CANCELING, ReleaseState.CANCELED, ReleaseState.FAILED}
    if not stopped or not live:
        return None
    return {"live": live, "not_live": [task for task in view.tasks if task.state is not TaskState.PUBLISHED]}


def notes(view: ReleaseView, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the notes by what they are about: the release as a whole if there are any, then every study."""
    by_study: dict[str | None, list[ReleaseNote]] = {}
    for note in reversed(view.notes):
        by_study.setdefault(note.study_id, []).append(note)
    subjects: list[str | None] = [None, *view.release.studies] if None in by_study else [*view.release.studies]
    return [
        {
            "study_id": study_id,
            "name": names.get(study_id, study_id) if study_id else "The release as a whole",
            "notes": by_study.get(study_id, []),
        }
        for study_id in subjects
    ]


def log(request: Request, view: ReleaseView, events: Sequence[Event]) -> dict[str, Any]:
    """Return the part of the events that is asked for, newest first."""
    asked = request.query_params
    kind, task_id, words = asked.get("type", ""), asked.get("task", ""), asked.get("q", "").strip().lower()
    names = {task.service_id: task.service_name for task in view.tasks}
    found = [
        event
        for event in reversed(events)
        if (not kind or event.event_type.value == kind)
        and (not task_id or event.task_id == task_id)
        and words in f"{names.get(event.task_service_id or '', '')} {event.message}".lower()
    ]
    most = _LOG_LONG if asked.get("all") else _LOG_SHORT
    return {
        "events": found[:most],
        "count": len(found),
        "longer": len(found) > most,
        "longest": most == _LOG_LONG,
        "filtered": bool(kind or task_id or words),
        "kind": kind,
        "task_id": task_id,
        "words": asked.get("q", "").strip(),
        "names": names,
        "cut": len(events) == EVENTS,
    }
