"""What is asked at the wrong time, of tasks that nobody knows or that are canceled; and cancel, at any time."""

import asyncio
import time

from lockstep.protocol.messages import Action
from lockstep.protocol.states import SETTLED_TASKS, TaskState
from lockstep.taskkit.conformance.exchange import Exchange
from lockstep.taskkit.conformance.played import Subject
from lockstep.taskkit.conformance.scene import Scene, Stuck, says_no
from lockstep.taskkit.conformance.scenes.reporting import judge_reports

_T = TaskState
_NOT_FOUND = 404
_TICK_S = 0.05
_BEFORE = {_T.RUNNING: (_T.PENDING, Action.START), _T.PUBLISHING: (_T.STAGED, Action.PUBLISH)}


async def unknown_task(scene: Scene, action: Action) -> None:
    """Ask for an action on a task that was never initialized, and look whether that made one."""
    subject = scene.new()
    answer = await scene.ask(action, subject)
    if action is not Action.CANCEL:
        sentence = f"{action} of a task that was never initialized was not refused."
        scene.judge("unknown-refused", answer, sentence, fine=says_no(answer))
    if answer.is_refused:
        sentence = f"{action} of a task that was never initialized was refused with {answer.status}."
        scene.judge("unknown-is-404", answer, sentence, fine=answer.status == _NOT_FOUND)
    after = await scene.ask(Action.GET_STATUS, subject)
    sentence = f"After {action} of a task that was never initialized there is one, which is {after.state}."
    scene.judge("unknown-stays-unknown", after, sentence, fine=after.status is None or says_no(after))


async def cancel_at(scene: Scene, state: TaskState) -> None:
    """Cancel a task in a state, see it canceled, let the work have what it waited for, and see that it stays so.

    Raises:
        Stuck: the task does not get to the state.
    """
    subject = scene.new()
    if state not in _BEFORE:
        await scene.bring(subject, state)
        await _cancel(scene, subject, state)
        return
    before, action = _BEFORE[state]
    await scene.bring(subject, before)
    async with scene.at_work(subject, action) as is_there:
        if not is_there:
            return
        await _cancel(scene, subject, state)
    if subject.state is _T.CANCELED:
        await _stays_canceled(scene, subject, state)


async def _cancel(scene: Scene, subject: Subject, state: TaskState) -> None:
    subject.is_over = True
    answer = await scene.ask(Action.CANCEL, subject)
    cancel_is_answered(scene, answer, state)
    after = await scene.until(subject, _T.CANCELED)
    sentence = f"After cancel a task that was {state} is {{}}."
    if state is _T.PUBLISHING:
        scene.judge_state("cancel-cancels", after, sentence, state, *SETTLED_TASKS)
        return
    if not scene.judge_state("cancel-cancels", after, sentence, _T.CANCELED):
        raise Stuck
    await over_is_over(scene, subject, _T.CANCELED)


def cancel_is_answered(scene: Scene, answer: Exchange, state: TaskState) -> None:
    """Judge the answer to a cancel, whatever it says."""
    below_500 = answer.status is not None and answer.status < 500  # noqa: PLR2004
    scene.judge("cancel-answered", answer, f"cancel of a task that is {state} was not answered.", fine=below_500)


async def over_is_over(scene: Scene, subject: Subject, state: TaskState) -> None:
    """Ask for everything that must not be begun again once a task is canceled or has failed.

    Raises:
        Stuck: something was begun again.
    """
    for action in (Action.START, Action.PUBLISH, Action.INITIALIZE):
        answer = await scene.ask(action, subject)
        sentence = f"{action} of a task that is {state} was not refused."
        scene.judge("over-is-over", answer, sentence, fine=says_no(answer))
        after = await scene.ask(Action.GET_STATUS, subject)
        sentence = f"{action} of a task that was {state} made it {{}}."
        if not scene.judge_state("over-is-over", after, sentence, state):
            raise Stuck


async def _stays_canceled(scene: Scene, subject: Subject, state: TaskState) -> None:
    """Watch a canceled task whose work goes on or ends just now."""
    end = time.monotonic() + scene.options.settle_s
    while time.monotonic() < end:
        after = await scene.ask(Action.GET_STATUS, subject)
        sentence = f"A task that was canceled while {state} became {{}} afterwards."
        scene.judge_state("canceled-stays", after, sentence, _T.CANCELED)
        await asyncio.sleep(_TICK_S)
    judge_reports(scene, subject)
