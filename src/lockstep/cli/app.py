"""The tree of commands, and what holds for all of them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from lockstep.cli import (
    account,
    check,
    doctor,
    events,
    importing,
    new,
    notes,
    released,
    reports,
    servers,
    services,
    stack,
    studies,
    task_services,
    tasks,
    webhooks,
)
from lockstep.cli.listing import Listing, list_whole
from lockstep.cli.options import example
from lockstep.cli.profiles import DEFAULT_SERVER, PROFILE_VARIABLE, SERVER_VARIABLE

app = typer.Typer(
    name="lockstep",
    cls=Listing,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=example(
        "lockstep demo                       see a release go all the way",
        "lockstep serve                      run the coordinator",
        "lockstep release start --help       start a release on it",
    ),
)
_SERVERS = (servers, stack, task_services, reports, check, new, doctor, importing)
_CLIENTS = (account, services, studies, released, tasks, notes, events, webhooks)
for group in (*_SERVERS, *_CLIENTS):
    app.add_typer(group.app)
list_whole(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        from lockstep import __version__

        print(f"lockstep {__version__}")
        raise typer.Exit


@contextmanager
def _environment_with(server: str | None, profile: str | None) -> Iterator[None]:
    """Let options take the place of their variables for one command; a profile that is named brings its own server."""
    before = {name: os.environ.get(name) for name in (PROFILE_VARIABLE, SERVER_VARIABLE)}
    if profile is not None:
        os.environ[PROFILE_VARIABLE] = profile
        os.environ.pop(SERVER_VARIABLE, None)
    if server is not None:
        os.environ[SERVER_VARIABLE] = server
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@app.callback()
def lockstep(
    context: typer.Context,
    *,
    server: Annotated[
        str | None,
        typer.Option(
            "--server",
            metavar="URL",
            help="The coordinator that client commands speak to; LOCKSTEP_SERVER, that of the profile, or "
            f"{DEFAULT_SERVER} without it.",
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile", metavar="NAME", help="The profile that counts; LOCKSTEP_PROFILE or that of `use` without it."
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Bring the services of a data commons in step: every release is staged, reviewed and published on all of them.

    Exit codes: 0 fine, 1 refused or failed, 2 wrong use, 3 no coordinator reachable, 124 timed out.
    """
    del version
    context.with_resource(_environment_with(server, profile))
