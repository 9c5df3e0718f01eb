"""The rules that must hold at every moment, checked on what is stored and on what is sent."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from lockstep.coordinator.core.model import Change, Delivery, EventType, Release, Snapshot, Task
from lockstep.coordinator.core.versions import Version
from lockstep.protocol.messages import Action, Reply, Request, Silence
from lockstep.protocol.states import (
    ENDED_EARLY,
    SETTLED_RELEASES,
    SETTLED_TASKS,
    ReleaseState,
    TaskState,
    moves_from,
    reached,
)

STOPPED = {ReleaseState.CANCELING, ReleaseState.CANCELED, ReleaseState.FAILED}


class Broken(AssertionError):
    """A rule was broken."""


def must(holds: bool, sentence: str) -> None:
    if not holds:
        raise Broken(sentence)


@dataclass(eq=False)
class Sending:
    """One request as its sender saw it: `reply` stays None when the sender died before an answer came."""

    action: Action
    epoch: int
    reply: Reply | None = None

    @property
    def spoken(self) -> bool:
        """The service has spoken, and its word arrived."""
        return self.reply is not None and not isinstance(self.reply, Silence)


@dataclass
class Checks:
    """Watches one world."""

    releases: dict[str, Release] = field(default_factory=dict)
    tasks: dict[str, dict[str, Task]] = field(default_factory=dict)
    sendings: dict[str, list[Sending]] = field(default_factory=lambda: defaultdict(list))
    canceled: set[str] = field(default_factory=set)
    asked_to_publish: set[str] = field(default_factory=set)
    version_owner: dict[Version, str] = field(default_factory=dict)
    last_published: Version | None = None
    story: list[str] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    commits: int = 0

    def created(self, release: Release, tasks: Mapping[str, Task]) -> None:
        self.releases[release.kf_id] = release
        self.tasks[release.kf_id] = dict(tasks)
        self._own(release.version, release.kf_id)

    def committed(self, before: Snapshot, change: Change) -> None:
        """Check one commit against what was stored before it."""
        was, now = before.release, change.release
        self.commits += 1
        self._check_release(was, now, change)
        for task in change.tasks:
            self._check_task(before.tasks[task.kf_id], task, change)
            self.tasks[now.kf_id][task.kf_id] = task
        self.releases[now.kf_id] = now
        for task in change.tasks:
            if task.delivery is Delivery.SENT and before.tasks[task.kf_id].delivery is not Delivery.SENT:
                self._check_marked(now, task)
        ended_early = any(task.state in ENDED_EARLY for task in self.tasks[now.kf_id].values())
        must(not ended_early or now.state in STOPPED, f"{now.state}, although a task has ended early")
        if was.state is not now.state:
            self._check_joint(now)
        for event in change.events:
            self.story.append(f"{change.at:%H:%M:%S.%f} {event.message}")

    def _check_marked(self, release: Release, task: Task) -> None:
        """Check an action as it is marked as sent; what others report before it leaves cannot call it back."""
        states = [task.state for task in self.tasks[release.kf_id].values()]
        if task.told is Action.START:
            must(all(reached(state, TaskState.PENDING) for state in states), "start before all are pending")
        if task.told is Action.PUBLISH:
            must(release.kf_id in self.asked_to_publish, "publish that nobody asked for")
            must(all(reached(state, TaskState.STAGED) for state in states), "publish before all are staged")

    def sending(self, request: Request) -> Sending:
        """Check a request before it leaves its sender."""
        sending = Sending(request.action, self.releases[request.release_id].lease.epoch)
        self.story.append(f"  -> {request.action} {request.task_id}")
        if request.action is Action.CANCEL:
            self.canceled.add(request.release_id)
        elif request.action is not Action.GET_STATUS:
            self._check_action(request)
        self.sendings[request.task_id].append(sending)
        return sending

    def _check_action(self, request: Request) -> None:
        action, release_id = request.action, request.release_id
        must(release_id not in self.canceled, f"{action} after a cancel")
        earlier = [s for s in self.sendings[request.task_id] if s.action is action]
        epoch = self.releases[release_id].lease.epoch
        must(not any(s.spoken and s.epoch == epoch for s in earlier), f"{action} twice, though answered")
        if earlier:
            self.seen[f"{action} again"] += 1
            since = self.sendings[request.task_id]
            since = since[since.index(earlier[-1]) :]
            must(
                any(s.action is Action.GET_STATUS and s.spoken for s in since),
                f"{action} sent again without asking for the status first",
            )

    def _check_release(self, was: Release, now: Release, change: Change) -> None:
        moved = [event for event in change.events if event.task_id is None and " changed from " in event.message]
        state: str = was.state
        for event in moved:
            start, end = event.message.rsplit(" changed from ", 1)[1].split(" to ")
            must(start == state, f"event says from {start}, the release was {state}")
            must(end in moves_from(ReleaseState(start)), f"release moved from {start} to {end}")
            state = end
        must(state == now.state, f"release is {now.state}, its events end at {state}")
        if was.state in SETTLED_RELEASES:
            must(was.state is now.state and was.version == now.version, "a settled release moved")
        if was.version != now.version:
            must(now.state in {ReleaseState.PUBLISHING, ReleaseState.PUBLISHED}, "a version changed without publishing")
            must(self.last_published is None or now.version > self.last_published, "published versions do not rise")
            self.last_published = now.version
            self._own(now.version, now.kf_id)
        must((now.published_at is not None) == (now.state is ReleaseState.PUBLISHED), "published_at is wrong")
        if now.state in SETTLED_RELEASES and was.state not in SETTLED_RELEASES:
            self.seen[now.state] += 1

    def _check_task(self, was: Task, now: Task, change: Change) -> None:
        state: str = was.state
        for event in change.events:
            if event.task_id == now.kf_id and " changed from " in event.message:
                start, end = event.message.rsplit(" changed from ", 1)[1].split(" to ")
                must(start == state, f"event says from {start}, the task was {state}")
                must(end in moves_from(TaskState(start)), f"task moved from {start} to {end}")
                must(
                    (event.event_type is EventType.ERROR) == (end in {"failed", "rejected"}),
                    f"the event to {end} is of type {event.event_type}",
                )
                state = end
        must(state == now.state, f"task is {now.state}, its events end at {state}")
        must(0 <= now.progress <= 100, f"progress {now.progress}")
        whole = now.state in {TaskState.STAGED, TaskState.PUBLISHED}
        must(not whole or now.progress == 100, f"a {now.state} task is at {now.progress} percent")
        if was.state in SETTLED_TASKS:
            must(was.state is now.state, "a settled task moved")

    def _check_joint(self, release: Release) -> None:
        states = {task.state for task in self.tasks[release.kf_id].values()}
        if release.state is ReleaseState.PUBLISHED:
            must(states <= {TaskState.PUBLISHED}, "published, but not on every service")
        if release.state in SETTLED_RELEASES:
            must(states <= SETTLED_TASKS, "settled with an unsettled task")
        if release.state in {ReleaseState.CANCELED, ReleaseState.FAILED}:
            must(release.partially_published == (TaskState.PUBLISHED in states), "partial publish is not told")
            self.seen["partial publish"] += release.partially_published
        if release.state is ReleaseState.PUBLISHING:
            for other in self.releases.values():
                shared = set(other.studies) & set(release.studies)
                both = other.kf_id != release.kf_id and other.state is ReleaseState.PUBLISHING
                must(not (shared and both), f"two releases publish {shared} at once")

    def _own(self, version: Version, release_id: str) -> None:
        owner = self.version_owner.setdefault(version, release_id)
        must(owner == release_id, f"version {version} was given twice")
