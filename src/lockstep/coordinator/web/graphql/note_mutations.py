"""What can be done to release notes."""

from typing import cast

import strawberry

from lockstep.coordinator.core.errors import Invalid, NotFound
from lockstep.coordinator.core.graph import Entity
from lockstep.coordinator.core.records import NewNote
from lockstep.coordinator.services import writing
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.services.inputs import NoteEdit, check
from lockstep.coordinator.web.graphql.fields import Info, show
from lockstep.coordinator.web.graphql.given import key
from lockstep.coordinator.web.graphql.mistakes import Refused
from lockstep.coordinator.web.graphql.nodes import ReleaseNoteNode


@strawberry.input(description="A note to be written on a study in a release, in Markdown.")
class ReleaseNoteInput:
    """A note to be written."""

    description: str
    study: strawberry.ID
    release: strawberry.ID


@strawberry.input(description="What a note is to say from now on.")
class UpdateReleaseNoteInput:
    """A change to a note."""

    description: str


@strawberry.type
class CreateReleaseNoteMutation:
    """What came of writing a note."""

    release_note: ReleaseNoteNode | None


@strawberry.type
class UpdateReleaseNoteMutation:
    """What came of changing a note."""

    release_note: ReleaseNoteNode | None


@strawberry.type
class RemoveReleaseNoteMutation:
    """What came of taking a note away."""

    success: bool | None


async def create_release_note(info: Info, input: ReleaseNoteInput) -> CreateReleaseNoteMutation:  # noqa: A002 - what clients call it
    """Write a note on a study in a release."""
    visit = info.context
    visit.must(Act.CREATE_NOTE)
    description = check(NoteEdit, {"description": input.description}).description
    new = NewNote(description, key(input.release), key(input.study), visit.caller.name)
    try:
        note = await visit.ask(writing.create_note(visit.desk.commands, new, visit.caller))
    except Invalid as error:
        raise Refused(" ".join(sentence for sentences in error.fields.values() for sentence in sentences)) from error
    return CreateReleaseNoteMutation(release_note=await _note(info, note.kf_id))


async def update_release_note(
    info: Info,
    release_note: strawberry.ID,
    input: UpdateReleaseNoteInput,  # noqa: A002
) -> UpdateReleaseNoteMutation:
    """Change what a note says."""
    visit, note_id = info.context, key(release_note)
    visit.must(Act.EDIT_NOTE)
    edit = check(NoteEdit, {"description": input.description})
    try:
        await visit.ask(writing.edit_note(visit.desk.commands, note_id, edit, visit.caller))
    except NotFound:
        raise Refused(f"Release note {note_id} does not exist") from None
    return UpdateReleaseNoteMutation(release_note=await _note(info, note_id))


async def remove_release_note(info: Info, release_note: strawberry.ID) -> RemoveReleaseNoteMutation:
    """Take a note away."""
    visit, note_id = info.context, key(release_note)
    visit.must(Act.REMOVE_NOTE)
    try:
        await visit.ask(writing.remove_note(visit.desk.commands, note_id, visit.caller))
    except NotFound:
        raise Refused(f"Release note {note_id} does not exist") from None
    return RemoveReleaseNoteMutation(success=True)


async def _note(info: Info, note_id: str) -> ReleaseNoteNode | None:
    found = await info.context.ask(info.context.desk.store.look_up(Entity.NOTE, [note_id], info.context.sight))
    return cast("ReleaseNoteNode", show(found[note_id], info.context)) if note_id in found else None
