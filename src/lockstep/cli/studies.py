"""`lockstep study`: the studies that can be released."""

from typing import Final

import typer

from lockstep.cli.conversation import talk
from lockstep.cli.lists import View, show_facts, show_list
from lockstep.cli.options import (
    AS_FITS,
    FROM_PROFILE,
    AsJson,
    Everything,
    Limit,
    Search,
    Server,
    StudyId,
    example,
)
from lockstep.cli.tables import print_json

app = typer.Typer(name="study", help="Bring in studies from the data service, and look at them.", no_args_is_help=True)

_STUDIES: Final = View(
    ("ID", "NAME", "VERSION", "PUBLISHED", "IN DATA SERVICE"),
    lambda study: (
        study["kf_id"],
        study["name"],
        study["version"],
        study["last_pub_version"],
        "no" if study["deleted"] else "yes",
    ),
)


@app.command("sync", epilog=example("lockstep study sync"))
def sync_studies(*, server: Server = FROM_PROFILE, as_json: AsJson = AS_FITS) -> None:
    """Make the coordinator's studies those of the data service.

    The coordinator must have been told of a data service (LOCKSTEP_DATASERVICE_URL). Studies that are gone there are
    marked as deleted here, and come back when they come back there; releases keep the studies that they have.
    """
    result = talk(server, lambda coordinator: coordinator.post("studies/sync", mark="message"))
    if as_json:
        print_json(result)
    else:
        print(result["message"])


@app.command("list", epilog=example("lockstep study list --search brain", "lockstep study list --all --json"))
def list_studies(
    *,
    search: Search = None,
    limit: Limit = 20,
    everything: Everything = False,
    server: Server = FROM_PROFILE,
    as_json: AsJson = AS_FITS,
) -> None:
    """List studies, with the version of the newest release and of the newest published release that holds each."""
    show_list(server, "studies", _STUDIES, limit=limit, everything=everything, as_json=as_json, search=search)


@app.command("show", epilog=example("lockstep study show SD_8Y99QZJJ"))
def show_study(study_id: StudyId, *, server: Server = FROM_PROFILE, as_json: AsJson = AS_FITS) -> None:
    """Show a study, and the versions of the releases that hold it."""
    study = talk(server, lambda coordinator: coordinator.get(f"studies/{study_id}", what=f"study {study_id}"))
    facts = [
        ("id", study["kf_id"]),
        ("name", study["name"]),
        ("visible", "yes" if study["visible"] else "no"),
        ("in data service", "no" if study["deleted"] else "yes"),
        ("version", study["version"]),
        ("published", study["last_pub_version"]),
        ("created", study["created_at"]),
    ]
    show_facts(study, facts, as_json=as_json)
