"""`lockstep study`: the studies that can be released."""

from typing import Final

import typer

from lockstep.cli.conversation import talk
from lockstep.cli.options import DEFAULT_SERVER, AsJson, Everything, Limit, Server, example
from lockstep.cli.tables import print_json, print_rest, print_table

app = typer.Typer(name="study", help="Bring in studies from the data service, and list them.", no_args_is_help=True)

_HEADINGS: Final = ("ID", "NAME", "VERSION", "PUBLISHED", "IN DATA SERVICE")


@app.command("sync", epilog=example("lockstep study sync"))
def sync_studies(*, server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Make the coordinator's studies those of the data service.

    The coordinator must have been told of a data service (LOCKSTEP_DATASERVICE_URL). Studies that are gone there are
    marked as deleted here, and come back when they come back there; releases keep the studies that they have.
    """
    result = talk(server, lambda coordinator: coordinator.post("studies/sync", mark="message"))
    if as_json:
        print_json(result)
    else:
        print(result["message"])


@app.command("list", epilog=example("lockstep study list --limit 20", "lockstep study list --all --json"))
def list_studies(
    *,
    limit: Limit = 20,
    everything: Everything = False,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """List studies, with the version of the newest release and of the newest published release that holds each."""
    most = None if everything else limit
    page = talk(server, lambda coordinator: coordinator.rows("studies", most=most))
    if as_json:
        print_json(page)
        return
    rows = [
        (
            study["kf_id"],
            study["name"],
            study["version"],
            study["last_pub_version"],
            "no" if study["deleted"] else "yes",
        )
        for study in page["results"]
    ]
    print_table(_HEADINGS, rows)
    print_rest(page)
