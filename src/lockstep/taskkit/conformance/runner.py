"""Plays all scenes with a service and returns what was found.

First the door: somebody must be there, and let a task be initialized; otherwise every scene would find the same. Then
the scenes side by side, a few at a time, and at the end the restart, which none of them would survive. When the time
is over, what is still being played is cut off. Whatever happens, tasks that may not have ended are canceled.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from lockstep.protocol.messages import Action
from lockstep.protocol.states import TaskState
from lockstep.taskkit.conformance.cases import CASES
from lockstep.taskkit.conformance.exchange import Exchange, Speaker
from lockstep.taskkit.conformance.findings import Report
from lockstep.taskkit.conformance.options import Options
from lockstep.taskkit.conformance.played import Played
from lockstep.taskkit.conformance.scene import Scene, Stuck
from lockstep.taskkit.conformance.scenes import SCENES
from lockstep.taskkit.conformance.scenes.restarts import restart

_OK: Final = 200
_NO_ENTRY: Final = frozenset({401, 403})
_CLEAN_UP_S: Final = 4.0


class NotReachable(Exception):
    """Nobody answers at the address; the text says why."""


async def check(url: str, options: Options | None = None) -> Report:
    """Check the task service at an address.

    Args:
        url: the address, without `/tasks`.
        options: what was chosen; the defaults if not given.

    Raises:
        NotReachable: nobody answers there.
        OSError: the played coordinator cannot listen at the address that was chosen for it.
    """
    options, begun = options or Options(), time.monotonic()
    report = Report(url.rstrip("/"))
    async with (
        Played(options.host, options.port) as played,
        Speaker(url, options.token, options.answer_limit_s) as speaker,
    ):
        scene = Scene(speaker, played, report, options)
        try:
            async with asyncio.timeout(options.limit_s):
                if await _enter(scene):
                    await _play(scene)
        except TimeoutError:
            report.timed_out = True
        finally:
            await _clean_up(scene)
    report.elapsed_s = time.monotonic() - begun
    return report


async def _enter(scene: Scene) -> bool:
    """Look who is there, and whether a task can be initialized at all."""
    status = await scene.speaker.send("GET", "/status", None, {})
    if status.status is None:
        raise NotReachable(status.trouble)
    _judge_status(scene, status)
    subject = scene.new()
    answer = await scene.say(Action.INITIALIZE, subject)
    if answer.status not in _NO_ENTRY | {404, 405}:
        return True
    wants = answer.status in _NO_ENTRY
    reason = "the service wants an identity; give --token" if wants else "there is no POST /tasks at this address"
    scene.judge("action-accepted", answer, f"{reason[:1].upper()}{reason[1:]}.", fine=False)
    scene.report.leave_open(reason, *(name for name in CASES if name != "action-accepted"), needed=True)
    return False


def _judge_status(scene: Scene, status: Exchange) -> None:
    fields = status.fields or {}
    named = _with_name(fields)
    fine = status.status == _OK and named is not None
    seen = "does not say who is there: no `name`" if status.status == _OK else "is not answered 200"
    scene.judge("status-answers", status, f"GET /status {seen}.", fine=fine)
    if named is not None:
        scene.report.name, scene.report.version = str(named["name"])[:100], str(named.get("version", ""))[:40]
        sentence = "The name is not at the top of the answer to GET /status, or there is no version beside it."
        scene.judge("status-name-on-top", status, sentence, fine="name" in fields and "version" in fields)


def _with_name(fields: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the object that has a `name`, at whatever depth."""
    waiting: list[Any] = [fields]
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, Mapping):
            if "name" in value:
                return value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return None


async def _play(scene: Scene) -> None:
    turns = asyncio.Semaphore(scene.options.jobs)

    async def in_turn(play: Callable[[Scene], Awaitable[None]]) -> None:
        async with turns:
            try:
                await play(scene)
            except Stuck:
                return

    only = scene.options.only
    async with asyncio.TaskGroup() as playing:
        for name, play in SCENES.items():
            if not only or name in only:
                playing.create_task(in_turn(play))
    if not only or "restart" in only:
        await in_turn(restart)


async def _clean_up(scene: Scene) -> None:
    try:
        async with asyncio.timeout(_CLEAN_UP_S):
            await scene.clean_up()
    except TimeoutError:
        left = sum(each.was_asked and each.state is not TaskState.CANCELED for each in scene.subjects)
        scene.report.notes.append(f"Not every task could be canceled at the end; up to {left} may be left.")
