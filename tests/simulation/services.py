"""Task services with manners: honest ones, quick ones, refusing ones, silent ones, and those that speak dialects."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

from lockstep.protocol.messages import Action, Answer, Refusal, Reply, Request, Silence
from lockstep.protocol.states import TaskState

Callback = Callable[[str, TaskState | None, int | None], Awaitable[None]]


@dataclass(frozen=True)
class Manners:
    """How a service behaves while faults are allowed. Probabilities are per request or per piece of work."""

    quick: float  # answers `staged` to start and `published` to publish
    stateless: float  # answers without a state
    calls_back: float
    work_s: float
    refuses: float
    asks_again: float  # 503 with Retry-After, nothing done
    fails: float  # ends its work as failed
    cancels: float  # ends its work as canceled
    refuses_repeats: bool  # a repeated action is a 400, as in the field
    forgets: float  # loses its tasks in a restart


def draw_manners(random: Random) -> Manners:
    """Draw a service; the odds themselves are drawn, so that calm and wild worlds both occur."""
    wild = random.choice((0.0, 0.0, 0.02, 0.1))
    return Manners(
        quick=random.choice((0.0, 0.3, 1.0)),
        stateless=random.choice((0.0, 0.0, 0.5)),
        calls_back=random.choice((0.0, 0.5, 1.0)),
        work_s=random.choice((0.0, 0.1, 5.0, 90.0)),
        refuses=wild * random.random(),
        asks_again=wild,
        fails=wild,
        cancels=wild / 4,
        refuses_repeats=random.random() < 0.6,
        forgets=random.choice((0.0, 0.0, 0.0, 0.01)),
    )


CALM = Manners(0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, refuses_repeats=True, forgets=0.0)


@dataclass
class Service:
    """One task service: its tasks by id and its work on the way."""

    name: str
    manners: Manners
    random: Random
    call_back: Callback
    tasks: dict[str, TaskState] = field(default_factory=dict)
    forgot: bool = False
    work: set[asyncio.Task[None]] = field(default_factory=set)

    def handle(self, request: Request) -> Reply:
        """Answer a request as it arrives."""
        chance, manners = self.random.random, self.manners
        if chance() < manners.forgets:
            self.tasks.clear()
            self.forgot = True
        if chance() < manners.asks_again:
            return Silence("HTTP 503 with Retry-After", 2.0)
        if request.action is not Action.CANCEL and chance() < manners.refuses:
            return Refusal(self.random.choice((400, 404, 409, 500, 503)), "refused")
        state = self.tasks.get(request.task_id)
        if request.action is Action.GET_STATUS:
            return Answer(state, self.random.choice((None, 50))) if state else Refusal(404, "unknown task")
        if request.action is Action.INITIALIZE:
            return self._initialize(request, state)
        if state is None:
            return Refusal(404, "unknown task")
        return {Action.START: self._start, Action.PUBLISH: self._publish, Action.CANCEL: self._cancel}[request.action](
            request, state
        )

    def _answer(self, state: TaskState) -> Answer:
        return Answer(None if self.random.random() < self.manners.stateless else state)

    def _initialize(self, request: Request, state: TaskState | None) -> Reply:
        if state is not None:
            return Refusal(400, "initialized before") if self.manners.refuses_repeats else self._answer(state)
        self.tasks[request.task_id] = TaskState.PENDING
        return self._answer(TaskState.PENDING)

    def _start(self, request: Request, state: TaskState) -> Reply:
        return self._begin(request, state, TaskState.PENDING, TaskState.RUNNING, TaskState.STAGED)

    def _publish(self, request: Request, state: TaskState) -> Reply:
        return self._begin(request, state, TaskState.STAGED, TaskState.PUBLISHING, TaskState.PUBLISHED)

    def _begin(
        self, request: Request, state: TaskState, wanted: TaskState, at_work: TaskState, done: TaskState
    ) -> Reply:
        if state is not wanted:
            repeat = state in {at_work, done} and not self.manners.refuses_repeats
            return self._answer(state) if repeat else Refusal(400, f"not {wanted} but {state}")
        if self.random.random() < self.manners.quick:
            self.tasks[request.task_id] = done
            self._later(self._tell(request.task_id))
            return Answer(done)
        self.tasks[request.task_id] = at_work
        self._later(self._do(request.task_id, at_work, done))
        return self._answer(at_work)

    def _cancel(self, request: Request, state: TaskState) -> Reply:
        if state is not TaskState.PUBLISHED:
            self.tasks[request.task_id] = TaskState.CANCELED
        return self._answer(self.tasks[request.task_id])

    async def _do(self, task_id: str, at_work: TaskState, done: TaskState) -> None:
        await asyncio.sleep(self.manners.work_s * self.random.random())
        if self.tasks.get(task_id) is not at_work:
            return
        end = done
        if self.random.random() < self.manners.fails:
            end = TaskState.FAILED
        elif self.random.random() < self.manners.cancels:
            end = TaskState.CANCELED
        self.tasks[task_id] = end
        await self._tell(task_id)

    async def _tell(self, task_id: str) -> None:
        if self.random.random() < self.manners.calls_back:
            state = self.tasks.get(task_id)
            if state is not None:
                await self.call_back(task_id, state, self.random.choice((None, 40, 100)))

    def _later(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self.work.add(task)
        task.add_done_callback(self.work.discard)
