"""Bodies that are no requests: each must be refused, do nothing, and leave the service alive."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from lockstep.protocol.messages import Action
from lockstep.protocol.states import TaskState
from lockstep.taskkit.conformance.cases import Force
from lockstep.taskkit.conformance.exchange import Exchange
from lockstep.taskkit.conformance.looks import look_at_refusal
from lockstep.taskkit.conformance.played import Subject
from lockstep.taskkit.conformance.scene import Scene, body_of, says_no

_BAD_REQUEST: Final = 400
_HUGE_CHARS: Final = 2_000_000
_DEEP: Final = 20_000


@dataclass(frozen=True, slots=True)
class Body:
    """A wrong body: what is wrong with it, and whether refusing it is a must."""

    what: str
    content: bytes
    force: Force = Force.MUST
    kind: str = "application/json"


def wrong_bodies(subject: Subject) -> Iterator[Body]:
    """Return every wrong body; where one gets as far as naming a task, it is this one."""
    good: dict[str, Any] = json.loads(body_of(Action.INITIALIZE, subject))

    def but(**fields: object) -> bytes:
        return json.dumps({**good, **fields}).encode()

    def without(*names: str) -> bytes:
        return json.dumps({name: value for name, value in good.items() if name not in names}).encode()

    whole = but()
    yield Body("an empty body", b"")
    yield Body("no JSON", b"action=initialize")
    yield Body("JSON that breaks off", whole[: len(whole) // 2])
    yield Body("bytes that are no text", b"\xff\xfe\xfd" + whole)
    yield Body("a list", b"[" + whole + b"]")
    yield Body("a text", b'"initialize"')
    yield Body("a number", b"7")
    yield Body("null", b"null")
    yield Body("an empty object", b"{}")
    yield Body("deep nesting", b"[" * _DEEP)
    yield Body("no action", without("action"))
    yield Body("an unknown action", but(action="explode"))
    yield Body("an action that is null", but(action=None))
    yield Body("an action that is a list", but(action=["initialize"]))
    yield Body("no task id", without("task_id", "kf_id"))
    yield Body("a task id that is null", but(task_id=None, kf_id=None))
    yield Body("no release id", without("release_id"))
    yield Body("a task id that is an object", but(task_id={"$ne": ""}, kf_id={"$ne": ""}))
    yield Body("an empty task id", but(task_id="", kf_id=""), Force.SHOULD)
    yield Body("a task id that is a number", but(task_id=7, kf_id=7), Force.SHOULD)
    yield Body("a task id of 10,000 letters", but(task_id="T" * 10_000, kf_id="T" * 10_000), Force.SHOULD)
    yield Body("a task id that is a path", but(task_id="../../etc/passwd", kf_id="../../etc/passwd"), Force.SHOULD)
    yield Body("a release id that is a list", but(release_id=[subject.release_id]), Force.SHOULD)
    yield Body("studies that are a text", but(studies=subject.studies[0]), Force.SHOULD)
    yield Body("studies that are numbers", but(studies=[1, 2]), Force.SHOULD)
    yield Body("a study that is a path", but(studies=["../../etc/passwd"] * len(subject.studies)), Force.SHOULD)
    yield Body("urls that are an object", but(urls={"SD_1": "http://127.0.0.1"}), Force.SHOULD)
    yield Body("two million characters", but(padding="x" * _HUGE_CHARS), Force.SHOULD)
    yield Body("a form", b"action=initialize&task_id=TA_1", kind="application/x-www-form-urlencoded")


async def bad_bodies(scene: Scene) -> None:
    """Send every wrong body, and see after each that there is no task.

    Where a mere question makes a task, as other scenes find out, nothing can be seen by asking.
    """
    tells = (await scene.say(Action.GET_STATUS, scene.new())).state is None
    for body in wrong_bodies(scene.new()):
        subject = scene.new()
        mine = next(each for each in wrong_bodies(subject) if each.what == body.what)
        if await _is_refused(scene, subject, mine) and tells:
            await _is_unknown(scene, subject, mine)
    for method in ("GET", "PUT", "DELETE"):
        answer = await scene.speaker.send(method, "/tasks", None, scene.speaker.identity())
        _survives(scene, answer, f"{method} /tasks")
    survivor = scene.new()
    await scene.bring(survivor, TaskState.PENDING)


async def _is_refused(scene: Scene, subject: Subject, body: Body) -> bool:
    headers = {"Content-Type": body.kind, **scene.speaker.identity()}
    subject.was_asked = True
    answer = await scene.speaker.send("POST", "/tasks", body.content, headers)
    may_cut_off = len(body.content) > _HUGE_CHARS
    if not _survives(scene, answer, _capital(body), may_cut_off=may_cut_off) or answer.is_broken:
        return False
    refused = says_no(answer)
    name = "bad-body-refused" if body.force is Force.MUST else "bad-value-refused"
    scene.judge(name, answer, f"{_capital(body)} was not refused.", fine=refused)
    if refused:
        _judge_refusal(scene, body, answer)
    return refused


def _survives(scene: Scene, answer: Exchange, what: str, *, may_cut_off: bool = False) -> bool:
    """Judge whether the service answers at all, and in order; one that is sent too much may hang up."""
    late = f"{what} was not answered within {scene.options.answer_limit_s:g} s."
    if not scene.judge("answered-at-all", answer, late, fine=not answer.ran_out):
        return False
    fine = not answer.is_broken or (may_cut_off and answer.status is None)
    return scene.judge("no-server-error", answer, f"{what} broke the service.", fine=fine)


def _judge_refusal(scene: Scene, body: Body, answer: Exchange) -> None:
    if body.force is Force.MUST:
        sentence = f"{_capital(body)} was refused with {answer.status}."
        is_about_form = answer.status in {413, 415, 422} and body.kind != "application/json"
        scene.judge("bad-body-is-400", answer, sentence, fine=answer.status == _BAD_REQUEST or is_about_form)
    look_at_refusal(scene.judge, answer)


async def _is_unknown(scene: Scene, subject: Subject, body: Body) -> None:
    after = await scene.say(Action.GET_STATUS, subject)
    sentence = f"{_capital(body)} was refused, and yet there is a task now."
    scene.judge("bad-body-does-nothing", after, sentence, fine=after.state is None)


def _capital(body: Body) -> str:
    return body.what[:1].upper() + body.what[1:]
