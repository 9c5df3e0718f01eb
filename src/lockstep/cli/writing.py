"""A text from a person: given with the command, coming in, or written in their editor. What was written is not lost."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from lockstep.cli.documents import STDIN
from lockstep.cli.endings import Ending, Refused, WrongUse


def from_person(given: str | None, before: str) -> str:
    """Return what a person has to say.

    Args:
        given: with the command; `-` for what comes in, None to have an editor opened.
        before: what is in the editor when it opens.

    Raises:
        WrongUse: there is neither a text nor a person.
        Refused: the editor failed, or nothing was written.
    """
    if given is None and not sys.stdin.isatty():
        raise WrongUse("There is nobody here to write a text; give it with --text, or with --text - from a file.")
    text = _edited(before) if given is None else sys.stdin.read() if given == STDIN else given
    if not text.strip():
        raise Refused("Nothing was written, so nothing was changed.")
    return text.strip()


@contextmanager
def kept_if_refused(text: str) -> Iterator[None]:
    """Keep a text in a file when what is done with it is refused, so that it need not be written again.

    Raises:
        Ending: what went wrong, and where the text is.
    """
    try:
        yield
    except Ending as error:
        with NamedTemporaryFile("w", prefix="lockstep-", suffix=".md", encoding="utf-8", delete=False) as file:
            file.write(text)
        raise type(error)(f"{error} What you wrote is in {file.name}.") from error


def _edited(before: str) -> str:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with NamedTemporaryFile("w", prefix="lockstep-", suffix=".md", encoding="utf-8", delete=False) as file:
        file.write(before)
    path = Path(file.name)
    try:
        # The editor is named by the person who runs this, as a command with options.
        done = subprocess.run([*shlex.split(editor), str(path)], check=False)  # noqa: S603
        if done.returncode:
            raise Refused(f"The editor ({editor}) ended with {done.returncode}; nothing was changed.")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise Refused(f"The editor ({editor}) cannot be run ({error}); name another one in EDITOR.") from error
    finally:
        path.unlink(missing_ok=True)
