"""`lockstep release`: start, watch, publish and cancel releases, and look at them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from lockstep.cli.conversation import talk
from lockstep.cli.endings import Refused, WrongUse
from lockstep.cli.lists import View, show_list
from lockstep.cli.options import (
    AS_FITS,
    FROM_PROFILE,
    AsJson,
    AsJsonOrLog,
    Everything,
    Limit,
    ReleaseId,
    Search,
    Server,
    StudyFilter,
    Timeout,
    Until,
    Watch,
    Yes,
    example,
)
from lockstep.cli.tables import is_terminal, print_facts, print_json, print_table, wants_json, when
from lockstep.protocol.states import ReleaseState

if TYPE_CHECKING:
    from lockstep.cli.client import Api

Json = dict[str, Any]

app = typer.Typer(
    name="release", help="Start releases, watch them, publish what was staged, or cancel.", no_args_is_help=True
)

RELEASES: Final = View(
    ("ID", "VERSION", "STATE", "STUDIES", "CREATED", "NAME"),
    lambda release: (
        release["kf_id"],
        release["version"],
        release["state"],
        len(release["studies"]),
        when(release["created_at"]),
        release["name"],
    ),
    right=("STUDIES",),
)
_TASK_HEADINGS: Final = ("ID", "SERVICE", "STATE", "PROGRESS", "PROBLEM")


@app.command(
    "start",
    epilog=example(
        "lockstep release start --name 'Spring release' --study SD_8Y99QZJJ --study SD_BHJXBDQK",
        "lockstep release start --from-file release.yaml --watch",
    ),
)
def start_release(
    name: Annotated[str | None, typer.Option("--name", metavar="TEXT", help="What people call it.")] = None,
    studies: Annotated[
        list[str] | None, typer.Option("--study", metavar="SD_…", help="A study in it; once for each.")
    ] = None,
    description: Annotated[
        str | None, typer.Option("--description", metavar="TEXT", help="What it is about, in Markdown.")
    ] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", metavar="TEXT", help="A tag; once for each.")] = None,
    *,
    major: Annotated[
        bool | None, typer.Option("--major", help="It changes the shape of the data: a major version.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--from-file",
            "-f",
            metavar="PATH",
            help="The release as YAML or TOML, with its notes; - for what comes in. Other options come before it.",
        ),
    ] = None,
    key: Annotated[
        str, typer.Option("--key", metavar="WORD", help="Start it once only: the same word gives the same release.")
    ] = "",
    watch: Watch = False,
    timeout: Timeout = None,
    server: Server = FROM_PROFILE,
    as_json: AsJsonOrLog = None,
) -> None:
    """Start a release of some studies on every enabled task service.

    The services stage it, and then it waits for review: nothing becomes public before somebody publishes it. With
    --watch the command stays until then.
    """
    from lockstep.cli.release_file import begin, read_release

    wanted = read_release(file, name=name, studies=studies, description=description, tags=tags, major=major)
    whole = _is_whole(as_json, watch=watch)

    async def start(coordinator: "Api") -> Json:
        release = await begin(coordinator, wanted, key)
        if watch:
            return await _watched(coordinator, release["kf_id"], Until.REVIEW, timeout, as_json=whole)
        return release

    _print_outcome(talk(server, start), as_json=whole)


@app.command(
    "list", epilog=example("lockstep release list", "lockstep release list --state staged --study SD_8Y99QZJJ --json")
)
def list_releases(
    *,
    state: Annotated[ReleaseState | None, typer.Option("--state", help="Only releases in this state.")] = None,
    study: StudyFilter = None,
    tag: Annotated[str | None, typer.Option("--tag", metavar="TEXT", help="Only releases with this tag.")] = None,
    author: Annotated[
        str | None, typer.Option("--author", metavar="TEXT", help="Only releases of this author.")
    ] = None,
    search: Search = None,
    limit: Limit = 20,
    everything: Everything = False,
    server: Server = FROM_PROFILE,
    as_json: AsJson = AS_FITS,
) -> None:
    """List releases, the newest first."""
    show_list(
        server,
        "releases",
        RELEASES,
        limit=limit,
        everything=everything,
        as_json=as_json,
        state=state,
        study=study,
        tags=tag,
        author=author,
        search=search,
    )


@app.command("show", epilog=example("lockstep release show RE_8Y99QZJJ"))
def show_release(release_id: ReleaseId, *, server: Server = FROM_PROFILE, as_json: AsJson = AS_FITS) -> None:
    """Show a release: what it is, how far it is, and how each service stands."""
    release = talk(server, lambda coordinator: _read(coordinator, release_id))
    if as_json:
        print_json(release)
    else:
        _print_release(release)


@app.command(
    "edit",
    epilog=example("lockstep release edit RE_8Y99QZJJ --name 'Spring release 2026' --tag quarterly"),
)
def edit_release(
    release_id: ReleaseId,
    *,
    name: Annotated[str | None, typer.Option("--name", metavar="TEXT", help="What people call it.")] = None,
    description: Annotated[
        str | None, typer.Option("--description", metavar="TEXT", help="What it is about, in Markdown.")
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="TEXT", help="A tag, once for each; they replace those that it has."),
    ] = None,
    untag: Annotated[bool, typer.Option("--no-tags", help="Take its tags away.")] = False,
    major: Annotated[
        bool | None,
        typer.Option("--major/--minor", show_default=False, help="Whether it changes the shape of the data."),
    ] = None,
    server: Server = FROM_PROFILE,
    as_json: AsJson = AS_FITS,
) -> None:
    """Change what a release is called and what is said of it; whether it is major, until it is being published.

    Its studies stay as they are, since the services were told them at the start.
    """
    if untag and tags:
        raise WrongUse("--tag and --no-tags exclude each other; give one of them.")
    given = {"name": name, "description": description, "tags": [] if untag else tags or None, "is_major": major}
    changes = {field: value for field, value in given.items() if value is not None}
    if not changes:
        raise WrongUse("Say what is to be changed: --name, --description, --tag, --no-tags, --major or --minor.")
    what = f"release {release_id}"
    release = talk(server, lambda coordinator: coordinator.patch(f"releases/{release_id}", changes, what=what))
    RELEASES.show_one(release, as_json=as_json)


@app.command(
    "watch",
    epilog=example(
        "lockstep release watch RE_8Y99QZJJ", "lockstep release watch RE_8Y99QZJJ --until published --timeout 3600"
    ),
)
def watch_release(
    release_id: ReleaseId,
    *,
    until: Annotated[
        Until,
        typer.Option("--until", help="What to wait for: its review, that it is staged or past it, or its end."),
    ] = Until.REVIEW,
    timeout: Timeout = None,
    server: Server = FROM_PROFILE,
    as_json: AsJsonOrLog = None,
) -> None:
    """Show what happens to a release as it happens, until it needs a person or has ended.

    A connection that breaks is taken up again where it broke. Exit codes: 0 staged or published, 1 failed or canceled,
    3 no coordinator, 124 timed out.
    """
    whole = _is_whole(as_json, watch=True)

    async def watched(coordinator: "Api") -> Json:
        return await _watched(coordinator, release_id, until, timeout, as_json=whole)

    _print_outcome(talk(server, watched), as_json=whole)


@app.command(
    "publish",
    epilog=example("lockstep release publish RE_8Y99QZJJ", "lockstep release publish RE_8Y99QZJJ --yes --watch"),
)
def publish_release(
    release_id: ReleaseId,
    *,
    yes: Yes = False,
    watch: Watch = False,
    timeout: Timeout = None,
    server: Server = FROM_PROFILE,
    as_json: AsJsonOrLog = None,
) -> None:
    """Publish a release that is staged, on all of its services.

    It gets its final version now. A release that shares a study with one that was asked to publish before waits for
    that one. At a terminal the command asks first.
    """
    whole = _is_whole(as_json, watch=watch)

    async def publish(coordinator: "Api") -> Json:
        if not yes:
            await _confirm(coordinator, release_id, "Publish", "published")
        release = await coordinator.post(f"releases/{release_id}/publish", what=f"release {release_id}")
        if watch:
            since = release["step_since"]
            return await _watched(coordinator, release_id, Until.PUBLISHED, timeout, as_json=whole, since=since)
        return release

    _print_outcome(talk(server, publish), as_json=whole)


@app.command(
    "cancel", epilog=example("lockstep release cancel RE_8Y99QZJJ", "lockstep release cancel RE_8Y99QZJJ --yes")
)
def cancel_release(
    release_id: ReleaseId, *, yes: Yes = False, server: Server = FROM_PROFILE, as_json: AsJson = AS_FITS
) -> None:
    """Cancel a release on all of its services, at any time before it has ended.

    What was canceled cannot be begun again. At a terminal the command asks first.
    """

    async def cancel(coordinator: "Api") -> Json:
        if not yes:
            await _confirm(coordinator, release_id, "Cancel", "canceled")
        return await coordinator.delete(f"releases/{release_id}", what=f"release {release_id}")

    release = talk(server, cancel)
    RELEASES.show_one(release, as_json=as_json)
    if release["state"] in {ReleaseState.PUBLISHED, ReleaseState.FAILED}:
        raise Refused(f"Release {release_id} had ended already: it is {release['state']}.")


async def _read(coordinator: "Api", release_id: str) -> Json:
    return await coordinator.get(f"releases/{release_id}", what=f"release {release_id}")


async def _watched(
    coordinator: "Api", release_id: str, until: Until, timeout_s: float | None, *, as_json: bool, since: str = ""
) -> Json:
    from lockstep.cli.display import NoDisplay, display
    from lockstep.cli.watching import watch

    with NoDisplay() if as_json else display() as shown:
        return await watch(coordinator, release_id, until, shown, since=since, timeout_s=timeout_s)


def _is_whole(as_json: bool | None, *, watch: bool) -> bool:
    """Tell whether the release alone is printed, as a document, and not what happens on the way."""
    return bool(as_json) if watch else wants_json(as_json)


async def _confirm(coordinator: "Api", release_id: str, deed: str, done: str) -> None:
    """Ask, where somebody can answer, whether something is really to be done with a release.

    Raises:
        Refused: it is not.
    """
    if not is_terminal() or not sys.stdin.isatty():
        return
    release = await _read(coordinator, release_id)
    studies = _counted(len(release["studies"]), "study", "studies")
    services = _counted(len(release["tasks"]), "service", "services")
    question = f"{deed} {release['name']!r} ({studies}) on {services}?"
    if not typer.confirm(question, default=False, err=True):
        raise Refused(f"Nothing was {done}.")


def _counted(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"


def _print_outcome(release: Json, *, as_json: bool) -> None:
    from lockstep.cli.watching import check_outcome

    RELEASES.show_one(release, as_json=as_json)
    check_outcome(release)


def _print_release(release: Json) -> None:
    from lockstep.cli.display import state_in_words

    print_facts(
        [
            ("id", release["kf_id"]),
            ("name", release["name"]),
            ("version", release["version"]),
            ("state", f"{release['state']}: {state_in_words(release)}"),
            ("since", release["step_since"]),
            ("created", release["created_at"]),
            ("published", release["published_at"]),
            ("author", release["author"]),
            ("tags", ", ".join(release["tags"])),
            ("studies", ", ".join(release["studies"])),
            ("description", release["description"]),
        ]
    )
    rows = [
        (task["kf_id"], task["service_name"], task["state"], f"{task['progress']} %", task["last_error"])
        for task in release["tasks"]
    ]
    print_table(_TASK_HEADINGS, rows, right=("PROGRESS",))
