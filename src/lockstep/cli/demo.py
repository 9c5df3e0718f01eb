"""The whole system in one process, as real servers on loopback, for the demo.

A coordinator on SQLite, the sample data service, and three task services: the reference task, the release reports and
the snapshot task. They speak to each other over HTTP as they would on five machines. The story that is told with them
is in `story`. All that they write lies in one folder, and so does their log.

The sample data service takes its time for every answer, as one far away would, so that the work on it can be seen;
nothing else is slowed down, and no progress is shown that is not made.
"""

import asyncio
import sys
from pathlib import Path
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from lockstep import __version__, reference
from lockstep.cli.endings import Ending, Refused, WrongUse
from lockstep.cli.hosting import address_of, hosting, run
from lockstep.cli.premises import HOST, Premises
from lockstep.cli.story import Cast, Place, tell
from lockstep.cli.tables import is_terminal, print_facts
from lockstep.coordinator.bootstrap import running
from lockstep.coordinator.listening import CannotStart
from lockstep.coordinator.logs import set_up_logs
from lockstep.coordinator.settings import Settings, WrongSetting, read_settings
from lockstep.dataservice.catalogue import AS_OF
from lockstep.dataservice.sample import make_app as make_data_service
from lockstep.reports.service import make_service as make_reports
from lockstep.snapshot.service import make_service as make_snapshot
from lockstep.taskkit import StoreUnavailable, TaskService

EARLIER, LATER = AS_OF
"""The counts that the sample data service has at first, and those that it has for the second release."""

POLL_INTERVAL_S: Final = 0.25
"""Between two polls: as often as a person would look."""

REPORT_CONNECTIONS: Final = 4
"""Counts that the reports ask for at the same time: few, for a release of five studies."""


def demo(place: Premises, *, pace_s: float, leave: bool) -> None:
    """Run the demo until Ctrl-C, or until the second release is published.

    Args:
        place: where.
        pace_s: seconds that the sample data service takes for each answer.
        leave: end when the second release is published.

    Raises:
        Ending: it could not be run; the sentence says why.
    """
    with (place.folder / "demo.log").open("w", encoding="utf-8") as log:
        set_up_logs(stream=log)
        run(_demo(place, _settings(place), pace_s=pace_s, leave=leave))


def _settings(place: Premises) -> Settings:
    try:
        return read_settings(
            _env_file=None,
            host=HOST,
            port=place.coordinator_port,
            database_url=f"sqlite:///{place.folder / 'lockstep.db'}",
            dataservice_url=address_of(place.listeners["sample data service"]),
            reports_url=address_of(place.listeners["release reports"]),
            poll_interval=POLL_INTERVAL_S,
        )
    except WrongSetting as error:
        raise WrongUse(str(error)) from None


async def _demo(place: Premises, settings: Settings, *, pace_s: float, leave: bool) -> None:
    problem: Exception | None = None
    try:
        async with running(settings) as coordinator:
            try:
                await _perform(place, settings, coordinator.url, pace_s=pace_s, leave=leave)
            except (Ending, StoreUnavailable, BrokenPipeError) as error:
                problem = error
    except CannotStart as error:
        problem = error
    if problem is not None:
        raise Refused(str(problem)) if isinstance(problem, StoreUnavailable | CannotStart) else problem


async def _perform(place: Premises, settings: Settings, coordinator_url: str, *, pace_s: float, leave: bool) -> None:
    """Run the other servers around a coordinator, tell the story, and stay."""
    async with hosting() as servers:
        data_service = make_data_service(as_of=EARLIER)
        await servers.start(_Paced(data_service, pace_s), place.listeners["sample data service"])
        services = _services(coordinator_url, settings.dataservice_url, place.folder)
        for name, (service, _) in services.items():
            await service.start()
            await servers.start(service, place.listeners[name])
        addresses = {name: address_of(listener) for name, listener in place.listeners.items()}
        print(f"Lockstep {__version__}: two releases on their way to three task services, on this machine only.\n")
        print_facts([("coordinator", coordinator_url), *addresses.items(), ("files and log", place.folder)])
        taking_part = [Place(name, does, addresses[name]) for name, (_, does) in services.items()]
        cast = Cast(
            coordinator_url, taking_part, settings.reports_url, lambda: data_service.state.sample.turn_to(LATER)
        )
        await tell(cast, may_ask=is_terminal() and sys.stdin.isatty() and not leave)
        if not leave:
            _say_goodbye(coordinator_url, place.folder)
            await servers.wait()


def _services(coordinator_url: str, dataservice_url: str, folder: Path) -> dict[str, tuple[TaskService, str]]:
    """Make the task services; each with what it does."""
    reports = make_reports(
        dataservice_url=dataservice_url,
        folder=folder / "reports",
        coordinator_url=coordinator_url,
        connections=REPORT_CONNECTIONS,
    )
    snapshot = make_snapshot(
        dataservice_url=dataservice_url, folder=folder / "snapshot", coordinator_url=coordinator_url
    )
    return {
        "reference task": (
            reference.make_service(folder / "reference", coordinator_url=coordinator_url),
            "Brings each study's record into a folder.",
        ),
        "release reports": (reports, "Counts what the release holds."),
        "snapshot task": (snapshot, "Keeps every record as JSON."),
    }


class _Paced:
    """An application that takes its time for every answer."""

    def __init__(self, app: ASGIApp, pace_s: float) -> None:
        self._app = app
        self._pace_s = pace_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await asyncio.sleep(self._pace_s)
        await self._app(scope, receive, send)


def _say_goodbye(coordinator_url: str, folder: Path) -> None:
    print("\nEverything stays up until Ctrl-C. Look at it:")
    print_facts(
        [
            ("dashboard", coordinator_url),
            ("public page", f"{coordinator_url}/public"),
            ("command", f"lockstep --server {coordinator_url} release list"),
            ("files", folder),
        ]
    )
