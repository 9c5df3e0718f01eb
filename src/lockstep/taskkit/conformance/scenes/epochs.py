"""Requests of a coordinator that was replaced, known by their epoch."""

from typing import Final

from lockstep.protocol.messages import Action
from lockstep.protocol.states import TaskState
from lockstep.taskkit.conformance.exchange import Exchange
from lockstep.taskkit.conformance.scene import Scene, says_no

_T = TaskState
_CONFLICT: Final = 409
_OLD, _MIDDLE, _NEW = 5, 6, 7
BAD_EPOCHS: Final = (-1, 1.5, "7", True, [7])
"""Epochs that are none."""


async def epochs(scene: Scene) -> None:
    """Let a higher epoch come, then everything that a lower one can ask."""
    subject = scene.new()
    first = await scene.accepted(Action.INITIALIZE, subject, epoch=_OLD)
    sentence = f"initialize came with epoch {_OLD}, and the answer names {_named(first)}."
    if not scene.judge("epoch-named", first, sentence, fine=first.epoch == _OLD):
        scene.report.leave_open("it does not keep epochs", *_FENCE, needed=True)
        return
    seen = await scene.ask(Action.GET_STATUS, subject, epoch=_NEW)
    sentence = f"get_status came with epoch {_NEW}, and the answer names {_named(seen)}."
    scene.judge("epoch-named", seen, sentence, fine=seen.epoch == _NEW)
    for action in (Action.START, Action.PUBLISH, Action.CANCEL, Action.INITIALIZE, Action.GET_STATUS):
        answer = await scene.ask(action, subject, epoch=_MIDDLE)
        sentence = f"{action} of epoch {_MIDDLE} after one of {_NEW} was answered {answer.status} and {_named(answer)}."
        refused = answer.status == _CONFLICT and answer.epoch == _NEW
        scene.judge("stale-refused", answer, sentence, fine=refused)
        after = await scene.ask(Action.GET_STATUS, subject)
        sentence = f"{action} of epoch {_MIDDLE} after one of {_NEW} made the task {{}}."
        if not scene.judge_state("stale-changes-nothing", after, sentence, _T.PENDING):
            return
    await _without(scene)
    await _bad(scene)


_FENCE: Final = ("stale-refused", "stale-changes-nothing", "epoch-is-optional", "bad-epoch-refused")


def _named(exchange: Exchange) -> str:
    return "no epoch" if exchange.epoch is None else f"epoch {exchange.epoch}"


async def _without(scene: Scene) -> None:
    subject = scene.new()
    await scene.accepted(Action.INITIALIZE, subject, epoch=_NEW)
    answer = await scene.ask(Action.START, subject)
    sentence = "A start without an epoch was refused after requests that had one."
    if not scene.judge("epoch-is-optional", answer, sentence, fine=not says_no(answer)):
        return
    await scene.arrive(subject, _T.STAGED)
    publish = await scene.ask(Action.PUBLISH, subject, epoch=_NEW + 1)
    sentence = f"publish with a higher epoch was answered {publish.status} and {_named(publish)}."
    scene.judge("epoch-named", publish, sentence, fine=publish.epoch == _NEW + 1)


async def _bad(scene: Scene) -> None:
    for epoch in BAD_EPOCHS:
        subject = scene.new()
        answer = await scene.ask(Action.INITIALIZE, subject, epoch=epoch)
        scene.judge("bad-epoch-refused", answer, f"epoch {epoch!r} was not refused.", fine=says_no(answer))
