"""`lockstep service`: which task services take part in releases."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from lockstep.cli.conversation import talk
from lockstep.cli.endings import Refused, WrongUse
from lockstep.cli.lists import View, remove, show_facts, show_list
from lockstep.cli.options import (
    AS_FITS,
    FROM_PROFILE,
    AsJson,
    Everything,
    Limit,
    Search,
    Server,
    ServiceId,
    Yes,
    example,
)
from lockstep.cli.tables import print_json, print_table, when

if TYPE_CHECKING:
    from lockstep.cli.client import Api
    from lockstep.cli.registry import Step

Json = dict[str, Any]

app = typer.Typer(
    name="service",
    help="Register and change the task services that releases are brought to.",
    no_args_is_help=True,
)

_SERVICES: Final = View(
    ("ID", "NAME", "URL", "HEALTH", "ENABLED", "REGISTERED"),
    lambda service: (
        service["kf_id"],
        service["name"],
        service["url"],
        service["health_status"],
        "yes" if service["enabled"] else "no",
        when(service["created_at"]),
    ),
)

_ClientId = Annotated[
    str | None,
    typer.Option("--client-id", metavar="ID", help="The client whose tokens are the service's own."),
]


@app.command(
    "add",
    epilog=example(
        "lockstep service add http://127.0.0.1:8282 --name 'reference task'",
        "lockstep service add https://etl.example.org --name etl --description 'Loads the warehouse'",
    ),
)
def add_service(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where the service answers /status and /tasks.")],
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="What people call it.")],
    description: Annotated[
        str, typer.Option("--description", metavar="TEXT", help="What it does with a release.")
    ] = "",
    client_id: _ClientId = None,
    *,
    disabled: Annotated[bool, typer.Option("--disabled", help="Let it take no part in releases yet.")] = False,
    server: Server = FROM_PROFILE,
    as_json: AsJson = AS_FITS,
) -> None:
    """Register a task service; every release from now on is brought to it.

    The service must be running: the coordinator looks at its /status first, and refuses it when that does not answer.
    """
    body = {"url": url, "name": name, "description": description, "enabled": not disabled, "client_id": client_id or ""}
    _SERVICES.show_one(talk(server, lambda coordinator: coordinator.post("task-services", body)), as_json=as_json)


@app.command("list", epilog=example("lockstep service list", "lockstep service list --json"))
def list_services(
    *,
    search: Search = None,
    limit: Limit = 50,
    everything: Everything = False,
    server: Server = FROM_PROFILE,
    as_json: AsJson = AS_FITS,
) -> None:
    """List the task services, and whether they are well."""
    show_list(server, "task-services", _SERVICES, limit=limit, everything=everything, as_json=as_json, search=search)


@app.command("show", epilog=example("lockstep service show TS_8Y99QZJJ"))
def show_service(service_id: ServiceId, *, server: Server = FROM_PROFILE, as_json: AsJson = AS_FITS) -> None:
    """Show a task service: where it is, and whether it is well."""
    what = f"task service {service_id}"
    service = talk(server, lambda coordinator: coordinator.get(f"task-services/{service_id}", what=what))
    failed = service["last_ok_status"]
    facts = [
        ("id", service["kf_id"]),
        ("name", service["name"]),
        ("url", service["url"]),
        ("description", service["description"]),
        ("health", service["health_status"] + (f" ({failed} checks failed since the last good one)" if failed else "")),
        ("enabled", "yes" if service["enabled"] else "no"),
        ("client", service["client_id"]),
        ("author", service["author"]),
        ("registered", service["created_at"]),
    ]
    show_facts(service, facts, as_json=as_json)


@app.command("edit", epilog=example("lockstep service edit TS_8Y99QZJJ --url https://etl.example.org"))
def edit_service(
    service_id: ServiceId,
    *,
    name: Annotated[str | None, typer.Option("--name", metavar="TEXT", help="What people call it.")] = None,
    url: Annotated[str | None, typer.Option("--url", metavar="URL", help="Where it is; it must answer there.")] = None,
    description: Annotated[
        str | None, typer.Option("--description", metavar="TEXT", help="What it does with a release.")
    ] = None,
    client_id: _ClientId = None,
    server: Server = FROM_PROFILE,
    as_json: AsJson = AS_FITS,
) -> None:
    """Change what is given of a task service. Releases that are under way go on with it at its new address."""
    given = {"name": name, "url": url, "description": description, "client_id": client_id}
    changes = {field: value for field, value in given.items() if value is not None}
    if not changes:
        raise WrongUse("Say what is to be changed: --name, --url, --description or --client-id.")
    _edit(server, service_id, changes, as_json=as_json)


@app.command("enable", epilog=example("lockstep service enable TS_8Y99QZJJ"))
def enable_service(service_id: ServiceId, *, server: Server = FROM_PROFILE, as_json: AsJson = AS_FITS) -> None:
    """Let a task service take part in releases from now on."""
    _edit(server, service_id, {"enabled": True}, as_json=as_json)


@app.command("disable", epilog=example("lockstep service disable TS_8Y99QZJJ"))
def disable_service(service_id: ServiceId, *, server: Server = FROM_PROFILE, as_json: AsJson = AS_FITS) -> None:
    """Let a task service take no part in releases from now on; those under way keep it."""
    _edit(server, service_id, {"enabled": False}, as_json=as_json)


@app.command("check", epilog=example("lockstep service check"))
def check_services(*, server: Server = FROM_PROFILE, as_json: AsJson = AS_FITS) -> None:
    """Have the coordinator look at the health of every task service now, and list them.

    It ends with 1 when one that is enabled is down.
    """

    async def check(coordinator: "Api") -> Json:
        await coordinator.post("task-services/health_checks", mark="status")
        return await coordinator.rows("task-services", most=None)

    page = talk(server, check)
    if as_json:
        print_json(page)
    else:
        _SERVICES.show(page["results"])
    down = [row["name"] for row in page["results"] if row["enabled"] and row["health_status"] != "ok"]
    if down:
        raise Refused(f"Down: {', '.join(down)}. Releases wait for a service until it answers or they run out of time.")


@app.command("remove", epilog=example("lockstep service remove TS_8Y99QZJJ"))
def remove_service(service_id: ServiceId, *, server: Server = FROM_PROFILE, as_json: AsJson = AS_FITS) -> None:
    """Take a task service out of new releases and off the list.

    Releases that are under way keep it until they have ended, and its tasks in old ones stay.
    """
    remove(server, f"task-services/{service_id}", f"task service {service_id}", as_json=as_json)


@app.command(
    "apply",
    epilog=example(
        "lockstep service apply -f services.yaml --dry-run", "lockstep service apply -f services.yaml --prune --yes"
    ),
)
def apply_services(
    file: Annotated[
        Path, typer.Option("--file", "-f", metavar="PATH", help="The services as YAML or TOML; - for what comes in.")
    ],
    *,
    prune: Annotated[bool, typer.Option("--prune", help="Remove the services that are not in the file.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")] = False,
    yes: Yes = False,
    server: Server = FROM_PROFILE,
    as_json: AsJson = AS_FITS,
) -> None:
    """Make the registered task services those of a file: the registry as code.

    What would be done is shown first, and done after a question. Services are known by their names; what the file does
    not say of one stays as it is. Applied twice, the second time does nothing.
    """
    from lockstep.cli.registry import apply, plan, read_services

    wanted = read_services(file)

    async def work(coordinator: "Api") -> None:
        stored = await coordinator.rows("task-services", most=None)
        steps = plan(wanted, stored["results"], prune=prune)
        if not as_json:
            _print_plan(steps)
        if steps and not dry_run:
            if not yes:
                _confirm(steps)
            await apply(coordinator, steps)
        if as_json:
            print_json({"applied": bool(steps) and not dry_run, "steps": [step.document for step in steps]})
        elif steps and not dry_run:
            print("Applied.", file=sys.stderr)

    talk(server, work)


def _edit(server: str, service_id: str, changes: Mapping[str, object], *, as_json: bool) -> None:
    what = f"task service {service_id}"
    service = talk(server, lambda coordinator: coordinator.patch(f"task-services/{service_id}", changes, what=what))
    _SERVICES.show_one(service, as_json=as_json)


def _print_plan(steps: "list[Step]") -> None:
    if steps:
        print_table(("DEED", "ID", "NAME", "WHAT"), [(s.deed, s.kf_id, s.name, s.in_words) for s in steps])
    else:
        print("Everything is as the file says.", file=sys.stderr)


def _confirm(steps: "list[Step]") -> None:
    """Ask whether a plan is really to be carried out.

    Raises:
        WrongUse: there is nobody to ask.
        Refused: it is not.
    """
    if not sys.stdin.isatty():
        raise WrongUse("There is nobody here to ask; --yes applies the plan, and --dry-run shows it only.")
    if not typer.confirm(f"Carry out these {len(steps)} steps?", default=False, err=True):
        raise Refused("Nothing was changed.")
