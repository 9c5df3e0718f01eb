"""Options and arguments that several commands have, each with its one name, help and check."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Final

import typer

from lockstep.protocol.ids import Prefix, is_id

DEFAULT_SERVER: Final = "http://127.0.0.1:5000"
SERVER_VARIABLE: Final = "LOCKSTEP_SERVER"


class Until(StrEnum):
    """What a watcher waits for. Whatever it is, a release that has ended is not watched any longer."""

    REVIEW = "review"
    STAGED = "staged"
    PUBLISHED = "published"
    SETTLED = "settled"


def example(*lines: str) -> str:
    """Return examples as a command's help shows them at its end."""
    return "\n".join(("\b", "Example:", *(f"  {line}" for line in lines)))


def _id(prefix: Prefix, kind: str) -> Callable[[str], str]:
    def parse(given: str) -> str:
        if is_id(given, prefix):
            return given
        raise typer.BadParameter(f"{given!r} is not the id of a {kind}; {prefix}_ and eight characters would be.")

    return parse


Server = Annotated[
    str, typer.Option("--server", metavar="URL", envvar=SERVER_VARIABLE, help="The address of the coordinator.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the API's own JSON, one document.")]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Show so many at the most, newest first.")]
Everything = Annotated[bool, typer.Option("--all", help="Show all, however many.")]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        min=0.001,
        help="Stop watching after so long, with exit code 124. The release goes on.",
    ),
]
Watch = Annotated[bool, typer.Option("--watch", help="Stay, and show what happens.")]
ReleaseId = Annotated[str, typer.Argument(metavar="RE_…", parser=_id(Prefix.RELEASE, "release"))]
ReleaseFilter = Annotated[
    str | None,
    typer.Option("--release", metavar="RE_…", parser=_id(Prefix.RELEASE, "release"), help="Only of this release."),
]
ServiceId = Annotated[str, typer.Argument(metavar="TS_…", parser=_id(Prefix.TASK_SERVICE, "task service"))]
