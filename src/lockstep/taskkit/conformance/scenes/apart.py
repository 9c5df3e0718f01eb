"""Two tasks of two releases at the same time."""

import asyncio

from lockstep.protocol.messages import Action
from lockstep.protocol.states import TaskState
from lockstep.taskkit.conformance.played import Subject
from lockstep.taskkit.conformance.scene import Scene, says_no, together

_T = TaskState


async def two_at_once(scene: Scene) -> None:
    """Let one go ahead of the other, cancel one, and see what the other makes of it."""
    one, other = scene.new(), scene.new()
    await together(scene.bring(one, _T.PENDING), scene.bring(other, _T.PENDING))
    async with scene.at_work(one, Action.START):
        await _is_still(scene, other, _T.PENDING, "the other was started")
        async with scene.at_work(other, Action.START):
            await asyncio.gather(*(scene.ask(Action.GET_STATUS, each) for each in (one, other, one, other)))
            one.is_over = True
            await scene.ask(Action.CANCEL, one)
            await scene.until(one, _T.CANCELED)
    seen = await scene.until(other, _T.STAGED)
    sentence = "One of two tasks was canceled, and the other is {}."
    if scene.judge_state("tasks-apart", seen, sentence, _T.STAGED) and one.state is _T.CANCELED:
        await _is_still(scene, one, _T.CANCELED, "the other was staged")


async def other_release(scene: Scene) -> None:
    """Speak of a task under a release that is not its own."""
    subject, stranger = scene.new(), scene.new()
    await scene.bring(subject, _T.PENDING)
    answer = await scene.say(Action.START, subject, release_id=stranger.release_id)
    sentence = "start under another release was not refused."
    scene.judge("task-has-one-release", answer, sentence, fine=says_no(answer))


async def _is_still(scene: Scene, subject: Subject, state: TaskState, what: str) -> None:
    seen = await scene.ask(Action.GET_STATUS, subject)
    scene.judge_state("tasks-apart", seen, f"While {what}, a task that was {state} became {{}}.", state)
