"""How a command can end other than well: what is said on stderr, and the exit code.

Whatever goes wrong in a command is raised as one of these, with a sentence that says what was wrong and what to do.
`main` prints the sentence and exits with the code; no command prints an error or exits by itself.
"""

from typing import ClassVar


class Ending(Exception):
    """A command could not do what it was asked to do."""

    code: ClassVar[int] = 1


class Refused(Ending):
    """The answer was no, or what was watched failed."""


class WrongUse(Ending):
    """The command was given something that it cannot work with."""

    code = 2


class Unreachable(Ending):
    """No coordinator answers."""

    code = 3


class TimedOut(Ending):
    """The time given with `--timeout` has passed."""

    code = 124


class Interrupted(Ending):
    """Ctrl-C, in a command that was waiting for something."""

    code = 130
