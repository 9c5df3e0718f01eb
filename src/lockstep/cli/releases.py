"""`lockstep release`: start, watch, publish and cancel releases, and look at them."""

import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from lockstep.cli.conversation import talk
from lockstep.cli.endings import Refused
from lockstep.cli.options import (
    DEFAULT_SERVER,
    AsJson,
    Everything,
    Limit,
    ReleaseId,
    Server,
    Timeout,
    Until,
    Watch,
    example,
)
from lockstep.cli.tables import is_terminal, print_facts, print_json, print_rest, print_table, when
from lockstep.protocol.states import ReleaseState

if TYPE_CHECKING:
    from lockstep.cli.client import Api

Json = dict[str, Any]

app = typer.Typer(
    name="release", help="Start releases, watch them, publish what was staged, or cancel.", no_args_is_help=True
)

_HEADINGS: Final = ("ID", "VERSION", "STATE", "STUDIES", "CREATED", "NAME")
_TASK_HEADINGS: Final = ("ID", "SERVICE", "STATE", "PROGRESS", "PROBLEM")


@app.command(
    "start",
    epilog=example(
        "lockstep release start --name 'Spring release' --study SD_8Y99QZJJ --study SD_BHJXBDQK",
        "lockstep release start --name Pilot --study SD_8Y99QZJJ --major --tag pilot --watch",
    ),
)
def start_release(
    name: Annotated[str, typer.Option("--name", help="What people call it.")],
    studies: Annotated[list[str], typer.Option("--study", metavar="SD_…", help="A study in it; once for each.")],
    description: Annotated[str, typer.Option("--description", help="What it is about, in Markdown.")] = "",
    tags: Annotated[list[str] | None, typer.Option("--tag", help="A tag; once for each.")] = None,
    *,
    major: Annotated[bool, typer.Option("--major", help="It changes the shape of the data: a major version.")] = False,
    watch: Watch = False,
    timeout: Timeout = None,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Start a release of some studies on every enabled task service.

    The services stage it, and then it waits for review: nothing becomes public before somebody publishes it. With
    --watch the command stays until then.
    """
    body = {"name": name, "studies": studies, "description": description, "tags": tags or [], "is_major": major}

    async def start(coordinator: "Api") -> Json:
        release = await coordinator.post("releases", body)
        if watch:
            return await _watched(coordinator, release["kf_id"], Until.REVIEW, timeout, as_json=as_json)
        return release

    _print_outcome(talk(server, start), as_json=as_json)


@app.command("list", epilog=example("lockstep release list", "lockstep release list --state staged --json"))
def list_releases(
    *,
    state: Annotated[ReleaseState | None, typer.Option("--state", help="Only releases in this state.")] = None,
    limit: Limit = 20,
    everything: Everything = False,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """List releases, the newest first."""
    most = None if everything else limit
    page = talk(server, lambda coordinator: coordinator.rows("releases", most=most, state=state or ""))
    if as_json:
        print_json(page)
        return
    _print_releases(page["results"])
    print_rest(page)


@app.command("show", epilog=example("lockstep release show RE_8Y99QZJJ"))
def show_release(release_id: ReleaseId, *, server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Show a release: what it is, how far it is, and how each service stands."""
    release = talk(server, lambda coordinator: _read(coordinator, release_id))
    if as_json:
        print_json(release)
    else:
        _print_release(release)


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
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Show what happens to a release as it happens, until it needs a person or has ended.

    A connection that breaks is taken up again where it broke. Exit codes: 0 staged or published, 1 failed or canceled,
    3 no coordinator, 124 timed out.
    """

    async def watched(coordinator: "Api") -> Json:
        return await _watched(coordinator, release_id, until, timeout, as_json=as_json)

    _print_outcome(talk(server, watched), as_json=as_json)


@app.command(
    "publish",
    epilog=example("lockstep release publish RE_8Y99QZJJ", "lockstep release publish RE_8Y99QZJJ --yes --watch"),
)
def publish_release(
    release_id: ReleaseId,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether it is meant.")] = False,
    watch: Watch = False,
    timeout: Timeout = None,
    server: Server = DEFAULT_SERVER,
    as_json: AsJson = False,
) -> None:
    """Publish a release that is staged, on all of its services.

    It gets its final version now. A release that shares a study with one that was asked to publish before waits for
    that one. At a terminal the command asks first.
    """

    async def publish(coordinator: "Api") -> Json:
        if not yes and is_terminal() and sys.stdin.isatty():
            _confirm(await _read(coordinator, release_id))
        release = await coordinator.post(f"releases/{release_id}/publish", what=f"release {release_id}")
        if watch:
            since = release["step_since"]
            return await _watched(coordinator, release_id, Until.PUBLISHED, timeout, as_json=as_json, since=since)
        return release

    _print_outcome(talk(server, publish), as_json=as_json)


@app.command("cancel", epilog=example("lockstep release cancel RE_8Y99QZJJ"))
def cancel_release(release_id: ReleaseId, *, server: Server = DEFAULT_SERVER, as_json: AsJson = False) -> None:
    """Cancel a release on all of its services, at any time before it has ended."""
    what = f"release {release_id}"
    release = talk(server, lambda coordinator: coordinator.delete(f"releases/{release_id}", what=what))
    if as_json:
        print_json(release)
    else:
        _print_releases([release])
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


def _confirm(release: Json) -> None:
    """Ask whether a release is really to be published.

    Raises:
        Refused: it is not.
    """
    services, studies = len(release["tasks"]), len(release["studies"])
    question = f"Publish {release['name']!r} ({studies} studies) on {services} services?"
    if not typer.confirm(question, default=False, err=True):
        raise Refused("Nothing was published.")


def _print_outcome(release: Json, *, as_json: bool) -> None:
    from lockstep.cli.watching import check_outcome

    if as_json:
        print_json(release)
    else:
        _print_releases([release])
    check_outcome(release)


def _print_releases(releases: list[Json]) -> None:
    rows = [
        (
            release["kf_id"],
            release["version"],
            release["state"],
            len(release["studies"]),
            when(release["created_at"]),
            release["name"],
        )
        for release in releases
    ]
    print_table(_HEADINGS, rows, right=("STUDIES",))


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
