"""`/release-notes`: what is said of a release, or of one study in it; write, list, show, change, remove."""

from typing import Annotated, Final

from fastapi import Query, Request
from pydantic import Field
from starlette.responses import Response

from lockstep.coordinator.core.records import NOTE_ORDERS, NewNote, NoteFilter, ReleaseNote
from lockstep.coordinator.services import queries, writing
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.services.inputs import NoteEdit, NoteInput, NotePatch
from lockstep.coordinator.web.answers import JsonAnswer, base_url
from lockstep.coordinator.web.bodies import read
from lockstep.coordinator.web.callers import caller_of
from lockstep.coordinator.web.conditional import check_seen, expects, one
from lockstep.coordinator.web.desk import desk_of, sight_of
from lockstep.coordinator.web.operations import Operation
from lockstep.coordinator.web.rest.pages import (
    ORDERING,
    After,
    Before,
    NoteIdFilter,
    NotePage,
    PageQuery,
    ReleaseIdFilter,
    Words,
    orders,
    page_answer,
)
from lockstep.coordinator.web.rest.shapes import NoteShape, note_shape


class NoteQuery(PageQuery):
    """Which release notes."""

    release: Annotated[ReleaseIdFilter, Field(description="Only notes on this release.")] = ""
    study: Annotated[Words, Field(description="Only notes on this study.")] = ""
    author: Annotated[Words, Field(description="Only notes of this author.")] = ""
    kf_id: Annotated[NoteIdFilter, Field(description="Only this note.")] = ""
    search: Annotated[Words, Field(description="Only notes that contain this text, in any case of letters.")] = ""
    created_before: Before = None
    created_after: After = None
    ordering: Annotated[str, orders(NOTE_ORDERS), ORDERING] = ""

    def which(self) -> NoteFilter:
        """Return the filter as the store knows it."""
        return NoteFilter(
            self.release or None,
            self.study or None,
            self.author or None,
            self.kf_id or None,
            self.search or None,
            self.created_before,
            self.created_after,
        )


async def list_release_notes(request: Request, query: Annotated[NoteQuery, Query()]) -> Response:
    """List release notes, newest first."""
    page = await queries.notes(desk_of(request).store, query.page_of(), query.which(), sight_of(request))
    return page_answer(request, query, page, note_shape)


async def create_release_note(request: Request) -> Response:
    """Write a note on a release, or on one study in it."""
    given = await read(request, NoteInput)
    base = base_url(request)
    new = NewNote(given.description, given.release, given.study, given.author)
    note = await writing.create_note(desk_of(request).commands, new, caller_of(request))
    return JsonAnswer(note_shape(note, base), 201, {"Location": f"{base}/release-notes/{note.kf_id}"})


async def show_release_note(request: Request, note_id: str) -> Response:
    """Show a release note."""
    note = await desk_of(request).store.note(note_id, sight_of(request))
    return one(request, note_shape(note, base_url(request)))


async def edit_release_note(request: Request, note_id: str) -> Response:
    """Change what a note says. The release and the study that it is on stay."""
    return await _edit(request, note_id, await read(request, NotePatch))


async def replace_release_note(request: Request, note_id: str) -> Response:
    """Change a note by sending all of it."""
    return await _edit(request, note_id, await read(request, NoteEdit))


async def remove_release_note(request: Request, note_id: str) -> Response:
    """Take a note away."""
    seen = await _seen(request, note_id)
    await writing.remove_note(desk_of(request).commands, note_id, caller_of(request), seen)
    return Response(status_code=204)


async def _edit(request: Request, note_id: str, edit: NoteEdit) -> Response:
    base = base_url(request)
    seen = await _seen(request, note_id)
    note = await writing.edit_note(desk_of(request).commands, note_id, edit, caller_of(request), seen)
    return one(request, note_shape(note, base))


async def _seen(request: Request, note_id: str) -> ReleaseNote | None:
    """Return what the caller has seen, if it asks that only this be changed; None if it does not ask."""
    if not expects(request):
        return None
    note = await desk_of(request).store.note(note_id, sight_of(request))
    check_seen(request, note_shape(note, base_url(request)))
    return note


_ALL: Final = "/release-notes"
_ONE: Final = "/release-notes/{note_id}"

OPERATIONS: Final = (
    Operation(method="GET", path=_ALL, act=Act.SEE_PUBLISHED, call=list_release_notes, shape=NotePage),
    Operation(
        method="POST",
        path=_ALL,
        act=Act.CREATE_NOTE,
        call=create_release_note,
        status=201,
        shape=NoteShape,
        body=NoteInput,
    ),
    Operation(
        method="GET",
        path=_ONE,
        act=Act.SEE_PUBLISHED,
        call=show_release_note,
        shape=NoteShape,
        also=(404,),
        conditional=True,
    ),
    Operation(
        method="PUT",
        path=_ONE,
        act=Act.EDIT_NOTE,
        call=replace_release_note,
        shape=NoteShape,
        also=(404, 409),
        body=NoteEdit,
        conditional=True,
    ),
    Operation(
        method="PATCH",
        path=_ONE,
        act=Act.EDIT_NOTE,
        call=edit_release_note,
        shape=NoteShape,
        also=(404, 409),
        body=NotePatch,
        conditional=True,
    ),
    Operation(
        method="DELETE",
        path=_ONE,
        act=Act.REMOVE_NOTE,
        call=remove_release_note,
        status=204,
        also=(404,),
        conditional=True,
    ),
)
