"""What people write about a release: its description and tags, and the notes on its studies.

A form carries a digest of what it showed. When that is not what is stored any more, somebody else has written in the
meantime: nothing is overwritten, and whoever was late sees both texts.
"""

from hashlib import sha256
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from lockstep.coordinator.core.errors import Changed, Conflict, Invalid, NotFound
from lockstep.coordinator.core.model import Release
from lockstep.coordinator.core.records import NewNote, ReleaseNote, ReleaseView
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.services.inputs import NoteEdit, NoteInput, ReleaseEdit, check
from lockstep.coordinator.services.writing import create_note as create
from lockstep.coordinator.services.writing import edit_note as edit
from lockstep.coordinator.services.writing import remove_note as remove
from lockstep.coordinator.web.callers import caller_of
from lockstep.coordinator.web.dashboard.forms import Form, read
from lockstep.coordinator.web.dashboard.names import study_names
from lockstep.coordinator.web.dashboard.page import Page, go, pages_of
from lockstep.coordinator.web.dashboard.pages.plan import tags_of
from lockstep.coordinator.web.desk import desk_of, sight_of

_LATE: Final = (
    "Somebody else has changed this since you opened the form. What is stored now stands below; "
    "send yours again to replace it."
)


async def edit_release(request: Request) -> Page:
    """Show the form of a release."""
    desk_of(request).access.check(caller_of(request), Act.EDIT_RELEASE)
    return _release_page(Form(), (await _view(request)).release)


async def save_release(request: Request) -> Response:
    """Change what is said of a release."""
    form = await read(request)
    desk = desk_of(request)
    desk.access.check(caller_of(request), Act.EDIT_RELEASE)
    release = (await _view(request)).release
    fields: dict[str, Any] = {
        "name": form.one("name"),
        "description": form.text("description"),
        "tags": tags_of(form.one("tags")),
    }
    if form.has("is_major"):
        fields["is_major"] = form.one("is_major") == "yes"
    try:
        given = check(ReleaseEdit, fields, strict=False)
        _check_same(form, release)
        await desk.commands.edit_release(release.kf_id, given, caller_of(request), release)
    except (Invalid, Conflict, Changed) as error:
        form.blame(Conflict(_LATE) if isinstance(error, Changed) else error)
        return pages_of(request).answer(request, _release_page(form, release, status=_status(error)))
    return go(f"/releases/{release.kf_id}", "saved")


async def create_note(request: Request) -> Response:
    """Write a note."""
    form = await read(request)
    view = await _view(request)
    release_id, caller = view.release.kf_id, caller_of(request)
    study_id = form.one("study") or None
    try:
        fields = {"description": form.text("description"), "release": release_id, "author": caller.name}
        given = check(NoteInput, fields, strict=False)
        await create(desk_of(request).commands, NewNote(given.description, release_id, study_id, caller.name), caller)
    except Invalid as error:
        form.blame(error)
        return pages_of(request).answer(request, await _note_page(request, form, view, study_id, status=400))
    return go(f"/releases/{release_id}", f"noted#note-{study_id or 'release'}")


async def edit_note(request: Request) -> Page:
    """Show the form of a note."""
    view, note = await _note(request)
    desk_of(request).access.check(caller_of(request), Act.EDIT_NOTE)
    return await _note_page(request, Form(), view, note.study_id, note)


async def save_note(request: Request) -> Response:
    """Change a note, or take it away."""
    form = await read(request)
    view, note = await _note(request)
    commands, caller, release_id = desk_of(request).commands, caller_of(request), view.release.kf_id
    try:
        _check_same(form, note)
        if form.one("step") == "remove":
            await remove(commands, note.kf_id, caller, note)
            return go(f"/releases/{release_id}", "removed")
        given = check(NoteEdit, {"description": form.text("description")}, strict=False)
        await edit(commands, note.kf_id, given, caller, note)
    except (Invalid, Conflict, Changed) as error:
        form.blame(Conflict(_LATE) if isinstance(error, Changed) else error)
        page = await _note_page(request, form, view, note.study_id, note, status=_status(error))
        return pages_of(request).answer(request, page)
    return go(f"/releases/{release_id}", f"noted#note-{note.study_id or 'release'}")


async def _view(request: Request) -> ReleaseView:
    return await desk_of(request).store.release(request.path_params["release_id"], sight_of(request))


async def _note(request: Request) -> tuple[ReleaseView, ReleaseNote]:
    view = await _view(request)
    note_id = request.path_params["note_id"]
    for note in view.notes:
        if note.kf_id == note_id:
            return view, note
    raise NotFound(f"There is no note {note_id} on this release; it may have been removed.")


def _check_same(form: Form, stored: Release | ReleaseNote) -> None:
    if form.one("was") != _digest(stored):
        raise Conflict(_LATE)


def _digest(shown: Release | ReleaseNote) -> str:
    words = (
        shown.description
        if isinstance(shown, ReleaseNote)
        else repr((shown.name, shown.description, shown.tags, shown.is_major))
    )
    return sha256(words.encode()).hexdigest()


def _status(error: Exception) -> int:
    return 400 if isinstance(error, Invalid) else 409


def _release_page(form: Form, release: Release, status: int = 200) -> Page:
    values = {"form": form, "release": release, "was": _digest(release), "late": _LATE in form.errors.get("", ())}
    return Page("release_form.html", f"Edit {release.name}", values, status=status)


async def _note_page(
    request: Request,
    form: Form,
    view: ReleaseView,
    study_id: str | None,
    note: ReleaseNote | None = None,
    *,
    status: int = 200,
) -> Page:
    names = await study_names(request, [study_id] if study_id else [])
    values = {
        "form": form,
        "release": view.release,
        "study_id": study_id,
        "subject": names.get(study_id, study_id) if study_id else "the release as a whole",
        "note": note,
        "was": _digest(note) if note else "",
        "late": _LATE in form.errors.get("", ()),
    }
    return Page("note.html", "Note", values, status=status)
