"""The steps of a release as a person follows them: what is done, what is under way and what it waits for. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lockstep.coordinator.core.records import ReleaseView
from lockstep.coordinator.web.dashboard.progress import how_far
from lockstep.coordinator.web.dashboard.words import between, count
from lockstep.protocol.states import ReleaseState

_S = ReleaseState


@dataclass(frozen=True, slots=True)
class Step:
    """One step; `how` is done, now, you (it waits for a person), broken or ahead."""

    name: str
    how: str
    icon: str
    text: str


_STEPS: Final = (
    ("Created", _S.WAITING, "The version is given and the services are chosen."),
    ("Get ready", _S.INITIALIZING, "Every service says whether it takes part."),
    ("Stage", _S.RUNNING, "Every service does its work out of sight."),
    ("Review", _S.STAGED, "A person looks at the report and decides."),
    ("Publish", _S.PUBLISHING, "Every service makes it public."),
    ("Public", _S.PUBLISHED, "Everybody sees it."),
)
_LINE: Final = tuple(state for _, state, _ in _STEPS)


def steps(view: ReleaseView, moves: Sequence[tuple[str, datetime]]) -> list[Step]:
    """Return the steps of a release, with how long those that are done took."""
    release = view.release
    times = {"waiting": release.created_at, **dict(moves)}
    reached = [state for state in _LINE if state in times]
    current = release.state if release.state in _LINE else reached[-1]
    stopped = release.state not in _LINE
    found = []
    for number, (name, state, ahead) in enumerate(_STEPS):
        here = _LINE.index(current)
        if number < here or release.state is _S.PUBLISHED:
            found.append(Step(name, "done", "published", _took(times, number, view)))
        elif number == here and stopped:
            found.append(Step(name, "broken", release.state.value, f"{release.state.value.capitalize()} here."))
        elif number == here:
            for_person = state is _S.STAGED and release.publish_order is None
            found.append(Step(name, "now you" if for_person else "now", state.value, _now(view)))
        else:
            found.append(Step(name, "ahead", "waiting", "Not reached." if stopped else ahead))
    return found


def _now(view: ReleaseView) -> str:
    """Return how far the step is that is under way; the head of the page says whom it waits for."""
    if view.release.state is _S.STAGED:
        return "It waits for a person." if view.release.publish_order is None else "Publishing waits for its turn."
    return f"{how_far(view) or 'Under way'}."


def _took(times: dict[str, datetime], number: int, view: ReleaseView) -> str:
    state = _LINE[number]
    if state is _S.WAITING:
        return f"With {count(len(view.release.studies), 'study', 'studies')} for {count(len(view.tasks), 'service')}."
    if state is _S.PUBLISHED:
        return "On every service."
    following = next((times[later] for later in _LINE[number + 1 :] if later in times), None)
    return f"Took {between(times[state], following)}." if state in times and following else "Done."
