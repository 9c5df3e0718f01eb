"""The same thing twice: one after the other, all at once, and because an answer was lost."""

import asyncio
import time
from collections import Counter
from typing import Final

from lockstep.protocol.messages import Action
from lockstep.protocol.states import TASK_LINE, TaskState, reached
from lockstep.taskkit.conformance.played import Subject
from lockstep.taskkit.conformance.scene import WAY, Scene, Stuck

_T = TaskState
_OK: Final = 200
_AT_ONCE: Final = 4
_FOUND_OUT_S: Final = 1.0
_TICK_S: Final = 0.05
_ASKED_AGAIN: Final = {
    _T.PENDING: (Action.INITIALIZE,),
    _T.STAGED: (Action.START, Action.INITIALIZE),
    _T.PUBLISHED: (Action.PUBLISH,),
}


async def repeat_at(scene: Scene, state: TaskState) -> None:
    """Ask for what was done already, in a state where a task rests."""
    subject = scene.new()
    await scene.bring(subject, state)
    for action in _ASKED_AGAIN[state]:
        await _again(scene, subject, action, state)


async def repeat_at_work(scene: Scene) -> None:
    """Ask again for what is being done: the work must not begin a second time."""
    subject = scene.new()
    await scene.bring(subject, _T.PENDING)
    async with scene.at_work(subject, Action.START) as is_running:
        if not is_running or not subject.waiting:
            return
        await _at_rest(subject)
        before = list(subject.reads)
        await _again(scene, subject, Action.START, _T.RUNNING)
        await _again(scene, subject, Action.INITIALIZE, _T.RUNNING)
        await _at_rest(subject)
        more = len(subject.reads) - len(before)
        sentence = f"After start was repeated, the service asked for its data {more} times more."
        scene.judge("repeat-works-once", None, sentence, fine=more == 0)
    await scene.arrive(subject, _T.STAGED)


async def repeat_cancel(scene: Scene) -> None:
    """Cancel twice."""
    subject = scene.new()
    await scene.bring(subject, _T.PENDING)
    await scene.ask(Action.CANCEL, subject)
    if (await scene.until(subject, _T.CANCELED)).state is _T.CANCELED:
        await _again(scene, subject, Action.CANCEL, _T.CANCELED)


async def all_at_once(scene: Scene) -> None:
    """Initialize and start a task several times at the same moment."""
    subject = scene.new()
    await asyncio.gather(*(scene.ask(Action.INITIALIZE, subject) for _ in range(_AT_ONCE)))
    after = await scene.ask(Action.GET_STATUS, subject)
    sentence = f"After {_AT_ONCE} times initialize at once the task is {{}}."
    if not scene.judge_state("at-once-is-once", after, sentence, _T.PENDING):
        return
    subject.gate.clear()
    try:
        await asyncio.gather(*(scene.ask(Action.START, subject) for _ in range(_AT_ONCE)))
        await _at_rest(subject)
        address, times = next(iter(Counter(subject.data_reads).most_common(1)), ("", 0))
        sentence = f"After {_AT_ONCE} times start at once the service asked for {address} {times} times at once."
        scene.judge("at-once-is-once", None, sentence, fine=times <= 1)
    finally:
        subject.gate.set()
    await scene.arrive(subject, _T.STAGED)


async def lost_answers(scene: Scene) -> None:
    """Lose the answer to every action, and find out what became of it as a coordinator does."""
    subject = scene.new()
    for state, action in WAY:
        await scene.say_and_hang_up(action, subject)
        if not await _was_done(scene, subject, state):
            await scene.ask(action, subject)
        after = await scene.until(subject, state)
        there = [each for each in TASK_LINE if reached(each, state)]
        sentence = f"The answer to {action} was lost; asked again, the task is {{}}."
        if not scene.judge_state("lost-answer-counts", after, sentence, *there):
            return


async def _was_done(scene: Scene, subject: Subject, state: TaskState) -> bool:
    """Ask until the action whose answer was lost shows an effect, for a moment."""
    before, end = subject.state, time.monotonic() + _FOUND_OUT_S
    while time.monotonic() < end:
        seen = (await scene.ask(Action.GET_STATUS, subject)).state
        if seen is not None and (seen is not before or reached(seen, state)):
            return True
        await asyncio.sleep(_TICK_S)
    return False


async def _again(scene: Scene, subject: Subject, action: Action, state: TaskState) -> None:
    answer = await scene.ask(action, subject)
    if action is not Action.INITIALIZE or state is _T.PENDING:
        sentence = f"{action} was repeated, and answered {answer.status}."
        scene.judge("repeat-is-200", answer, sentence, fine=answer.status == _OK)
    after = await scene.ask(Action.GET_STATUS, subject)
    sentence = f"{action} of a task that was {state} made it {{}}."
    if not scene.judge_state("repeat-changes-nothing", after, sentence, state):
        raise Stuck


async def _at_rest(subject: Subject) -> None:
    """Wait until the service has asked for all that it asks for while it is held."""
    quiet_s, quiet_since, count = 0.25, time.monotonic(), -1
    while time.monotonic() - quiet_since < quiet_s:
        if len(subject.reads) != count:
            count, quiet_since = len(subject.reads), time.monotonic()
        await asyncio.sleep(_TICK_S)
