"""`lockstep event`: what happened."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from lockstep.cli.conversation import talk
from lockstep.cli.options import DEFAULT_SERVER, AsJson, Everything, Limit, ReleaseFilter, Server, example
from lockstep.cli.tables import print_json, print_rest, print_table

app = typer.Typer(name="event", help="Read the log of what happened to releases.", no_args_is_help=True)

_HEADINGS: Final = ("TIME", "TYPE", "RELEASE", "MESSAGE")


class EventKind(StrEnum):
    """How bad an event is."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@app.command(
    "list", epilog=example("lockstep event list --release RE_8Y99QZJJ", "lockstep event list --type error --all")
)
def list_events(
    *,
    release: ReleaseFilter = None,
    kind: Annotated[EventKind | None, typer.Option("--type", help="Only of this type.")] = None,
    limit: Limit = 20,
    everything: Everything = False,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """List events, the newest first: every change of state, and every failure with its cause."""
    most = None if everything else limit
    filters = {"release": release or "", "event_type": kind or ""}
    page = talk(server, lambda coordinator: coordinator.rows("events", most=most, **filters))
    if as_json:
        print_json(page)
        return
    rows = [
        (
            event["created_at"],
            event["event_type"],
            (event["release"] or "").rpartition("/")[2],
            event["message"],
        )
        for event in page["results"]
    ]
    print_table(_HEADINGS, rows)
    print_rest(page)
