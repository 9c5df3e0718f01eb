"""Options and arguments that several commands have, each with its one name, help and check."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from lockstep.cli.completion import ids_of
from lockstep.cli.profiles import DEFAULT_SERVER, SERVER_VARIABLE, server_address
from lockstep.cli.tables import wants_json
from lockstep.protocol.ids import Prefix, is_id

FROM_PROFILE: Final = ""
"""The address of the coordinator when no option and no variable says it."""

AS_FITS: Final[Any] = None
"""The form of what is printed when nobody asked for one: what suits whoever reads it."""


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
    str,
    typer.Option(
        "--server",
        metavar="URL",
        envvar=SERVER_VARIABLE,
        callback=server_address,
        show_default=False,
        help=f"The address of the coordinator; that of the profile, or {DEFAULT_SERVER}, without it.",
    ),
]
_FORMS: Final = "--json/--lines"
AsJson = Annotated[
    bool,
    typer.Option(
        _FORMS,
        callback=wants_json,
        show_default=False,
        help="Print the API's own JSON, one document, or lines with tabs between the columns. Without either: a table "
        "at a terminal, JSON elsewhere.",
    ),
]
AsJsonOrLog = Annotated[
    bool | None,
    typer.Option(
        _FORMS,
        show_default=False,
        help="As with other commands, but what is watched is told in lines unless --json asks for the document alone.",
    ),
]
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
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether it is meant.")]


def _argument(prefix: Prefix, kind: str, collection: str) -> Any:  # noqa: ANN401 - Typer's own
    return typer.Argument(metavar=f"{prefix}_…", parser=_id(prefix, kind), autocompletion=ids_of(collection))


def _filter(prefix: Prefix, kind: str, collection: str, meaning: str = "Only of this") -> Any:  # noqa: ANN401 - Typer's own
    return typer.Option(
        f"--{kind.rpartition(' ')[2]}",
        metavar=f"{prefix}_…",
        parser=_id(prefix, kind),
        autocompletion=ids_of(collection),
        help=f"{meaning} {kind}.",
    )


ReleaseId = Annotated[str, _argument(Prefix.RELEASE, "release", "releases")]
ServiceId = Annotated[str, _argument(Prefix.TASK_SERVICE, "task service", "task-services")]
TaskId = Annotated[str, _argument(Prefix.TASK, "task", "tasks")]
NoteId = Annotated[str, _argument(Prefix.RELEASE_NOTE, "release note", "release-notes")]
WebhookId = Annotated[str, _argument(Prefix.WEBHOOK, "webhook", "webhooks")]
StudyId = Annotated[str, typer.Argument(metavar="SD_…", autocompletion=ids_of("studies"))]
ReleaseFilter = Annotated[str | None, _filter(Prefix.RELEASE, "release", "releases")]
ServiceFilter = Annotated[str | None, _filter(Prefix.TASK_SERVICE, "task service", "task-services")]
TaskFilter = Annotated[str | None, _filter(Prefix.TASK, "task", "tasks")]
StudyFilter = Annotated[
    str | None,
    typer.Option("--study", metavar="SD_…", autocompletion=ids_of("studies"), help="Only of this study."),
]
AboutRelease = Annotated[str | None, _filter(Prefix.RELEASE, "release", "releases", "It is about this")]
AboutService = Annotated[str | None, _filter(Prefix.TASK_SERVICE, "task service", "task-services", "It is about this")]
AboutTask = Annotated[str | None, _filter(Prefix.TASK, "task", "tasks", "It is about this")]
Before = Annotated[
    str | None, typer.Option("--before", metavar="TIME", help="Only from before this time, such as 2026-01-31.")
]
After = Annotated[str | None, typer.Option("--after", metavar="TIME", help="Only from after this time.")]
Search = Annotated[
    str | None, typer.Option("--search", metavar="TEXT", help="Only what contains this text, in any case of letters.")
]
