"""A stack from its start to its end: brought up, introduced, shown, watched over, and taken down.

What is said to the coordinator is said as any client would say it, and may be said again: services that it knows are
left alone, or told where they are now.
"""

import asyncio
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from lockstep.cli.client import Api, Json
from lockstep.cli.display import display
from lockstep.cli.options import Until
from lockstep.cli.tables import print_facts, print_table
from lockstep.cli.watching import check_outcome, watch
from lockstep.dataservice.catalogue import five_demo_studies
from lockstep.stack.processes import PATIENCE_S, Guard, Process, is_ready
from lockstep.stack.stack import Stack

LOOK_S: Final = 0.2
"""Between two looks at the processes."""

SOON_S: Final = 10.0
"""A process that ends so soon after its start is given a pause before the next, which grows."""

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0

_AUTHOR: Final = "stack"


async def stand(folder: Path, guard: Guard, ports: Mapping[str, int], *, workers: int, leave: bool) -> None:
    """Have a stack until cancelled, or until its release is published.

    Args:
        folder: where everything is kept.
        guard: with whom its processes end.
        ports: where its servers are to be.
        workers: how many work.
        leave: take a release to the public, and return.

    Raises:
        DidNotStart: a process did not come up.
        Ending: the coordinator refused something, or the release did not get there.
    """
    stack = Stack(folder, guard, ports=ports, workers=workers)
    watching: asyncio.Task[None] | None = None
    try:
        await _bring_up(stack)
        async with Api(stack.url) as coordinator:
            await _introduce(stack, coordinator)
            _show(stack)
            watching = asyncio.create_task(Watch(stack.processes).run())
            if leave:
                await _release(coordinator)
            else:
                print("Everything stays up until Ctrl-C. A process that ends is started again.")
                await watching
    finally:
        if watching is not None:
            watching.cancel()
        stack.stop()
        print("Everything is stopped.")


async def _bring_up(stack: Stack) -> None:
    until = time.monotonic() + PATIENCE_S
    for group in (stack.engines, stack.servers):
        for process in group:
            process.launch()
        for process in group:
            while not await asyncio.to_thread(is_ready, process, until):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(LOOK_S / 4)


async def _introduce(stack: Stack, coordinator: Api) -> None:
    """Tell the coordinator of the task services and of the studies, as far as it does not know them."""
    does = {
        stack.reference: "Brings each study's record into a folder.",
        stack.reports: "Counts what the release holds.",
    }
    known = {row["name"]: row for row in (await coordinator.rows("task-services", most=None))["results"]}
    for service, description in does.items():
        body = {"name": service.name, "description": description, "url": service.url, "author": _AUTHOR}
        if service.name not in known:
            await coordinator.post("task-services", body)
        elif known[service.name]["url"] != service.url:
            await coordinator.patch(f"task-services/{known[service.name]['kf_id']}", {"url": service.url})
    await coordinator.post("studies/sync", mark="message")


def _show(stack: Stack) -> None:
    rows = [
        ("Postgres", stack.postgres.url, _number(stack.postgres)),
        ("Valkey", stack.valkey.url, _number(stack.valkey)),
    ]
    rows += [(server.name, server.url, _number(server)) for server in stack.servers]
    print_table(("WHAT", "WHERE", "PROCESS"), rows, right=["PROCESS"])
    print_facts([("files and logs", stack.folder), ("releases", f"{stack.url}/releases")])


def _number(process: Process) -> str:
    return "-" if process.process is None else str(process.process.pid)


class Watch:
    """Starts again what has ended by itself, and says so; what ends again and again, after longer and longer pauses."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = processes
        self._launched = dict.fromkeys(processes, float("-inf"))
        self._pauses = dict.fromkeys(processes, 0.0)
        self._due: dict[Process, float] = {}
        self._awaited: set[Process] = set()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            now = time.monotonic()
            for process in self._processes:
                if process.ended is not None:
                    self._see_to(process, now)
                elif process in self._awaited and await asyncio.to_thread(process.answers):
                    self._awaited.discard(process)
                    _say(f"{_called(process)} is there again, as process {_number(process)}.")
            await asyncio.sleep(LOOK_S)

    def _see_to(self, process: Process, now: float) -> None:
        if process not in self._due:
            soon = now - self._launched[process] < SOON_S
            self._pauses[process] = min(max(2 * self._pauses[process], FIRST_PAUSE_S), LONGEST_PAUSE_S) if soon else 0
            self._due[process] = now + self._pauses[process]
            after = f" in {self._pauses[process]:g} s" if soon else ""
            _say(f"{_called(process)} {_how_it_ended(process)}. It is started again{after}.")
        if now >= self._due[process]:
            del self._due[process]
            self._launched[process] = now
            self._awaited.add(process)
            process.launch()


def _called(process: Process) -> str:
    return process.name if process.name[0].isupper() else f"The {process.name}"


def _how_it_ended(process: Process) -> str:
    status = process.ended or 0
    if status < 0:
        with suppress(ValueError):
            return f"was ended by {signal.Signals(-status).name}"
    return f"has ended with status {status} ({process.end_of_log()[:300]})"


def _say(sentence: str) -> None:
    print(f"{datetime.now().astimezone():%H:%M:%S}  {sentence}")


async def _release(coordinator: Api) -> None:
    """Take a release of real studies all the way."""
    studies = [study["kf_id"] for study in five_demo_studies()]
    body = {"name": "Five Kids First studies", "studies": studies, "tags": [_AUTHOR], "author": _AUTHOR}
    release = await _shown(coordinator, await coordinator.post("releases", body), Until.REVIEW)
    asked = await coordinator.post(f"releases/{release['kf_id']}/publish")
    release = await _shown(coordinator, asked, Until.PUBLISHED)
    print(f"Release {release['kf_id']} is public on every service, as version {release['version']}.")


async def _shown(coordinator: Api, release: Json, until: Until) -> Json:
    with display() as shown:
        release = await watch(coordinator, release["kf_id"], until, shown, since=release["step_since"])
    check_outcome(release)
    return release
