"""Files that say what is wanted: YAML, of which JSON is a part, or TOML; and what is wrong with one, in a sentence.

Every field has to be known: a field that is misspelt would otherwise be left out without a word.
"""

import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lockstep.cli.endings import WrongUse

STDIN: Final = "-"

Fields = Mapping[str, type]
"""The fields that a table may have, and what each must be."""

_WORDS: Final[Mapping[type, str]] = {str: "a text", bool: "true or false", list: "a list", dict: "a table"}


def read_document(path: Path) -> Any:  # noqa: ANN401 - whatever is in the file
    """Return what a file holds; `-` is what comes in.

    Raises:
        WrongUse: it cannot be read.
    """
    try:
        text = sys.stdin.read() if str(path) == STDIN else path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise WrongUse(f"{path} cannot be read ({getattr(error, 'strerror', None) or error}).") from error
    if path.suffix == ".toml":
        try:
            return tomllib.loads(text)
        except ValueError as error:
            raise WrongUse(f"{path} is no TOML: {error}.") from error
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise WrongUse(f"{path} is no YAML: {' '.join(str(error).split())}.") from error


def checked(given: object, known: Fields, where: str, required: Sequence[str] = ()) -> dict[str, Any]:
    """Return a table whose fields are known and of the right type.

    Args:
        given: what stands there.
        known: the fields that may stand there.
        where: what it is, for sentences about it.
        required: the fields that must.

    Raises:
        WrongUse: it is something else.
    """
    if not isinstance(given, dict):
        raise WrongUse(f"{where} has to be a table with {', '.join(known)}, and not {_shown(given)}.")
    if strange := [str(name) for name in given if name not in known]:
        raise WrongUse(f"{where} has {', '.join(strange)}, which is not known; known are {', '.join(known)}.")
    if missing := [name for name in required if not given.get(name)]:
        raise WrongUse(f"{where} needs {' and '.join(missing)}.")
    for name, value in given.items():
        if type(value) is not known[name]:
            raise WrongUse(f"{where}: {name} has to be {_WORDS[known[name]]}, and not {_shown(value)}.")
    return dict(given)


def texts(given: Sequence[object], where: str) -> list[str]:
    """Return a list in which every entry is a text.

    Raises:
        WrongUse: an entry is something else.
    """
    for value in given:
        if not isinstance(value, str):
            raise WrongUse(f"{where} has to hold texts, and not {_shown(value)}; quotes make one of it.")
    return [str(value) for value in given]


def _shown(value: object) -> str:
    longest = 60
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
