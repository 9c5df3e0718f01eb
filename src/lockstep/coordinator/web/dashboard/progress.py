"""Where a release stands, in a sentence and as a number. Pure."""

from collections.abc import Iterable
from typing import Final

from lockstep.coordinator.core.model import Task
from lockstep.coordinator.core.records import ReleaseView
from lockstep.coordinator.web.dashboard.words import STATE_SENTENCES, count, listed
from lockstep.protocol.states import ENDED_EARLY, ReleaseState, TaskState, reached

_GOAL: Final = {
    ReleaseState.WAITING: TaskState.PENDING,
    ReleaseState.INITIALIZING: TaskState.PENDING,
    ReleaseState.RUNNING: TaskState.STAGED,
    ReleaseState.STAGED: TaskState.STAGED,
    ReleaseState.PUBLISHING: TaskState.PUBLISHED,
    ReleaseState.PUBLISHED: TaskState.PUBLISHED,
}
"""What every task of a release in a state is to come to in that step."""


def step_percent(view: ReleaseView) -> int:
    """Return how far the current step has come, over all services, in percent."""
    goal = _GOAL.get(view.release.state)
    if goal is None or not view.tasks:
        return 100 if goal in {TaskState.STAGED, TaskState.PUBLISHED} and not view.tasks else 0
    return sum(100 if reached(task.state, goal) else _own(task) for task in view.tasks) // len(view.tasks)


def _own(task: Task) -> int:
    return task.progress if task.state in {TaskState.RUNNING, TaskState.PUBLISHING} else 0


def names(tasks: Iterable[Task]) -> list[str]:
    """Return the names of the services of some tasks."""
    return [task.service_name for task in tasks]


def sentence(view: ReleaseView) -> str:
    """Return what a release waits for, or how it ended."""
    release, tasks = view.release, view.tasks
    match release.state:
        case ReleaseState.STAGED if release.publish_order is not None:
            return f"Publishing was asked for; it waits for {release.waits_for or 'its turn'}, which shares a study."
        case ReleaseState.STAGED:
            return f"Staged on {count(len(tasks), 'service')}. It waits for its review, without a limit of time."
        case ReleaseState.CANCELING:
            return "Every service is told to throw away what it had staged."
        case ReleaseState.FAILED | ReleaseState.CANCELED:
            return ended(view)
        case ReleaseState.PUBLISHED:
            return f"{STATE_SENTENCES[release.state]}: {count(len(tasks), 'service')}."
        case _:
            return waits_for(view)


def waits_for(view: ReleaseView) -> str:
    """Return which services the current step waits for."""
    goal = _GOAL[view.release.state]
    open_ones = [task for task in view.tasks if not reached(task.state, goal)]
    if not open_ones:
        return "No service holds it up."
    return f"{how_far(view)}; waits for {listed(names(open_ones))}."


def how_far(view: ReleaseView) -> str:
    """Return on how many services the current step is done; empty where nobody does anything."""
    goal = _GOAL.get(view.release.state)
    if goal is None or not view.tasks:
        return ""
    done = sum(reached(task.state, goal) for task in view.tasks)
    verb = {TaskState.PENDING: "ready", TaskState.STAGED: "staged", TaskState.PUBLISHED: "published"}[goal]
    return f"{done} of {count(len(view.tasks), 'service')} {verb}"


def ended(view: ReleaseView) -> str:
    """Return how a release ended that was not published."""
    culprits = [task for task in view.tasks if task.state in ENDED_EARLY - {TaskState.CANCELED}]
    live = [task for task in view.tasks if task.state is TaskState.PUBLISHED]
    said = []
    if culprits:
        reason = next((task.last_error for task in culprits if task.last_error), "")
        said.append(f"{listed(names(culprits))} did not do its part" + (f": {reason.rstrip('.')}." if reason else "."))
    elif view.release.state is ReleaseState.CANCELED:
        said.append("It was canceled; what was staged has been thrown away.")
    else:
        said.append("No service is to blame by itself; the events tell why.")
    if live:
        said.append(f"Live in {listed(names(live))}.")
    return " ".join(said)
