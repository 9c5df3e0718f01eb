"""What the demo tells: a release of real studies, from its start to the published version, through the API.

Everything here is asked of the coordinator and of the release reports as any client would ask it; the servers are
already running (`demo`). At a terminal a person decides whether to publish; without one, or when the demo is to end by
itself, the review is shown and the release published.
"""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lockstep.cli.client import Api, Json
from lockstep.cli.display import display
from lockstep.cli.options import Until
from lockstep.cli.tables import clean, is_terminal, print_table
from lockstep.cli.watching import check_outcome, watch
from lockstep.dataservice.catalogue import five_demo_studies
from lockstep.dataservice.entities import REPORTED

RELEASE_NAME: Final = "Five Kids First studies"
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Place:
    """Something that runs: its name, what it does, and where."""

    name: str
    does: str
    url: str


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part: the coordinator, the task services, and of those the one that reports."""

    coordinator: str
    services: Sequence[Place]
    reports: str


async def tell(cast: Cast, *, may_ask: bool) -> None:
    """Take a release all the way, and show it.

    Args:
        cast: who takes part.
        may_ask: a person at a terminal is asked before it is published.

    Raises:
        Ending: it did not get there; the sentence says why.
    """
    async with Api(cast.coordinator) as coordinator:
        await _set_up(coordinator, cast.services)
        release = await _staged(coordinator)
        await _review(cast.reports, release)
        if may_ask and not await _agreed():
            await _cancel(coordinator, release)
            return
        await _publish(coordinator, release)


async def _set_up(coordinator: Api, services: Sequence[Place]) -> None:
    for service in services:
        body = {"name": service.name, "description": service.does, "url": service.url, "author": "demo"}
        await coordinator.post("task-services", body)
    synced = await coordinator.post("studies/sync", mark="new")
    names = ", ".join(service.name for service in services)
    headline(1, f"Task services registered: {names}. Studies read from the data service: {synced['new']}.")


async def _staged(coordinator: Api) -> Json:
    studies = five_demo_studies()
    headline(2, "A release of five real studies is started, and staged where the public cannot see it.")
    print_table(("ID", "STUDY"), [(study["kf_id"], study["name"]) for study in studies])
    release = await coordinator.post(
        "releases",
        {
            "name": RELEASE_NAME,
            "description": "Started by `lockstep demo`.",
            "studies": [study["kf_id"] for study in studies],
            "tags": ["demo"],
            "author": "demo",
        },
    )
    return await _shown(coordinator, release, Until.REVIEW)


async def _review(reports_url: str, release: Json) -> None:
    async with Api(reports_url, kind="release reports service") as reports:
        report = await reports.get(f"reports/releases/{release['kf_id']}", mark="release_id")
    headline(3, "It is staged on every service, and waits for its review. Release reports counted:")
    print_report(report)
    reasons = {reason for row in report["study_summaries"].values() for reason in row["unknown"].values()}
    if reasons:
        print(f"Unknown: {'; '.join(map(clean, sorted(reasons)))}. Nothing is estimated.")


async def _publish(coordinator: Api, release: Json) -> None:
    headline(4, "It is published.")
    release = await coordinator.post(f"releases/{release['kf_id']}/publish")
    release = await _shown(coordinator, release, Until.PUBLISHED)
    headline(5, f"Release {release['kf_id']} is public on every service, as version {release['version']}.")


async def _cancel(coordinator: Api, release: Json) -> None:
    headline(4, "It is canceled, and every service throws away what it had staged.")
    release = await coordinator.delete(f"releases/{release['kf_id']}")
    with display() as shown:
        await watch(coordinator, release["kf_id"], Until.SETTLED, shown, since=release["step_since"])


async def _shown(coordinator: Api, release: Json, until: Until) -> Json:
    with display() as shown:
        release = await watch(coordinator, release["kf_id"], until, shown, since=release["step_since"])
    check_outcome(release)
    return release


def print_report(report: Mapping[str, Any]) -> None:
    """Print what a report counted: a row for each entity, a column for each study, and the totals."""
    studies = report["study_summaries"]
    headings = ("ENTITY", *(study_id.replace("_", "_\n") for study_id in studies), "TOTAL")
    if not is_terminal():
        print("\t".join(("entity", *studies, "total")))
    rows = [
        (
            entity.replace("-", " "),
            *(_number(row, entity) for row in studies.values()),
            _total(report, entity),
        )
        for entity in REPORTED
    ]
    print_table(headings, rows, right=headings[1:])


def headline(number: int, sentence: str) -> None:
    """Print the next step of the story."""
    if not is_terminal():
        print(f"{number}. {sentence}")
        return
    from rich.console import Console
    from rich.text import Text

    Console().print(Text(f"\n{number}  {sentence}", style="bold"))


def _number(row: Mapping[str, Any], entity: str) -> str:
    return f"{row[entity]:,}" if entity in row else UNKNOWN


def _total(report: Mapping[str, Any], entity: str) -> str:
    number = _number(report, entity)
    return f"at least {number}" if number != UNKNOWN and entity in report["unknown"] else number


async def _agreed() -> bool:
    """Ask at the terminal whether to publish; Enter means yes."""
    loop = asyncio.get_running_loop()
    typed = asyncio.Event()
    print("\nPublish it? [Y/n] ", end="", flush=True)
    loop.add_reader(sys.stdin.fileno(), typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
    return not sys.stdin.readline().strip().lower().startswith("n")
