"""Files that this program keeps for one person: nobody else may read them, and they are there whole or not at all."""

import os
import stat
from pathlib import Path

from lockstep.cli.endings import Refused


def keep(path: Path, text: str) -> None:
    """Put a text into a file in place of what was there, with mode 0600.

    Raises:
        Refused: it cannot be written.
    """
    from tempfile import mkstemp

    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made with mode 0600, so that there is no moment at which somebody else could open it.
        number, draft = mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(text)
            Path(draft).replace(path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Refused(f"{path} cannot be written ({error.strerror}).") from error


def read_secret(path: Path) -> str:
    """Return what is in a file that holds secrets; "" when there is none.

    Raises:
        Refused: it cannot be read, or others can read it too.
    """
    try:
        with path.open(encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise Refused(f"{path} holds tokens and can be read by others; `chmod 600 {path}` ends that.")
            return file.read()
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise Refused(f"{path} cannot be read ({error}).") from error
