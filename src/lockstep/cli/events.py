"""`lockstep event`: what happened, and what people want to have remembered beside it."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from lockstep.cli.conversation import talk
from lockstep.cli.lists import View, id_in, show_list
from lockstep.cli.options import (
    AS_FITS,
    FROM_PROFILE,
    AboutRelease,
    AboutService,
    AboutTask,
    After,
    AsJson,
    Before,
    Everything,
    Limit,
    ReleaseFilter,
    Search,
    Server,
    ServiceFilter,
    TaskFilter,
    example,
)

app = typer.Typer(name="event", help="Read the log of what happened, and add to it.", no_args_is_help=True)

_EVENTS: Final = View(
    ("TIME", "TYPE", "RELEASE", "MESSAGE"),
    lambda event: (event["created_at"], event["event_type"], id_in(event["release"]), event["message"]),
)


class EventKind(StrEnum):
    """How bad an event is."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@app.command(
    "list",
    epilog=example(
        "lockstep event list --release RE_8Y99QZJJ",
        "lockstep event list --type error --after 2026-01-31 --all",
    ),
)
def list_events(
    *,
    release: ReleaseFilter = None,
    service: ServiceFilter = None,
    task: TaskFilter = None,
    kind: Annotated[EventKind | None, typer.Option("--type", help="Only of this type.")] = None,
    search: Search = None,
    before: Before = None,
    after: After = None,
    limit: Limit = 20,
    everything: Everything = False,
    server: Server = FROM_PROFILE,
    as_json: AsJson = AS_FITS,
) -> None:
    """List events, the newest first: every change of state, and every failure with its cause."""
    show_list(
        server,
        "events",
        _EVENTS,
        limit=limit,
        everything=everything,
        as_json=as_json,
        release=release,
        task_service=service,
        task=task,
        event_type=kind,
        search=search,
        created_before=before,
        created_after=after,
    )


@app.command(
    "add", epilog=example("lockstep event add 'The portal was told of the delay' --release RE_8Y99QZJJ --type warning")
)
def add_event(
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="What happened, in a sentence.")],
    *,
    release: AboutRelease = None,
    service: AboutService = None,
    task: AboutTask = None,
    kind: Annotated[EventKind, typer.Option("--type", help="How bad it is.")] = EventKind.INFO,
    server: Server = FROM_PROFILE,
    as_json: AsJson = AS_FITS,
) -> None:
    """Write down what happened elsewhere. Nobody can change or remove it later.

    An event about a task is about its release and its service too.
    """
    body = {"message": message, "event_type": kind, "release": release, "task_service": service, "task": task}
    _EVENTS.show_one(talk(server, lambda coordinator: coordinator.post("events", body)), as_json=as_json)
