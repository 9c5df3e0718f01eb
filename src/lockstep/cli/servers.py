"""`lockstep demo`, `serve` and `migrate`: the commands that bring a coordinator into being."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.cli.endings import Refused, WrongUse
from lockstep.cli.options import example

if TYPE_CHECKING:
    from lockstep.coordinator.settings import Settings

app = typer.Typer()

Database = Annotated[
    str | None,
    typer.Option("--database", metavar="URL", help="LOCKSTEP_DATABASE_URL, or sqlite:///lockstep.db without it."),
]


@app.command("demo", epilog=example("lockstep demo", "lockstep demo --exit --any-ports"))
def run_demo(
    *,
    leave: Annotated[bool, typer.Option("--exit", help="End when the second release is published.")] = False,
    any_ports: Annotated[bool, typer.Option("--any-ports", help="Take any ports that are free.")] = False,
    port_base: Annotated[
        int | None, typer.Option("--port-base", metavar="N", help="Take five ports in a row from this one on.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="PATH", help="An empty folder to keep everything in; temporary without it."),
    ] = None,
    pace: Annotated[
        float,
        typer.Option(
            "--pace",
            metavar="SECONDS",
            min=0,
            max=10,
            help="What the sample data service takes for each answer, so that there is work to be seen.",
        ),
    ] = 0.2,
) -> None:
    """See the whole system take two releases of real studies all the way, live.

    It runs a coordinator, a data service with real studies and three task services on this machine, and needs nothing
    else: ports 5000, 5020, 5100, 8282 and 8383, or others (--any-ports). What changes with the second release
    is shown before it is published. At the end it stays up for the browser until Ctrl-C.
    """
    from lockstep.cli.premises import premises

    with premises(base=port_base, any_ports=any_ports, folder=folder) as place:
        from lockstep.cli.demo import demo

        demo(place, pace_s=pace, leave=leave)


@app.command(
    "serve",
    epilog=example("lockstep serve", "LOCKSTEP_DATASERVICE_URL=https://data.example.org lockstep serve --port 8000"),
)
def run_serve(
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="LOCKSTEP_HOST, or 127.0.0.1 without it.")
    ] = None,
    port: Annotated[int | None, typer.Option("--port", metavar="N", help="LOCKSTEP_PORT, or 5000 without it.")] = None,
    database: Database = None,
    dataservice: Annotated[
        str | None, typer.Option("--dataservice", metavar="URL", help="LOCKSTEP_DATASERVICE_URL, or none without it.")
    ] = None,
) -> None:
    """Run the coordinator, until Ctrl-C.

    It needs nothing to begin with. Settings are environment variables LOCKSTEP_…, also in a file .env; the options
    here are the most common ones and come before those.
    """
    settings = read(host=host, port=port, database_url=database, dataservice_url=dataservice)

    from lockstep.coordinator.bootstrap import Running
    from lockstep.coordinator.listening import CannotStart
    from lockstep.coordinator.logs import set_up_logs
    from lockstep.coordinator.process import run, serve

    def ready(coordinator: Running) -> None:
        print(f"Lockstep answers at {coordinator.url}; Ctrl-C ends it.")

    set_up_logs()
    try:
        run(serve(settings, ready))
    except CannotStart as error:
        raise Refused(str(error)) from None


@app.command(
    "worker",
    epilog=example(
        "LOCKSTEP_DATABASE_URL=postgresql://lockstep@db/lockstep LOCKSTEP_REDIS_URL=redis://queue:6379 lockstep worker"
    ),
)
def run_worker(database: Database = None) -> None:
    """Run a task worker beside `lockstep serve`, until Ctrl-C.

    Any number of them share the releases of one Postgres database; when one dies, another goes on with what it did.
    Wake-ups come through LOCKSTEP_REDIS_URL; without it a worker finds its work within five seconds.
    """
    settings = read(database_url=database)

    from lockstep.coordinator.listening import CannotStart
    from lockstep.coordinator.logs import set_up_logs
    from lockstep.coordinator.process import run, work

    set_up_logs()
    try:
        run(work(settings, lambda: print("A task worker is at work; Ctrl-C ends it.", flush=True)))
    except CannotStart as error:
        raise Refused(str(error)) from None


@app.command("migrate", epilog=example("lockstep migrate --database postgresql://lockstep@db.example.org/lockstep"))
def run_migrate(database: Database = None) -> None:
    """Bring the database to the schema of this version.

    `lockstep serve` and `lockstep worker` do it by themselves; this is for those who want to do it before. On Postgres
    it may run in several places at once, and while coordinators are at work; a SQLite file must be in use by nobody.
    """
    url = read(database_url=database).database_url

    from lockstep.coordinator.core.errors import Unavailable
    from lockstep.coordinator.store.alone import sqlite_alone
    from lockstep.coordinator.store.database import postgres_url
    from lockstep.coordinator.store.migrating import migrate, sqlite_file

    try:
        shared = postgres_url(url)
        with nullcontext() if shared else sqlite_alone(sqlite_file(url)):
            migrate(url)
    except Unavailable as error:
        raise Refused(str(error)) from None
    shown = shared.set(drivername="postgresql").render_as_string() if shared else url
    print(f"The database {shown} has the schema of this version.")


def read(**chosen: str | int | None) -> "Settings":
    """Return the settings of this process; those that are chosen and not None come before the environment.

    Raises:
        WrongUse: one of them is wrong.
    """
    from lockstep.coordinator.settings import WrongSetting, read_settings

    try:
        return read_settings(**{name: value for name, value in chosen.items() if value is not None})
    except WrongSetting as error:
        raise WrongUse(str(error)) from None
