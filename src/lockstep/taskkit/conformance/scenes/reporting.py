"""What the service reports by itself, and what it makes of a coordinator that loses, refuses and delays reports."""

import asyncio
import time
from typing import Final

from lockstep.protocol.errors import BadMessage
from lockstep.protocol.messages import Action
from lockstep.protocol.states import ENDED_EARLY, TASK_LINE, TaskState, reached, task_state
from lockstep.taskkit.conformance.played import Callback, Subject, Treatment
from lockstep.taskkit.conformance.scene import Scene

_T = TaskState
_CASES: Final = ("report-is-well-formed", "report-is-true", "report-has-identity", "state-told-again")
_MOMENT_S: Final = 2.0
_TICK_S: Final = 0.02


async def judge_reports_of_a_life(scene: Scene, subject: Subject) -> None:
    """Judge the reports of a task that was published just now: some should have come, or come in a moment."""
    await _times_told(subject, _T.PUBLISHED, 1, _MOMENT_S)
    where = f"The service reported nothing to {scene.played.url}; tell it that its coordinator is there."
    if scene.judge("report-comes", None, where, fine=bool(subject.callbacks)):
        judge_reports(scene, subject)
    else:
        scene.report.leave_open("no report came", *_CASES)


def judge_reports(scene: Scene, subject: Subject) -> None:
    """Judge every report that came about a task, when its state is known."""
    for report in subject.callbacks:
        state = _state_in(report)
        is_patch = report.asked.startswith("PATCH ") and report.fields is not None
        good = is_patch and (state is not None or (report.word is None and "progress" in (report.fields or {})))
        _judge(scene, "report-is-well-formed", report, "The report is not of the protocol.", fine=good)
        if state is not None and subject.state is not None:
            sentence = f"It reported {state}, and get_status says {subject.state}."
            _judge(scene, "report-is-true", report, sentence, fine=_fits(state, subject.state, is_late=report.is_late))
        if scene.speaker.token:
            sentence = "The report has no Authorization header."
            _judge(scene, "report-has-identity", report, sentence, fine=report.has_identity)


async def trouble_with_reports(scene: Scene, treatment: Treatment) -> None:
    """Treat every report of a task badly, or the first of its states; the work must not care."""
    subject = scene.new()
    subject.treatment = treatment
    await scene.bring(subject, _T.PENDING)
    await scene.accepted(Action.START, subject)
    seen = await scene.until(subject, _T.STAGED)
    sentence = f"Reports were {treatment}, and the task is {seen.state}."
    staged = seen.state is _T.STAGED
    if not subject.callbacks and treatment is not Treatment.SLOW:
        await asyncio.sleep(_TICK_S)
    if not subject.callbacks:
        scene.report.leave_open("no report came", "work-outlives-reports", "state-told-again")
        return
    scene.judge("work-outlives-reports", seen, sentence, fine=staged)
    if staged and treatment in {Treatment.LOST, Treatment.FAILED}:
        await _told_again(scene, subject)


async def _told_again(scene: Scene, subject: Subject) -> None:
    """Wait for `staged` to be reported a second time after the first report of it was treated badly."""
    patience_s = scene.options.retell_s
    told = await _times_told(subject, _T.STAGED, 2, patience_s)
    if not told:
        scene.report.leave_open("it does not report that a task is staged", "state-told-again")
        return
    first = next(report for report in subject.callbacks if _state_in(report) is _T.STAGED)
    _judge(scene, "state-told-again", first, f"It was not reported again within {patience_s:g} s.", fine=told > 1)


async def _times_told(subject: Subject, state: TaskState, enough: int, patience_s: float) -> int:
    """Wait until a state was reported often enough, for a while; return how often it was."""
    end = time.monotonic() + patience_s
    while True:
        told = sum(_state_in(report) is state for report in subject.callbacks)
        if told >= enough or time.monotonic() > end:
            return told
        await asyncio.sleep(_TICK_S)


def _judge(scene: Scene, name: str, report: Callback, seen: str, *, fine: bool) -> None:
    scene.report.judge(name, seen, fine=fine, asked=report.asked, answered=f"the report was {report.treatment}")


def _state_in(report: Callback) -> TaskState | None:
    try:
        return None if report.word is None else task_state(report.word)
    except BadMessage:
        return None


def _fits(reported: TaskState, told: TaskState, *, is_late: bool) -> bool:
    """Tell whether a report can have been true of a task that is in a state now."""
    if reported is told:
        return True
    if told in ENDED_EARLY:
        return reported in TASK_LINE and not (is_late and reported in {_T.STAGED, _T.PUBLISHED})
    return reported in TASK_LINE and reached(told, reported)
