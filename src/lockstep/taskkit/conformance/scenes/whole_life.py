"""One task from its beginning to its end, with what is out of order tried on the way."""

from lockstep.protocol.messages import Action
from lockstep.protocol.states import TaskState, reached
from lockstep.taskkit.conformance.played import Subject
from lockstep.taskkit.conformance.scene import Scene, Stuck, says_no
from lockstep.taskkit.conformance.scenes.order import cancel_is_answered
from lockstep.taskkit.conformance.scenes.reporting import judge_reports_of_a_life

_T = TaskState
_LOOKS = 4


async def whole_life(scene: Scene) -> None:
    """Initialize, start, publish; ask for the status all the time; try to publish where it is too early."""
    subject = scene.new()
    await scene.bring(subject, _T.PENDING)
    await _is_told(scene, subject, _T.PENDING)
    await _publish_too_early(scene, subject, _T.PENDING)
    async with scene.at_work(subject, Action.START) as is_running:
        if is_running:
            for _ in range(_LOOKS):
                await _is_told(scene, subject, _T.RUNNING)
            if subject.waiting:
                await _publish_too_early(scene, subject, _T.RUNNING)
    await _arrives(scene, subject, _T.STAGED, "staging-ends")
    async with scene.at_work(subject, Action.PUBLISH) as is_publishing:
        if is_publishing:
            await _is_told(scene, subject, _T.PUBLISHING)
    await _arrives(scene, subject, _T.PUBLISHED, "publishing-ends")
    await judge_reports_of_a_life(scene, subject)
    await _published_stays(scene, subject)


async def _is_told(scene: Scene, subject: Subject, state: TaskState) -> None:
    seen = await scene.ask(Action.GET_STATUS, subject)
    sentence = f"The task is {state}, and get_status says {seen.state or 'no state'}."
    goes_on = state is not _T.PENDING and seen.state is not None and reached(seen.state, state)
    if not scene.judge("status-is-true", seen, sentence, fine=seen.state is state or goes_on):
        raise Stuck


async def _publish_too_early(scene: Scene, subject: Subject, state: TaskState) -> None:
    refused = await scene.ask(Action.PUBLISH, subject)
    sentence = f"publish of a task that is {state} was not refused."
    scene.judge("publish-needs-staged", refused, sentence, fine=says_no(refused))
    after = await scene.ask(Action.GET_STATUS, subject)
    sentence = f"publish of a task that is {state} made it {after.state}."
    if not scene.judge("publish-needs-staged", after, sentence, fine=after.state is state):
        raise Stuck


async def _arrives(scene: Scene, subject: Subject, state: TaskState, name: str) -> None:
    await scene.arrive(subject, state)
    scene.judge(name, None, "", fine=True)


async def _published_stays(scene: Scene, subject: Subject) -> None:
    for action in (Action.CANCEL, Action.INITIALIZE, Action.START, Action.PUBLISH):
        answer = await scene.ask(action, subject)
        if action is Action.CANCEL:
            cancel_is_answered(scene, answer, _T.PUBLISHED)
        after = await scene.until(subject, _T.PUBLISHED, patience_s=scene.options.settle_s)
        if not scene.judge_state("published-stays", after, f"{action} made a published task {{}}.", _T.PUBLISHED):
            return
