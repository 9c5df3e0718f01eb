"""What people write about releases: notes, and events of what happened elsewhere.

As with the other commands, each asks whether its caller may, writes down who it was, makes one change, and tells
whoever watches the release.
"""

from dataclasses import replace

from lockstep.coordinator.core.callers import Caller, Kind
from lockstep.coordinator.core.errors import Conflict
from lockstep.coordinator.core.records import Event, NewEvent, NewNote, ReleaseNote
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.services.commands import Commands
from lockstep.coordinator.services.inputs import NoteEdit
from lockstep.protocol.states import SETTLED_RELEASES


async def create_note(commands: Commands, new: NewNote, caller: Caller) -> ReleaseNote:
    """Write a note on a release, or on one study in it.

    Raises:
        Invalid: there is no such release, or it has no such study.
    """
    commands.access.check(caller, Act.CREATE_NOTE)
    if caller.kind is not Kind.LOCAL:
        new = replace(new, author=caller.name)
    note = await commands.store.add_note(new, commands.clock.now())
    await commands.announcer.announce(note.release_id)
    return note


async def edit_note(
    commands: Commands, note_id: str, edit: NoteEdit, caller: Caller, seen: ReleaseNote | None = None
) -> ReleaseNote:
    """Change what a note says.

    Raises:
        NotFound: there is no such note.
        Conflict: it was to be moved to another release or study.
        Changed: it is no longer as the caller saw it.
    """
    commands.access.check(caller, Act.EDIT_NOTE)
    note = await commands.store.note(note_id)
    given = edit.model_dump(exclude_unset=True)
    if given.get("release") not in {None, note.release_id} or given.get("study", note.study_id) != note.study_id:
        raise Conflict(f"Note {note_id} stays on the release and the study that it was written for.")
    if "description" not in given:
        return note
    edited = await commands.store.edit_note(note_id, edit.description, seen)
    await commands.announcer.announce(edited.release_id)
    return edited


async def remove_note(commands: Commands, note_id: str, caller: Caller, seen: ReleaseNote | None = None) -> None:
    """Take a note away.

    Raises:
        NotFound: there is no such note.
        Changed: it is no longer as the caller saw it.
    """
    commands.access.check(caller, Act.REMOVE_NOTE)
    note = await commands.store.delete_note(note_id, seen)
    await commands.announcer.announce(note.release_id)


async def write_event(commands: Commands, new: NewEvent, caller: Caller) -> Event:
    """Write down what happened elsewhere. Events are never changed: what happened has happened.

    A service may write about its own tasks; who has nothing but a callback token, until the task's release has ended.

    Raises:
        Invalid: what it is about is not there, or does not belong together.
    """
    own = new.task_id is not None and await commands.is_own(caller, new.task_id)
    if own and caller.kind is Kind.TASK:
        own = not await _has_ended(commands, caller.name)
    commands.access.check(caller, Act.WRITE_EVENT, own=own)
    event = await commands.store.add_event(replace(new, actor=caller.name), commands.clock.now())
    if event.release_id is not None:
        await commands.announcer.announce(event.release_id)
    return event


async def _has_ended(commands: Commands, task_id: str) -> bool:
    view = await commands.store.task(task_id)
    return (await commands.store.release(view.release_id)).release.state in SETTLED_RELEASES
