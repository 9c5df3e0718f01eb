"""`lockstep service`: which task services take part in releases."""

from typing import Annotated, Any, Final

import typer

from lockstep.cli.conversation import talk
from lockstep.cli.options import DEFAULT_SERVER, AsJson, Everything, Limit, Server, ServiceId, example
from lockstep.cli.tables import print_json, print_rest, print_table, when

app = typer.Typer(
    name="service",
    help="Register, list and remove the task services that releases are brought to.",
    no_args_is_help=True,
)

_HEADINGS: Final = ("ID", "NAME", "URL", "HEALTH", "ENABLED", "REGISTERED")


@app.command(
    "add",
    epilog=example(
        "lockstep service add http://127.0.0.1:8282 --name 'reference task'",
        "lockstep service add https://etl.example.org --name etl --description 'Loads the warehouse'",
    ),
)
def add_service(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where the service answers /status and /tasks.")],
    name: Annotated[str, typer.Option("--name", help="What people call it.")],
    description: Annotated[str, typer.Option("--description", help="What it does with a release.")] = "",
    *,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Register a task service; every release from now on is brought to it.

    The service must be running: the coordinator looks at its /status first, and refuses it when that does not answer.
    """
    body = {"url": url, "name": name, "description": description}
    service = talk(server, lambda coordinator: coordinator.post("task-services", body))
    _print_services([service], service, as_json=as_json)


@app.command("list", epilog=example("lockstep service list", "lockstep service list --json"))
def list_services(
    *,
    limit: Limit = 50,
    everything: Everything = False,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """List the task services, and whether they are well."""
    most = None if everything else limit
    page = talk(server, lambda coordinator: coordinator.rows("task-services", most=most))
    _print_services(page["results"], page, as_json=as_json)
    if not as_json:
        print_rest(page)


@app.command("remove", epilog=example("lockstep service remove TS_8Y99QZJJ"))
def remove_service(
    service_id: ServiceId,
    *,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Take a task service out of new releases and off the list.

    Releases that are under way keep it until they have ended, and its tasks in old ones stay.
    """
    what = f"task service {service_id}"
    talk(server, lambda coordinator: coordinator.delete(f"task-services/{service_id}", what=what))
    if as_json:
        print_json({})
    else:
        print(f"Removed {what}.")


def _print_services(services: list[dict[str, Any]], document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    rows = [
        (
            service["kf_id"],
            service["name"],
            service["url"],
            service["health_status"],
            "yes" if service["enabled"] else "no",
            when(service["created_at"]),
        )
        for service in services
    ]
    print_table(_HEADINGS, rows)
