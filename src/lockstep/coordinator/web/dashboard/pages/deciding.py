"""Publishing and canceling: what would happen is said first, on a page of its own that also opens as a dialog."""

from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from lockstep.coordinator.core.errors import Conflict
from lockstep.coordinator.core.records import ReleaseView
from lockstep.coordinator.web.callers import caller_of
from lockstep.coordinator.web.dashboard import report
from lockstep.coordinator.web.dashboard.forms import Form, read
from lockstep.coordinator.web.dashboard.names import study_names
from lockstep.coordinator.web.dashboard.page import Page, go, pages_of
from lockstep.coordinator.web.dashboard.pages.release import read_report, will_be
from lockstep.coordinator.web.desk import desk_of, sight_of
from lockstep.protocol.states import SETTLED_RELEASES, ReleaseState, TaskState

_WAITS_S = 1.0


async def ask_to_publish(request: Request) -> Page:
    """Show what publishing would do."""
    return await _publish_page(request, Form())


async def publish(request: Request) -> Response:
    """Publish, if everything that was flagged was acknowledged."""
    form = await read(request)
    release_id = request.path_params["release_id"]
    page = await _publish_page(request, form)
    if page.values["flags"] and form.one("seen") != page.values["seen"]:
        form.errors["seen"] = ["Look at what is flagged, and tick the box to say that you have."]
        return pages_of(request).answer(request, await _publish_page(request, form, status=400))
    try:
        await desk_of(request).commands.publish(release_id, caller_of(request))
    except Conflict as error:
        form.blame(error)
        return pages_of(request).answer(request, await _publish_page(request, form, status=409))
    return go(f"/releases/{release_id}", "publishing")


async def ask_to_cancel(request: Request) -> Page:
    """Show what canceling would do."""
    view = await _view(request)
    return _cancel_page(view)


async def cancel(request: Request) -> Response:
    """Cancel."""
    await read(request)
    release_id = request.path_params["release_id"]
    await desk_of(request).commands.cancel(release_id, caller_of(request))
    return go(f"/releases/{release_id}", "canceling")


async def _view(request: Request) -> ReleaseView:
    return await desk_of(request).store.release(request.path_params["release_id"], sight_of(request))


async def _publish_page(request: Request, form: Form, status: int = 200) -> Page:
    view = await _view(request)
    release = view.release
    reading = await read_report(request, view, wait_s=_WAITS_S)
    answer = reading.answer if reading else None
    names = await study_names(request, [*release.studies, *(report.study_ids(answer) if answer else [])])
    noted = {note.study_id for note in view.notes}
    flags = report.flags_of(answer, names)
    values = {
        "view": view,
        "release": release,
        "will_be": await will_be(request, view),
        "reading": reading,
        "flags": flags,
        "flagged": report.number_of(flags),
        "seen": sha256(repr(flags).encode()).hexdigest()[:16],
        "without_note": [names.get(kf_id, kf_id) for kf_id in release.studies if kf_id not in noted],
        "studies": names,
        "form": form,
        "may_be": release.state is ReleaseState.STAGED and release.publish_order is None,
    }
    return Page("publish.html", f"Publish {release.name}", values, status=status)


def _cancel_page(view: ReleaseView) -> Page:
    release = view.release
    values = {
        "release": release,
        "live": [task.service_name for task in view.tasks if task.state is TaskState.PUBLISHED],
        "others": [task.service_name for task in view.tasks if task.state is not TaskState.PUBLISHED],
        "may_be": release.state not in {*SETTLED_RELEASES, ReleaseState.CANCELING},
    }
    return Page("cancel.html", f"Cancel {release.name}", values)
