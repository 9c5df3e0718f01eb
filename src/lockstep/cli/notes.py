"""`lockstep note`: what is said of a release, or of one study in it, when it is published."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from lockstep.cli.conversation import talk
from lockstep.cli.endings import Refused
from lockstep.cli.lists import View, id_in, remove, show_list
from lockstep.cli.options import (
    AS_FITS,
    FROM_PROFILE,
    AsJson,
    Everything,
    Limit,
    NoteId,
    ReleaseFilter,
    ReleaseId,
    Search,
    Server,
    StudyFilter,
    example,
)
from lockstep.cli.tables import print_json, when
from lockstep.cli.writing import from_person, kept_if_refused

if TYPE_CHECKING:
    from lockstep.cli.client import Api, Json

app = typer.Typer(name="note", help="Write the notes that a release is published with.", no_args_is_help=True)

_NOTES: Final = View(
    ("ID", "RELEASE", "STUDY", "AUTHOR", "WRITTEN", "TEXT"),
    lambda note: (
        note["kf_id"],
        id_in(note["release"]),
        id_in(note["study"]),
        note["author"],
        when(note["created_at"]),
        note["description"],
    ),
)
_Text = Annotated[
    str | None,
    typer.Option(
        "--text", "-t", metavar="MARKDOWN", help="What it says; - for what comes in. Without it your editor opens."
    ),
]


@app.command("list", epilog=example("lockstep note list --release RE_8Y99QZJJ"))
def list_notes(
    *,
    release: ReleaseFilter = None,
    study: StudyFilter = None,
    search: Search = None,
    limit: Limit = 20,
    everything: Everything = False,
    server: Server = FROM_PROFILE,
    as_json: AsJson = AS_FITS,
) -> None:
    """List notes, the newest first."""
    show_list(
        server,
        "release-notes",
        _NOTES,
        limit=limit,
        everything=everything,
        as_json=as_json,
        release=release,
        study=study,
        search=search,
    )


@app.command(
    "add",
    epilog=example(
        "lockstep note add RE_8Y99QZJJ --text 'Twelve new participants.' --study SD_8Y99QZJJ",
        "lockstep note add RE_8Y99QZJJ --text - < notes.md",
    ),
)
def add_note(
    release_id: ReleaseId,
    *,
    text: _Text = None,
    study: Annotated[str | None, typer.Option("--study", metavar="SD_…", help="The study that it is about.")] = None,
    server: Server = FROM_PROFILE,
    as_json: AsJson = AS_FITS,
) -> None:
    """Write a note on a release, or on one study in it, in Markdown."""
    body = {"description": from_person(text, ""), "release": release_id, "study": study}
    _NOTES.show_one(talk(server, lambda coordinator: coordinator.post("release-notes", body)), as_json=as_json)


@app.command("show", epilog=example("lockstep note show RN_8Y99QZJJ --lines"))
def show_note(note_id: NoteId, *, server: Server = FROM_PROFILE, as_json: AsJson = AS_FITS) -> None:
    """Show what a note says."""
    note = talk(server, lambda coordinator: _read(coordinator, note_id))
    if as_json:
        print_json(note)
    else:
        print("".join(sign for sign in note["description"] if sign.isprintable() or sign == "\n"))


@app.command(
    "edit",
    epilog=example("lockstep note edit RN_8Y99QZJJ", "lockstep note edit RN_8Y99QZJJ --text 'Thirteen participants.'"),
)
def edit_note(note_id: NoteId, *, text: _Text = None, server: Server = FROM_PROFILE, as_json: AsJson = AS_FITS) -> None:
    """Change what a note says, in your editor ($VISUAL or $EDITOR) or with --text.

    A note that somebody else has changed in the meantime is left as it is, and what you wrote is kept in a file.
    """

    async def read(coordinator: "Api") -> "tuple[Json, str]":
        return await _read(coordinator, note_id), coordinator.tag

    note, seen = talk(server, read)
    written = from_person(text, note["description"])
    if written == note["description"]:
        raise Refused("The note says the same as before; nothing was changed.")
    what = f"release note {note_id}"
    changes = {"description": written}

    async def change(coordinator: "Api") -> "Json":
        return await coordinator.patch(f"release-notes/{note_id}", changes, what=what, seen=seen)

    with kept_if_refused(written):
        _NOTES.show_one(talk(server, change), as_json=as_json)


@app.command("remove", epilog=example("lockstep note remove RN_8Y99QZJJ"))
def remove_note(note_id: NoteId, *, server: Server = FROM_PROFILE, as_json: AsJson = AS_FITS) -> None:
    """Take a note away."""
    remove(server, f"release-notes/{note_id}", f"release note {note_id}", as_json=as_json)


async def _read(coordinator: "Api", note_id: str) -> "Json":
    return await coordinator.get(f"release-notes/{note_id}", what=f"release note {note_id}")
