"""A release on the table: the pure core, with the test in the part of the services, the people and the clock.

Nothing runs by itself here. `decide` asks the core what is to be done and keeps what it decided, as a store would;
`hear`, `every` and `land` give the replies of services whose requests are on their way (`flying`); the rest are the
things that people and services do of their own accord. Tasks are called by the letter of their service.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from lockstep.coordinator.core.callbacks import report
from lockstep.coordinator.core.decide import Decision, Worker, decide
from lockstep.coordinator.core.draft import Draft
from lockstep.coordinator.core.model import Ahead, Change, EventType, Release, Snapshot, Task
from lockstep.coordinator.core.policy import Policy
from lockstep.coordinator.core.replies import Receipt
from lockstep.coordinator.core.requests import ask_to_cancel, ask_to_publish
from lockstep.coordinator.core.versions import FIRST, Version
from lockstep.protocol.messages import NO_FINDINGS, Action, Answer, Findings, Reply
from lockstep.protocol.states import ReleaseState, TaskState

BEGINNING = datetime(2026, 1, 1, 12, tzinfo=UTC)
RELEASE_ID = "RE_00000000"
YES = Answer()


def task_id(service: str) -> str:
    return f"TA_0000000{service}"


class Table:
    """One release with a task for each of some services."""

    def __init__(
        self,
        services: str = "AB",
        *,
        policy: Policy | None = None,
        is_major: bool = False,
        highest_published: Version | None = None,
        ahead: tuple[Ahead, ...] = (),
    ) -> None:
        self.now = BEGINNING
        self.policy = policy or Policy()
        self.worker = Worker("worker 1")
        self.held_epoch = 0
        self.ahead = ahead
        self.highest_published = highest_published
        self.last_order = 7
        self.release = Release(
            RELEASE_ID, "a release", FIRST, ("SD_AAAAAAAA",), self.now, self.now, is_major=is_major, look_at=self.now
        )
        self.tasks = {
            task_id(letter): Task(
                task_id(letter), f"TS_0000000{letter}", letter, f"http://{letter}", self.now, self.now, self.now
            )
            for letter in services
        }
        self.events: list[tuple[EventType, str]] = []
        self.flying: dict[str, Action] = {}

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot(
            self.release,
            dict(self.tasks),
            ahead=self.ahead,
            last_order=self.last_order,
            highest_published=self.highest_published,
        )

    @property
    def state(self) -> ReleaseState:
        return self.release.state

    @property
    def states(self) -> dict[str, TaskState]:
        """The state of every task, by the letter of its service."""
        return {task.service_name: task.state for task in self.tasks.values()}

    @property
    def messages(self) -> list[str]:
        return [message for _, message in self.events]

    @property
    def errors(self) -> list[str]:
        return [message for event_type, message in self.events if event_type is EventType.ERROR]

    def task(self, letter: str) -> Task:
        return self.tasks[task_id(letter)]

    def change_task(self, letter: str, **fields: object) -> None:
        """Put a task into a condition that would take long to play."""
        self.tasks[task_id(letter)] = self.task(letter)._replace(**fields)  # type: ignore[arg-type]

    def decide(self, *receipts: Receipt) -> Decision:
        """Have the core decide, and keep what it decided."""
        decision = decide(self.snapshot, self.worker, receipts, self.now, self.policy, held_epoch=self.held_epoch)
        self._keep(decision.change)
        self.held_epoch = decision.epoch
        for receipt in receipts:
            self.flying.pop(self.tasks[receipt.task_id].service_name, None)
        self.flying |= {self.tasks[send.task_id].service_name: send.action for send in decision.sends}
        return decision

    def sent(self, *receipts: Receipt) -> dict[str, Action]:
        """Decide; return what is sent now, by the letter of the service."""
        return {self.tasks[send.task_id].service_name: send.action for send in self.decide(*receipts).sends}

    def hear(self, action: Action, replies: Mapping[str, Reply]) -> dict[str, Action]:
        """Take the replies to an action, by the letter of the service; return what is sent because of them."""
        return self.sent(*(Receipt(task_id(letter), action, reply) for letter, reply in replies.items()))

    def land(self, reply: Reply = YES) -> dict[str, Action]:
        """Have every request that is on its way answered the same; return what is sent because of that."""
        return self.sent(*(Receipt(task_id(letter), action, reply) for letter, action in self.flying.items()))

    def every(self, action: Action, reply: Reply = YES) -> dict[str, Action]:
        """Have every service reply the same to an action."""
        return self.hear(action, {task.service_name: reply for task in self.tasks.values()})

    def pass_time(self, seconds: float) -> dict[str, Action]:
        """Let time pass; return what is sent then."""
        self.now += timedelta(seconds=seconds)
        return self.sent()

    def call_back(
        self,
        letter: str,
        state: TaskState | None = None,
        progress: int | None = None,
        findings: Findings = NO_FINDINGS,
    ) -> None:
        """Have a service report on its task."""
        self._ask(lambda draft: report(draft, task_id(letter), state, progress, findings))

    def publish(self) -> None:
        """Have a person ask to publish."""
        self._ask(ask_to_publish)

    def cancel(self) -> None:
        """Have a person ask to cancel."""
        self._ask(ask_to_cancel)

    def crash(self) -> None:
        """Let the worker die with everything that it held, and another take its place, knowing to be alone."""
        self.held_epoch = 0
        self.flying.clear()
        self.worker = Worker(f"{self.worker.name} reborn", alone=True)

    def initialized(self) -> dict[str, Action]:
        """Go on until every service has been initialized; return what is sent next."""
        self.decide()
        return self.every(Action.INITIALIZE)

    def started(self) -> dict[str, Action]:
        """Go on until every service is at work on staging."""
        self.initialized()
        return self.every(Action.START)

    def staged(self) -> None:
        """Go on until the release is staged."""
        self.initialized()
        self.every(Action.START, Answer(TaskState.STAGED))

    def told_to_publish(self) -> dict[str, Action]:
        """Go on until publishing was asked for; return what is sent."""
        self.staged()
        self.publish()
        return self.sent()

    def publishing(self) -> None:
        """Go on until every service is at work on publishing."""
        self.told_to_publish()
        self.every(Action.PUBLISH)

    def _ask(self, request: Callable[[Draft], None]) -> None:
        draft = Draft(self.snapshot, self.now)
        request(draft)
        self._keep(draft.change())

    def _keep(self, change: Change) -> None:
        self.release = change.release
        self.last_order = max(self.last_order, change.release.publish_order or 0)
        self.tasks |= {task.kf_id: task for task in change.tasks}
        self.events += [(event.event_type, event.message) for event in change.events]
