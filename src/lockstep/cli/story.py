"""What the demo tells: two releases of real studies one after the other, from start to published, through the API.

The first is published as it is, since there is nothing public that it could change. Then the data service has the
counts of a quarter later, and what changes with the second release is reviewed before it is published. At a terminal
a person decides; without one, or when the demo is to end by itself, the review is shown and the release published.

Everything here is asked of the coordinator and of the release reports as any client would ask it; the servers are
already running (`demo`).
"""

import asyncio
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from lockstep.cli.client import Api, Json
from lockstep.cli.display import display
from lockstep.cli.options import Until
from lockstep.cli.review import print_diff
from lockstep.cli.tables import is_terminal, print_table
from lockstep.cli.watching import check_outcome, watch
from lockstep.dataservice.catalogue import five_demo_studies, study_records
from lockstep.dataservice.entities import REPORTED

ADDED_STUDY: Final = "SD_9PYZAHHE"
"""The study that the second release adds to the five of the first."""

Study = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Something that runs: its name, what it does, and where."""

    name: str
    does: str
    url: str


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part.

    Attributes:
        coordinator: where it is.
        services: the task services.
        reports: where the one of them is that reports.
        a_quarter_later: gives the data service its next counts.
    """

    coordinator: str
    services: Sequence[Place]
    reports: str
    a_quarter_later: Callable[[], None]


async def tell(cast: Cast, *, may_ask: bool) -> None:
    """Take two releases all the way, and show what the second one changes.

    Args:
        cast: who takes part.
        may_ask: a person at a terminal is asked before the second one is published.

    Raises:
        Ending: it did not get there; the sentence says why.
    """
    async with Api(cast.coordinator) as coordinator, Api(cast.reports, kind="release reports service") as reports:
        await _Story(cast, coordinator, reports, may_ask).tell()


class _Story:
    """The story under way."""

    def __init__(self, cast: Cast, coordinator: Api, reports: Api, may_ask: bool) -> None:
        self._cast = cast
        self._coordinator = coordinator
        self._reports = reports
        self._may_ask = may_ask
        self._numbers = count(1)

    async def tell(self) -> None:
        studies = five_demo_studies()
        await self._set_up()
        self._headline("A release of five real studies is started, and staged where the public cannot see it.")
        _print_studies(studies)
        release = await self._staged("Five Kids First studies", studies)
        self._headline("Nothing is public yet that it could change. It is published.")
        await self._published(release)
        print(f"Counted: {await self._totals(release)}.")
        self._cast.a_quarter_later()
        added = [study for study in study_records() if study["kf_id"] == ADDED_STUDY]
        self._headline("A quarter later the studies have other counts, and one more joins them in a second release.")
        _print_studies(added)
        release = await self._staged("A quarter later", [*studies, *added])
        self._headline("It is staged, and waits for its review. This is what it changes:")
        await self._review(release, [*studies, *added])
        if self._may_ask and not await _agreed():
            await self._cancel(release)
            return
        self._headline("It is published.")
        await self._published(release)

    async def _set_up(self) -> None:
        for service in self._cast.services:
            body = {"name": service.name, "description": service.does, "url": service.url, "author": "demo"}
            await self._coordinator.post("task-services", body)
        synced = await self._coordinator.post("studies/sync", mark="new")
        names = ", ".join(service.name for service in self._cast.services)
        self._headline(f"Task services registered: {names}. Studies read from the data service: {synced['new']}.")

    async def _staged(self, name: str, studies: Iterable[Study]) -> Json:
        release = await self._coordinator.post(
            "releases",
            {
                "name": name,
                "description": "Started by `lockstep demo`.",
                "studies": [study["kf_id"] for study in studies],
                "tags": ["demo"],
                "author": "demo",
            },
        )
        return await self._shown(release, Until.REVIEW)

    async def _totals(self, release: Json) -> str:
        report = await self._reports.get(f"reports/releases/{release['kf_id']}", mark="release_id")
        return ", ".join(f"{report[entity]:,} {entity.replace('-', ' ')}" for entity in REPORTED if entity in report)

    async def _review(self, release: Json, studies: Iterable[Study]) -> None:
        diff = await self._reports.get(f"reports/releases/{release['kf_id']}/diff", mark="study_diffs")
        print_diff(diff, {study["kf_id"]: study["name"] for study in studies})

    async def _published(self, release: Json) -> None:
        release = await self._coordinator.post(f"releases/{release['kf_id']}/publish")
        release = await self._shown(release, Until.PUBLISHED)
        self._headline(f"Release {release['kf_id']} is public on every service, as version {release['version']}.")

    async def _cancel(self, release: Json) -> None:
        self._headline("It is canceled, and every service throws away what it had staged.")
        release = await self._coordinator.delete(f"releases/{release['kf_id']}")
        with display() as shown:
            await watch(self._coordinator, release["kf_id"], Until.SETTLED, shown, since=release["step_since"])

    async def _shown(self, release: Json, until: Until) -> Json:
        with display() as shown:
            release = await watch(self._coordinator, release["kf_id"], until, shown, since=release["step_since"])
        check_outcome(release)
        return release

    def _headline(self, sentence: str) -> None:
        """Print the next step of the story."""
        number = next(self._numbers)
        if not is_terminal():
            print(f"{number}. {sentence}")
            return
        from rich.console import Console
        from rich.text import Text

        Console().print(Text(f"\n{number}  {sentence}", style="bold"))


def _print_studies(studies: Iterable[Study]) -> None:
    print_table(("ID", "STUDY"), [(study["kf_id"], study["name"]) for study in studies])


async def _agreed() -> bool:
    """Ask at the terminal whether to publish; Enter means yes, and whatever is not a yes means no."""
    loop = asyncio.get_running_loop()
    typed = asyncio.Event()
    print("\nPublish it? [Y/n] ", end="", flush=True)
    loop.add_reader(sys.stdin.fileno(), typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
    return sys.stdin.readline().lower() in {"\n", "y\n", "yes\n"}
