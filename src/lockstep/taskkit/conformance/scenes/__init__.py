"""The scenes: what is played with the service, each a function of a `Scene`.

`SCENES` names them. All but `restart` are played side by side, each with tasks of its own.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from lockstep.protocol.messages import Action
from lockstep.protocol.states import TaskState
from lockstep.taskkit.conformance.played import Treatment
from lockstep.taskkit.conformance.scene import Scene
from lockstep.taskkit.conformance.scenes.apart import other_release, two_at_once
from lockstep.taskkit.conformance.scenes.bodies import bad_bodies
from lockstep.taskkit.conformance.scenes.epochs import epochs
from lockstep.taskkit.conformance.scenes.identity import identity
from lockstep.taskkit.conformance.scenes.order import cancel_at, unknown_task
from lockstep.taskkit.conformance.scenes.reading import pages, read_failure
from lockstep.taskkit.conformance.scenes.repeats import (
    all_at_once,
    lost_answers,
    repeat_at,
    repeat_at_work,
    repeat_cancel,
)
from lockstep.taskkit.conformance.scenes.reporting import trouble_with_reports
from lockstep.taskkit.conformance.scenes.whole_life import whole_life

_T = TaskState

SCENES: Final[Mapping[str, Callable[[Scene], Awaitable[None]]]] = {
    "whole life": whole_life,
    **{f"unknown task, {action}": partial(unknown_task, action=action) for action in Action if action != "initialize"},
    **{
        f"cancel at {state}": partial(cancel_at, state=state)
        for state in (_T.PENDING, _T.RUNNING, _T.STAGED, _T.PUBLISHING)
    },
    "bad bodies": bad_bodies,
    "two at once": two_at_once,
    "other release": other_release,
    "read failure": read_failure,
    "pages": pages,
    "identity": identity,
    **{f"repeat at {state}": partial(repeat_at, state=state) for state in (_T.PENDING, _T.STAGED, _T.PUBLISHED)},
    "repeat at running": repeat_at_work,
    "repeat cancel": repeat_cancel,
    "all at once": all_at_once,
    "lost answers": lost_answers,
    **{
        f"reports {treatment}": partial(trouble_with_reports, treatment=treatment)
        for treatment in (Treatment.LOST, Treatment.FAILED, Treatment.REFUSED, Treatment.SLOW)
    },
    "epochs": epochs,
}
"""Every scene that can be played beside others, by its name."""
