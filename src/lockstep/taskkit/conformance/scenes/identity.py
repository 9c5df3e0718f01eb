"""Requests without an identity, with a forged one, and with one that has expired."""

import base64
import json
from typing import Final

from lockstep.protocol.messages import Action
from lockstep.protocol.states import TaskState
from lockstep.taskkit.conformance.scene import Scene, body_of

_REFUSED: Final = frozenset({401, 403})
_JWT_PARTS: Final = 3
CASES: Final = ("identity-missing", "identity-forged", "identity-expired", "report-has-identity")
"""What can be judged only where the service wants an identity."""


async def identity(scene: Scene) -> None:
    """Try every action as nobody and as somebody who is not; the task must stay as it was."""
    token = scene.speaker.token
    if not token:
        scene.report.leave_open("--token was not given", *CASES)
        return
    await _refused(scene, "identity-missing", None, "without an identity")
    for forged, how in forgeries(token):
        await _refused(scene, "identity-forged", forged, how)
    if scene.options.expired_token:
        await _refused(scene, "identity-expired", scene.options.expired_token, "with an identity that has expired")
    else:
        scene.report.leave_open("--expired-token was not given", "identity-expired")


async def _refused(scene: Scene, name: str, token: str | None, how: str) -> None:
    subject = scene.new()
    await scene.bring(subject, TaskState.PENDING)
    for action in Action:
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        answer = await scene.speaker.send("POST", "/tasks", body_of(action, subject), headers)
        scene.judge(name, answer, f"{action} {how} was not refused.", fine=answer.status in _REFUSED)
    after = await scene.ask(Action.GET_STATUS, subject)
    scene.judge_state(name, after, f"Requests {how} made the task {{}}.", TaskState.PENDING)


def forgeries(token: str) -> list[tuple[str, str]]:
    """Return tokens like one that is good, which nobody issued, each with what is wrong with it."""
    parts = token.split(".")
    if len(parts) != _JWT_PARTS:
        return [(f"{token[:-1]}{'A' if token[-1:] != 'A' else 'B'}", "with a token that is changed")]
    header, claims, signature = parts
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).rstrip(b"=").decode()
    changed = f"{'A' if signature[:1] != 'A' else 'B'}{signature[1:]}"
    return [
        (f"{header}.{claims}.{changed}", "with a signature that is changed"),
        (f"{none}.{claims}.", "with a token that is not signed"),
    ]
