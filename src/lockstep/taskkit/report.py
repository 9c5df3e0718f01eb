"""Tells the coordinator how the tasks are doing, and never makes the work wait for it.

What a task has to say is one line, and the latest word on it is all that counts: a progress that was not sent yet
gives way to the next, and to a state. One courier per line carries one report at a time, so that no report can
overtake another. A progress goes out twice a second at most and is not repeated when it is lost. A state is carried
until it arrives or was tried often enough; then the coordinator finds it when it polls. A refusal is final: one line
in the log, and nothing more of that task until its next state.

Everything here happens in a thread with an event loop of its own, since the work that reports has many loops or none.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Thread
from typing import Any, Final

import aiohttp

from lockstep.protocol.states import TaskState
from lockstep.taskkit.coordinator import Coordinator, Reply
from lockstep.taskkit.log_lines import Line, Postman
from lockstep.taskkit.store import AT_WORK, StoredTask
from lockstep.taskkit.threads import make_loop, start_thread

_log = logging.getLogger("lockstep.taskkit")

TRIES: Final = 9
"""How often a state is sent before it is left to polling: with the usual pauses, for about two minutes."""

LONGEST_PAUSE_S: Final = 60.0
FAREWELL_S: Final = 1.0
"""How long a service that goes down waits for reports on their way."""


@dataclass(frozen=True, slots=True)
class _Report:
    state: TaskState
    progress: int
    findings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def must_arrive(self) -> bool:
        return self.state not in AT_WORK


@dataclass(slots=True)
class _Line:
    latest: _Report | None = None
    state_came: asyncio.Event = field(default_factory=asyncio.Event)
    tries: int = 0


class Reporter:
    """Reports to a coordinator; without one, it holds its tongue."""

    def __init__(
        self,
        coordinator: Coordinator | None,
        *,
        progress_interval_s: float,
        retry_pause_s: float,
        heartbeat_s: float | None = None,
    ) -> None:
        self._coordinator = coordinator
        self._progress_interval_s = progress_interval_s
        self._retry_pause_s = retry_pause_s
        self._heartbeat_s = heartbeat_s
        self._alive: Callable[[], Sequence[StoredTask]] = list
        self._thread: Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = asyncio.Event()
        self._lines: dict[str, _Line] = {}
        self._couriers: set[asyncio.Task[None]] = set()
        self._refused: set[str] = set()

    def start(self, alive: Callable[[], Sequence[StoredTask]]) -> None:
        """Begin; again: nothing happens. `alive` tells which tasks have shown life since it was asked last."""
        if self._coordinator is None or self._thread is not None:
            return
        self._alive = alive
        ready = Event()
        self._thread = start_thread(partial(self._run, self._coordinator, ready), "lockstep reports")
        ready.wait()

    def stop(self) -> None:
        """Give the reports on their way a moment to arrive, and end."""
        if self._thread is None or self._loop is None:
            return
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(2 * FAREWELL_S)
        self._thread = self._loop = None

    def tell(self, task_id: str, state: TaskState, progress: int, findings: Mapping[str, Any] | None = None) -> None:
        """Leave the latest word about a task. Returns at once, from any thread.

        A progress is left where the courier on its way will look next, without waking anybody: work that computes
        would pay for every percent with a change of threads.
        """
        report, line = _Report(state, progress, findings or {}), self._lines.get(task_id)
        if line is not None and not report.must_arrive:
            if task_id in self._refused:
                return
            line.latest = report
            if self._lines.get(task_id) is line:
                return
        if (loop := self._loop) is not None:
            with suppress(RuntimeError):  # the loop was closed just now
                loop.call_soon_threadsafe(self._take_in, task_id, report)

    def write(self, line: Line) -> None:
        """Leave a line about a task. Returns at once, from any thread."""
        if (loop := self._loop) is not None:
            with suppress(RuntimeError):  # the loop was closed just now
                loop.call_soon_threadsafe(self._take_line, line)

    def _run(self, coordinator: Coordinator, ready: Event) -> None:
        try:
            with asyncio.Runner(loop_factory=make_loop) as runner:
                runner.run(self._stay(coordinator, ready))
        finally:
            ready.set()

    async def _stay(self, coordinator: Coordinator, ready: Event) -> None:
        self._closing = asyncio.Event()
        self._lines, self._couriers, self._refused = {}, set(), set()
        async with aiohttp.ClientSession() as session:
            self._patch = partial(coordinator.patch_task, session)
            self._postman = postman = Postman(partial(_add_event, coordinator, session), self._retry_pause_s)
            self._loop = asyncio.get_running_loop()
            ready.set()
            beating = asyncio.create_task(self._beat())
            await self._closing.wait()
            beating.cancel()
            for line in self._lines.values():
                line.state_came.set()
            couriers = {*self._couriers, *({postman.courier} if postman.courier is not None else ())}
            if couriers:
                await asyncio.wait(couriers, timeout=FAREWELL_S)

    async def _beat(self) -> None:
        """Say every so often of each task that is alive that it is: the same report as before, with a number."""
        number = 0
        while self._heartbeat_s is not None:
            await asyncio.sleep(self._heartbeat_s)
            number += 1
            for task in self._alive():
                if task.task_id not in self._lines:
                    self._take_in(task.task_id, _Report(task.state, task.progress, {"heartbeat": number}))

    def _take_line(self, line: Line) -> None:
        self._postman.take(line)

    def _take_in(self, task_id: str, report: _Report) -> None:
        if report.must_arrive:
            self._refused.discard(task_id)
        elif task_id in self._refused:
            return
        line = self._lines.get(task_id)
        if line is None:
            line = self._lines[task_id] = _Line()
            courier = asyncio.create_task(self._carry(task_id, line))
            self._couriers.add(courier)
            courier.add_done_callback(self._couriers.discard)
        line.latest, line.tries = report, 0
        if report.must_arrive:
            line.state_came.set()

    async def _carry(self, task_id: str, line: _Line) -> None:
        """Be the courier of a line until there is nothing more to say on it."""
        while (report := line.latest) is not None:
            line.latest = None
            line.state_came.clear()
            line.tries += 1
            reply = await self._patch(task_id, report.state, report.progress, report.findings)
            pause_s = self._progress_interval_s
            if reply.is_refusal:
                self._mute(task_id, line, report, reply)
            elif not reply.is_success:
                pause_s = min(LONGEST_PAUSE_S, self._retry_pause_s * 2 ** (line.tries - 1))
                self._put_back(task_id, line, report, reply)
                await asyncio.sleep(reply.retry_after_s)
            if self._closing.is_set():
                break
            await _pause(line, pause_s)
        del self._lines[task_id]
        if line.latest is not None and not self._closing.is_set():
            self._take_in(task_id, line.latest)  # it was left there as the courier went

    def _mute(self, task_id: str, line: _Line, report: _Report, reply: Reply) -> None:
        """Say nothing more of a task's progress until its next state: it would be refused as well."""
        self._refused.add(task_id)
        if line.latest is not None and not line.latest.must_arrive:
            line.latest = None
        _log.warning("the coordinator refused the report that task %s is %s: %s", task_id, report.state, reply.reason)

    def _put_back(self, task_id: str, line: _Line, report: _Report, reply: Reply) -> None:
        """Keep a state that did not arrive for another try, unless something newer is to be said or it is enough."""
        if not report.must_arrive or line.latest is not None:
            return
        if line.tries < TRIES:
            line.latest = report
        else:
            _log.warning(
                "the report that task %s is %s did not arrive (%s); it is left to the coordinator's polling",
                task_id, report.state, reply.reason,
            )  # fmt: skip


async def _add_event(coordinator: Coordinator, session: aiohttp.ClientSession, line: Line) -> Reply:
    links = {"release": f"/releases/{line.release_id}", "task": f"/tasks/{line.task_id}"}
    return await coordinator.add_event(session, {"event_type": line.level, "message": line.text, **links}, line.key)


async def _pause(line: _Line, pause_s: float) -> None:
    """Wait for a time, or until there is a new state to report."""
    try:
        async with asyncio.timeout(pause_s):
            await line.state_came.wait()
    except TimeoutError:
        return
