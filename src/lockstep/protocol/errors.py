"""What the protocol raises. Each error's text is a sentence that says what was wrong and what would be right."""

import reprlib
from typing import Final

_SHOWN_CHARS: Final = 60


class ProtocolError(Exception):
    """Somebody broke a rule of the wire."""


class BadMessage(ProtocolError):
    """The other side sent something that is no message of this protocol."""


class IllegalMove(ProtocolError):
    """A state was to change in a way that its table does not have."""


def shown(value: object) -> str:
    """Return a value from outside as a sentence can show it: short, however long or deeply nested it is."""
    brief = reprlib.Repr()
    brief.maxlevel, brief.maxstring = 2, _SHOWN_CHARS
    text = brief.repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 3]}..."
