"""A decision while it is being made: a snapshot, and what has been changed of it so far.

Every change of a state goes through `move_release` and `move_task`, which look the move up in its table, write the
event that tells of it, and keep the facts that belong to the new state. So an event cannot be forgotten, and a move
that the table does not have cannot happen.
"""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from lockstep.coordinator.core.model import COORDINATOR, Change, EventDraft, EventType, Snapshot, Task
from lockstep.coordinator.core.versions import final_version
from lockstep.protocol.messages import Findings
from lockstep.protocol.states import (
    SETTLED_RELEASES,
    SETTLED_TASKS,
    TASK_MOVES,
    ReleaseState,
    TaskState,
    check_move,
)

MESSAGE_LIMIT: Final = 1000
"""The longest text of an event, in characters; those who read events count on it."""

_PROGRESS_ON_ENTRY = {TaskState.STAGED: 100, TaskState.PUBLISHING: 0, TaskState.PUBLISHED: 100}
_ALARMING = frozenset({"failed", "rejected"})


class Draft:
    """The working copy that the functions of the core pass along.

    `now` is the time of the decision, and `actor` whose doing it is.
    """

    def __init__(self, snapshot: Snapshot, now: datetime, actor: str = COORDINATOR) -> None:
        self.before = snapshot
        self.now = now
        self.actor = actor
        self.release = snapshot.release
        self.tasks: dict[str, Task] = dict(snapshot.tasks)
        self.events: list[EventDraft] = []

    @property
    def settled(self) -> bool:
        """The release has ended."""
        return self.release.state in SETTLED_RELEASES

    def task_states(self) -> Counter[TaskState]:
        """Return how many of the release's tasks, loaded or not, are in which state."""
        states = Counter(task.state for task in self.tasks.values())
        states.update(self.before.others)
        return states

    def note(self, message: str, *, event_type: EventType = EventType.INFO, task: Task | None = None) -> None:
        """Write an event, about one task or about the release alone."""
        ids = (None, None) if task is None else (task.kf_id, task.service_id)
        self.events.append(EventDraft(event_type, message[:MESSAGE_LIMIT], *ids))

    def set_release(self, **fields: Any) -> None:  # noqa: ANN401 - dataclasses.replace checks the names
        """Change fields of the release other than its state."""
        self.release = replace(self.release, **fields)

    def set_task(self, task_id: str, **fields: Any) -> Task:  # noqa: ANN401 - the tuple checks the names
        """Change fields of a task other than its state; return the task as it is now."""
        task = self.tasks[task_id] = self.tasks[task_id]._replace(**fields)
        return task

    def move_release(self, to: ReleaseState) -> None:
        """Move the release by one row of its table; see `docs/rules.md` for what each state brings with it."""
        was = self.release.state
        check_move(was, to)
        self.set_release(state=to, step_since=self.now, waits_for=None)
        if to is ReleaseState.PUBLISHING:
            version = final_version(self.before.highest_published, is_major=self.release.is_major)
            self.set_release(version=version)
        if to is ReleaseState.PUBLISHED:
            self.set_release(published_at=self.now)
        kf_id, version = self.release.kf_id, self.release.version
        self.note(f"release {kf_id}, version {version} changed from {was} to {to}", event_type=_alarm(to))

    def move_task(self, task_id: str, *states: TaskState) -> Task:
        """Move a task through states, each by one row of its table; return the task as it is now."""
        for to in states:
            was = self.tasks[task_id].state
            check_move(was, to)
            progress = _PROGRESS_ON_ENTRY.get(to, self.tasks[task_id].progress)
            task = self.set_task(task_id, state=to, state_since=self.now, life_at=self.now, progress=progress)
            self.note(f"task {task_id} changed from {was} to {to}", event_type=_alarm(to), task=task)
        return self.tasks[task_id]

    def set_progress(self, task_id: str, progress: int) -> None:
        """Take a task's progress; a change of it is a sign of life."""
        if progress != self.tasks[task_id].progress:
            self.set_task(task_id, progress=progress, life_at=self.now)

    def call_engine(self) -> None:
        """Have the engine look at once at a release that moved, even if whoever moved it dies before it can ring."""
        if self.release.state is not self.before.release.state:
            self.set_release(look_at=self.now)

    def stop(self, ending: ReleaseState) -> None:
        """Cancel the release everywhere, to end as given; the first cause decides, later ones change nothing."""
        if not self.settled and self.release.state is not ReleaseState.CANCELING:
            self.set_release(ending=ending)
            self.move_release(ReleaseState.CANCELING)

    def fail_task(self, task_id: str, state: TaskState, message: str) -> None:
        """End a task as rejected or failed with an event that gives the cause; a settled task keeps its state."""
        task = self.set_task(task_id, last_error=message)
        self.note(message, event_type=EventType.ERROR, task=task)
        if task.state not in SETTLED_TASKS:
            self.move_task(task_id, state)

    def take_findings(self, task_id: str, findings: Findings) -> None:
        """Keep what a service says about its task beside state and progress."""
        if findings.metrics is not None:
            self.set_task(task_id, metrics=findings.metrics)
        if findings.preview is not None:
            self.set_task(task_id, preview=findings.preview)
        if findings.alive:
            self.set_task(task_id, life_at=self.now)

    def end_task(self, task_id: str, state: TaskState, reason: str | None = None) -> None:
        """Take a service's word that its task has ended early; a rejection that comes too late is a failure."""
        if state is TaskState.CANCELED:
            self.move_task(task_id, state)
            return
        end = state if state in TASK_MOVES[self.tasks[task_id].state] else TaskState.FAILED
        self.fail_task(task_id, end, f"task {task_id} failed: {reason or f'the service reports {state}'}")

    def change(self) -> Change:
        """Return what is to be stored."""
        tasks = tuple(task for kf_id, task in self.tasks.items() if task != self.before.tasks[kf_id])
        return Change(self.release, self.now, tasks, tuple(self.events), self.actor)


def _alarm(state: ReleaseState | TaskState) -> EventType:
    return EventType.ERROR if state.value in _ALARMING else EventType.INFO
