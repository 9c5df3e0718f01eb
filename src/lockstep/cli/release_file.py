"""A release as a file says it, `release.yaml`: its name, its studies, what is said of it, and its notes.

Options given with the command come before what the file says. The notes are written right after the release is there.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lockstep.cli.documents import Fields, checked, read_document, texts
from lockstep.cli.endings import Ending, WrongUse

if TYPE_CHECKING:
    from lockstep.cli.client import Api

Json = dict[str, Any]

_FIELDS: Final[Fields] = {
    "name": str,
    "description": str,
    "studies": list,
    "tags": list,
    "major": bool,
    "notes": list,
}
_NOTE: Final[Fields] = {"text": str, "study": str}


def read_release(path: Path | None, **options: str | bool | Sequence[str] | None) -> Json:
    """Return the release that is wanted: what the options say, and the file for what they leave out.

    Raises:
        WrongUse: the file cannot be read, or there is no name or no study.
    """
    wanted = _from_file(path) if path is not None else {}
    wanted |= {name: value for name, value in options.items() if value not in (None, [])}
    if missing := [option for name, option in (("name", "--name"), ("studies", "--study")) if not wanted.get(name)]:
        raise WrongUse(f"A release needs {' and '.join(missing)}, or a file that says it (--from-file).")
    return wanted


async def begin(coordinator: "Api", wanted: Json, key: str) -> Json:
    """Start a release and write its notes; return it with them.

    Args:
        coordinator: whom to ask.
        wanted: from `read_release`.
        key: with the same one, it is started once only; empty for none.

    Raises:
        Ending: it was refused, or one of its notes was; the release is there all the same then.
    """
    body: Json = {name: wanted[name] for name in ("name", "description", "studies", "tags") if name in wanted}
    release = await coordinator.post("releases", {**body, "is_major": wanted.get("major", False)}, key=key)
    if not wanted.get("notes") or release["notes"]:
        return release
    release_id = release["kf_id"]
    for number, note in enumerate(wanted["notes"], 1):
        said = {"description": note["text"], "release": release_id, "study": note.get("study")}
        try:
            await coordinator.post("release-notes", said)
        except Ending as error:
            raise type(error)(f"Release {release_id} is started, but its note {number} was refused. {error}") from error
    return await coordinator.get(f"releases/{release_id}")


def _from_file(path: Path) -> Json:
    wanted = checked(read_document(path), _FIELDS, str(path))
    for name in ("studies", "tags"):
        if name in wanted:
            wanted[name] = texts(wanted[name], f"{path}: {name}")
    if "notes" in wanted:
        notes = enumerate(wanted["notes"], 1)
        wanted["notes"] = [checked(note, _NOTE, f"{path}: note {number}", ["text"]) for number, note in notes]
    return wanted
