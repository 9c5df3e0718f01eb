"""The commands that run a task service, or the sample data service, until Ctrl-C."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from lockstep.cli.endings import Refused
from lockstep.cli.options import example

if TYPE_CHECKING:
    import socket

    from lockstep.taskkit import TaskService

app = typer.Typer()

_DATA_SERVICE: Final = "http://127.0.0.1:5100"

Host = Annotated[str, typer.Option("--host", metavar="ADDRESS", help="The address to listen on.")]
Port = Annotated[
    int, typer.Option("--port", metavar="N", min=0, max=65_535, help="The port to listen on; 0 takes any free one.")
]
Folder = Annotated[Path, typer.Option("--folder", metavar="PATH", help="Where everything is kept.")]
CoordinatorUrl = Annotated[
    str | None,
    typer.Option(
        "--coordinator",
        metavar="URL",
        help="Told of progress and states (also LOCKSTEP_COORDINATOR_URL); without it, it finds out by polling.",
    ),
]
DataServiceUrl = Annotated[
    str,
    typer.Option("--dataservice", metavar="URL", envvar="LOCKSTEP_DATASERVICE_URL", help="The data service to read."),
]


@app.command("reference", epilog=example("lockstep reference --coordinator http://127.0.0.1:5000"))
def run_reference(
    host: Host = "127.0.0.1",
    port: Port = 8282,
    folder: Folder = Path(".lockstep/reference"),
    coordinator: CoordinatorUrl = None,
) -> None:
    """Run the reference task service, which brings each study's record into a folder.

    It is the smallest whole task service, and the one to copy when you write your own.
    """

    def make() -> "TaskService":
        from lockstep.reference import make_service

        return make_service(folder, coordinator_url=coordinator)

    host_task_service(make, host, port)


@app.command("snapshot", epilog=example("lockstep snapshot --dataservice http://127.0.0.1:5100 --folder snapshots"))
def run_snapshot(
    host: Host = "127.0.0.1",
    port: Port = 8383,
    folder: Folder = Path(".lockstep/snapshot"),
    dataservice: DataServiceUrl = _DATA_SERVICE,
    coordinator: CoordinatorUrl = None,
) -> None:
    """Run the snapshot task service, which keeps every record of the released studies as JSON.

    It needs a data service to read.
    """

    def make() -> "TaskService":
        from lockstep.snapshot.service import make_service

        return make_service(dataservice_url=dataservice, folder=folder, coordinator_url=coordinator)

    host_task_service(make, host, port)


@app.command("dataservice", epilog=example("lockstep dataservice --port 5100"))
def run_dataservice(
    host: Host = "127.0.0.1",
    port: Port = 5100,
    as_of: Annotated[
        str, typer.Option("--as-of", metavar="SET", help="The dated set of counts; cfde-2023-q3 or cfde-2023-q4.")
    ] = "cfde-2023-q4",
) -> None:
    """Run a sample data service with real Kids First studies and the counts that were published of them.

    It only reads. A count that nobody has published is unknown.
    """
    from lockstep.cli.hosting import listen
    from lockstep.dataservice.sample import make_app

    try:
        app = make_app(as_of=as_of)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--as-of") from None
    _host(app, listen(host, port), f"sample data service ({as_of})")


def host_task_service(make: "Callable[[], TaskService]", host: str, port: int) -> None:
    """Take a port, make a task service, and serve it until Ctrl-C.

    Raises:
        Refused: the port or the files of the service cannot be had, or what it was given is wrong.
    """
    from lockstep.cli.hosting import listen
    from lockstep.taskkit import StoreUnavailable
    from lockstep.taskkit.identity import check_host

    listener = listen(host, port)
    try:
        service = make()
        check_host(host, service.identity)
        service.desk.store.open()
    except (StoreUnavailable, ValueError) as error:
        raise Refused(as_sentence(error)) from error
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    _host(service, listener, service.name)


def _host(app: Any, listener: "socket.socket", name: str) -> None:  # noqa: ANN401 - any ASGI application
    from lockstep.cli.hosting import address_of, hosting, run

    async def serve() -> None:
        async with hosting() as servers:
            await servers.start(app, listener)
            print(f"The {name} answers at {address_of(listener)}; Ctrl-C ends it.")
            await servers.wait()

    run(serve())


def as_sentence(said: object) -> str:
    """Return what an error or a step of the work says as a sentence of its own."""
    text = str(said)
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
