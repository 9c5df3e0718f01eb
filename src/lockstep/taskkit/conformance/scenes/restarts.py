"""The service is restarted while it has tasks in every state, one of them in the middle of its staging."""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Final

from lockstep.protocol.messages import Action
from lockstep.protocol.states import TaskState
from lockstep.taskkit.conformance.findings import Verdict
from lockstep.taskkit.conformance.played import Subject
from lockstep.taskkit.conformance.scene import Scene, together

_T = TaskState
_OK, _CONFLICT = 200, 409
_TICK_S: Final = 0.05
_HIGH: Final = 9
CASES: Final = ("restart-forgets-nothing", "restart-takes-up", "restart-stages", "epoch-outlives-restart")
"""What can be judged only by a restart."""


class RestartFailed(Exception):
    """The service could not be restarted; the text says why."""


async def restart(scene: Scene) -> None:
    """Bring tasks to every state, restart, and look what became of each."""
    if scene.options.restart is None:
        scene.report.leave_open("--restart-command was not given", *CASES, needed=True)
        return
    resting = {state: scene.new() for state in (_T.PENDING, _T.STAGED, _T.PUBLISHED, _T.CANCELED)}
    await together(*(_rest(scene, subject, state) for state, subject in resting.items()))
    if resting[_T.CANCELED].state is not _T.CANCELED:
        del resting[_T.CANCELED]
    keeps_epochs = scene.report.tallies["epoch-named"].verdict is Verdict.PASSED
    if keeps_epochs:
        await scene.ask(Action.GET_STATUS, resting[_T.PENDING], epoch=_HIGH)
    running, publishing = scene.new(), scene.new()
    await together(scene.bring(running, _T.PENDING), scene.bring(publishing, _T.STAGED))
    async with AsyncExitStack() as work:
        is_running = await work.enter_async_context(scene.at_work(running, Action.START))
        is_publishing = await work.enter_async_context(scene.at_work(publishing, Action.PUBLISH))
        if not await _restarted(scene):
            return
        for state, subject in resting.items():
            await _is_remembered(scene, subject, state)
    await _comes_to_its_end(scene, running, _T.STAGED, was_at_work=is_running)
    await _comes_to_its_end(scene, publishing, _T.PUBLISHED, was_at_work=is_publishing)
    if keeps_epochs:
        stale = await scene.ask(Action.START, resting[_T.PENDING], epoch=_HIGH - 1)
        sentence = (
            f"After a restart start of epoch {_HIGH - 1} was answered {stale.status}, and {_HIGH} had come before."
        )
        scene.judge("epoch-outlives-restart", stale, sentence, fine=stale.status == _CONFLICT)
    else:
        scene.report.leave_open("it does not keep epochs", "epoch-outlives-restart", needed=True)


async def _rest(scene: Scene, subject: Subject, state: TaskState) -> None:
    await scene.bring(subject, _T.PENDING if state is _T.CANCELED else state)
    if state is _T.CANCELED:
        await scene.ask(Action.CANCEL, subject)
        await scene.until(subject, state)


async def _restarted(scene: Scene) -> bool:
    """Restart the service and wait until it answers again."""
    assert scene.options.restart is not None  # noqa: S101 - asked above
    try:
        await scene.options.restart()
    except RestartFailed as error:
        scene.report.leave_open(str(error), *CASES, needed=True)
        scene.report.notes.append(str(error))
        return False
    end = time.monotonic() + 2 * scene.options.patience_s
    while time.monotonic() < end:
        if (await scene.speaker.send("GET", "/status", None, {})).status == _OK:
            return True
        await asyncio.sleep(_TICK_S)
    scene.report.leave_open("the service did not answer after its restart", *CASES, needed=True)
    return False


async def _is_remembered(scene: Scene, subject: Subject, state: TaskState) -> None:
    seen = await scene.ask(Action.GET_STATUS, subject)
    scene.judge_state("restart-forgets-nothing", seen, f"After a restart a task that was {state} is {{}}.", state)


async def _comes_to_its_end(scene: Scene, subject: Subject, state: TaskState, *, was_at_work: bool) -> None:
    seen = await scene.until(subject, state)
    if seen.state is None:
        sentence = "After a restart a task that was at work is unknown."
        scene.judge("restart-forgets-nothing", seen, sentence, fine=False)
        return
    if not was_at_work:
        return
    ended = seen.state in {state, _T.FAILED}
    sentence = f"{scene.options.patience_s:g} s after a restart the task is still {seen.state}."
    if scene.judge("restart-takes-up", seen, sentence, fine=ended):
        sentence = f"A restart made a task fail that should have become {state}."
        scene.judge("restart-stages", seen, sentence, fine=seen.state is state)
