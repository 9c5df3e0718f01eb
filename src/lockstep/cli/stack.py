"""`lockstep stack`: everything that a deployment runs, as processes of this machine, until Ctrl-C.

The processes are those of `lockstep.stack`; here they are brought up, introduced to each other, shown, and watched: one
that ends by itself is started again, as an orchestrator would. Nothing of it is left when this process ends.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.cli.options import example

if TYPE_CHECKING:
    from collections.abc import Mapping

app = typer.Typer()


@app.command("stack", epilog=example("lockstep stack", "lockstep stack --any-ports --exit --folder /var/tmp/stack"))
def run_stack(
    *,
    leave: Annotated[
        bool, typer.Option("--exit", help="Take a release of real studies to the public, and end.")
    ] = False,
    any_ports: Annotated[bool, typer.Option("--any-ports", help="Take any ports that are free.")] = False,
    folder: Annotated[
        Path, typer.Option("--folder", metavar="PATH", help="Where everything is kept; a stack goes on where it was.")
    ] = Path(".lockstep/stack"),
    workers: Annotated[int, typer.Option("--workers", metavar="N", min=1, max=64, help="Run so many workers.")] = 2,
) -> None:
    """Run the whole stack as processes on this machine: the set of docker-compose.yml, without Docker.

    Postgres and Valkey, the coordinator on port 5000, task workers, the sample data service on 5100, the reference task
    on 8282 and the release reports on 5020, or others (--any-ports). The task services are registered and the studies
    synced. A process that ends by itself is started again; kill one and see. It needs what `make setup` installs.
    """
    from lockstep.cli.endings import Refused
    from lockstep.cli.hosting import run
    from lockstep.cli.standing import stand
    from lockstep.stack.processes import DidNotStart
    from lockstep.stack.stack import ANY_PORTS, guarded

    ports = ANY_PORTS if any_ports else _known_ports()
    try:
        with guarded(folder.resolve()) as guard:
            run(stand(folder.resolve(), guard, ports, workers=workers, leave=leave))
    except OSError as error:
        raise Refused(f"The folder {folder} cannot be used ({error.strerror}); name another one.") from error
    except DidNotStart as error:
        raise Refused(str(error)) from error


def _known_ports() -> "Mapping[str, int]":
    """Return where everybody looks, all of which has to be free."""
    from lockstep.cli.hosting import listen
    from lockstep.stack.processes import LOOPBACK
    from lockstep.stack.stack import KNOWN

    for port in KNOWN.values():
        listen(LOOPBACK, port, remedy="let the stack take others with --any-ports").close()
    return KNOWN
