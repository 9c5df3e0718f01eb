"""`lockstep release current`, `at`, `decision` and `diff`: what is public, was decided, and changes with a release."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from lockstep.cli.conversation import talk
from lockstep.cli.endings import Ending, Refused
from lockstep.cli.lists import show_facts
from lockstep.cli.options import AS_FITS, FROM_PROFILE, AsJson, ReleaseId, Server, example
from lockstep.cli.profiles import REPORTS_VARIABLE, chosen
from lockstep.cli.releases import app
from lockstep.cli.tables import print_json, wants_json

if TYPE_CHECKING:
    from lockstep.cli.client import Api

Json = dict[str, Any]

_REPORTS: Final = "kf-task-release-reports"
"""What the reports service calls itself."""


class Form(StrEnum):
    """How a comparison is printed."""

    TABLE = "table"
    CSV = "csv"
    MARKDOWN = "markdown"
    JSON = "json"


@app.command("current", epilog=example("lockstep release current", "lockstep release current --study SD_8Y99QZJJ"))
def show_current(
    *,
    study: Annotated[
        str | None, typer.Option("--study", metavar="SD_…", help="The one with which this study became public last.")
    ] = None,
    server: Server = FROM_PROFILE,
    as_json: AsJson = AS_FITS,
) -> None:
    """Show the release that was published last. Nobody has to sign in for it."""
    path = f"studies/{study}/current" if study else "releases/current"
    what = f"published release with study {study}" if study else "published release"
    _print_public(talk(server, lambda coordinator: coordinator.get(path, what=what)), as_json=as_json)


@app.command("at", epilog=example("lockstep release at 2026-01-31T12:00:00Z"))
def show_at(
    time: Annotated[str, typer.Argument(metavar="TIME", help="ISO 8601; UTC when it names no zone.")],
    *,
    server: Server = FROM_PROFILE,
    as_json: AsJson = AS_FITS,
) -> None:
    """Show the release that was public at a time. Nobody has to sign in for it."""
    what = f"release that was public at {time}"
    release = talk(server, lambda coordinator: coordinator.get("releases/at", what=what, time=time))
    _print_public(release, as_json=as_json)


@app.command("decision", epilog=example("lockstep release decision RE_8Y99QZJJ"))
def show_decision(release_id: ReleaseId, *, server: Server = FROM_PROFILE, as_json: AsJson = AS_FITS) -> None:
    """Show what was decided about a release: nothing yet, to publish it, or to cancel it.

    Of a release that is not known the answer is to cancel it: what is not known is not published.
    """
    decided = talk(server, lambda coordinator: coordinator.get(f"releases/{release_id}/decision"))
    facts = [
        ("release", release_id),
        ("decision", decided["decision"]),
        ("state", decided["state"] or "not known"),
        ("version", decided["version"] or "-"),
    ]
    show_facts(decided, facts, as_json=as_json)


@app.command(
    "diff",
    epilog=example(
        "lockstep release diff RE_8Y99QZJJ",
        "lockstep release diff RE_8Y99QZJJ --against RE_0HMN3SRT --format markdown",
    ),
)
def diff_release(
    release_id: ReleaseId,
    *,
    against: Annotated[
        str | None, typer.Option("--against", metavar="RE_…", help="Another release; what is public without it.")
    ] = None,
    form: Annotated[
        Form | None,
        typer.Option("--format", "-o", show_default=False, help="A table at a terminal, JSON elsewhere, without it."),
    ] = None,
    reports: Annotated[
        str,
        typer.Option(
            "--reports",
            metavar="URL",
            envvar=REPORTS_VARIABLE,
            show_default=False,
            help="The release reports; those of the profile, or those among the task services, without it.",
        ),
    ] = "",
    server: Server = FROM_PROFILE,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Show what changes with a release: each count beside the one that is public, and what to look at.

    The release reports service counts while a release is staged. Reviewers read this before they publish.
    """
    chosen_form = Form.JSON if as_json or (form is None and wants_json(None)) else form or Form.TABLE
    address = reports or chosen()[1].reports
    parameters = {"against": against} if against else {}
    path = f"reports/releases/{release_id}/diff"

    async def compare(coordinator: "Api") -> None:
        async with _api(address or await _registered(coordinator)) as service:
            if chosen_form in {Form.CSV, Form.MARKDOWN}:
                print(await service.text(path, f"text/{chosen_form}", **parameters), end="")
                return
            diff = await service.get(path, mark="study_diffs", **parameters)
        if chosen_form is Form.JSON:
            print_json(diff)
            return
        from lockstep.cli.review import print_diff

        print_diff(diff, await _names(coordinator))

    talk(server, compare)


def _api(address: str) -> "Api":
    """Return the reports service; the coordinator's token is none of its business."""
    from lockstep.cli.client import Api

    return Api(address, kind="reports service")


async def _registered(coordinator: "Api") -> str:
    """Return the address of the release reports among the task services.

    Raises:
        Refused: none of those that answer is it.
    """
    services = await coordinator.rows("task-services", most=None, enabled="true")
    for service in services["results"]:
        try:
            async with _api(service["url"]) as candidate:
                status = await candidate.get("status", mark="name")
        except Ending:
            continue
        if status["name"] == _REPORTS:
            return str(service["url"])
    raise Refused(
        f"No release reports are registered that answer here; say where they are by --reports or {REPORTS_VARIABLE}."
    )


async def _names(coordinator: "Api") -> dict[str, str]:
    """Return the names of the studies; none if they cannot be had, since the comparison does without."""
    try:
        page = await coordinator.rows("studies", most=None)
    except Ending:
        return {}
    return {study["kf_id"]: study["name"] for study in page["results"]}


def _print_public(release: Json, *, as_json: bool) -> None:
    facts = [
        ("id", release["kf_id"]),
        ("version", release["version"]),
        ("name", release["name"]),
        ("published", release["published_at"]),
        ("tags", ", ".join(release["tags"])),
        ("studies", ", ".join(release["studies"])),
        ("description", release["description"]),
        *((f"note {note['kf_id']}", note["description"]) for note in release["notes"]),
    ]
    show_facts(release, facts, as_json=as_json)
