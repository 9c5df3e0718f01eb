"""One simulated world: coordinators that die, a network that loses, people who ask, and the checks that watch."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from lockstep.coordinator.core.callbacks import report
from lockstep.coordinator.core.decide import Worker
from lockstep.coordinator.core.draft import Draft
from lockstep.coordinator.core.errors import CoordinatorError, Unavailable
from lockstep.coordinator.core.joint import JointRule
from lockstep.coordinator.core.model import Change, Delivery, Release, Snapshot
from lockstep.coordinator.core.policy import Policy
from lockstep.coordinator.core.records import NewRelease, StudyFacts, TaskService
from lockstep.coordinator.core.requests import ask_to_cancel, ask_to_publish
from lockstep.coordinator.engine.drive import World as EngineWorld
from lockstep.coordinator.engine.engine import Engine
from lockstep.coordinator.ports import Store, always
from lockstep.protocol.messages import Reply, Request, Silence
from lockstep.protocol.states import SETTLED_RELEASES, ReleaseState, TaskState
from tests.simulation.checks import Broken, Checks, must
from tests.simulation.services import CALM, Service, draw_manners

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
REQUEST_TIMEOUT_S = 15.0
GRACE_S = 2.0
SETTLE_BOUND_S = 3 * 3600.0
STUDIES = ("SD_AAAAAAAA", "SD_BBBBBBBB", "SD_CCCCCCCC")
POLICY = Policy(task_timeout_s=600, release_timeout_s=3600, lease_s=10)


class Clock:
    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=asyncio.get_running_loop().time())


@dataclass
class Faults:
    """The odds of what goes wrong, drawn per world; all 0 when the faults have stopped."""

    lose: float = 0.0
    slow: float = 0.0
    double: float = 0.0
    crash: float = 0.0
    busy_store: float = 0.0
    lost_commit: float = 0.0
    slow_store: float = 0.0
    slow_way: float = 0.0
    lose_ring: float = 0.0


def draw_faults(random: Random) -> Faults:
    def odds(*choices: float) -> float:
        return random.choice(choices)

    return Faults(
        lose=odds(0.0, 0.02, 0.2),
        slow=odds(0.0, 0.05, 0.3),
        double=odds(0.0, 0.1),
        crash=odds(0.0, 0.02, 0.15),
        busy_store=odds(0.0, 0.0, 0.1),
        lost_commit=odds(0.0, 0.0, 0.05),
        slow_store=odds(0.0, 0.05),
        slow_way=odds(0.0, 0.0, 0.05),
        lose_ring=odds(0.0, 0.5),
    )


class Coordinator:
    """One incarnation of a coordinator's engine; once dead it neither stores nor sends.

    Where there are several, it is their peer as well, and what they say to each other may be lost.
    """

    def __init__(self, world: "World", name: str, alone: bool) -> None:
        self.world = world
        self.alive = True
        self.alone = alone
        self.engine = Engine(
            EngineWorld(
                store=self,  # type: ignore[arg-type]
                task_services=self,
                announcer=self,
                clock=world.clock,
                policy=POLICY,
                worker=Worker(name, alone),
                study_url="http://data/studies/{}".format,
                rules=world.rules,
            ),
            None if alone else self,
            0 if alone else GRACE_S,
        )
        self.running = asyncio.create_task(self.engine.run())

    def die(self) -> None:
        if self.alive:
            self.alive = False
            self.running.cancel()
            self.world.coordinator_died(self)

    def retire(self) -> None:
        """End in order: finish what can be finished, and give back the rest."""

        def gone(_: object) -> None:
            if self.alive:
                self.world.checks.seen["given back"] += 1
                self.die()

        self.running.add_done_callback(gone)
        self.running.cancel()

    async def nudge(self, release_id: str) -> None:
        for other in self._others():
            other.engine.nudge(release_id)

    async def offer(self, release_id: str) -> None:
        for other in self._others():
            other.engine.offered(release_id)

    def _others(self) -> list["Coordinator"]:
        """Return the peers that hear what is said just now."""
        lose = self.world.faults.lose_ring
        return [one for one in self.world.coordinators if one is not self and not self.world.chance(lose)]

    async def _or_die(self) -> None:
        """A point at which the process may be killed, asked to end, or held up."""
        world = self.world
        if world.chance(world.faults.crash):
            if not self.alone and world.random.random() < 0.3:
                asyncio.get_running_loop().call_soon(self.retire)
            else:
                asyncio.get_running_loop().call_soon(self.die)
                await world.never.wait()
        if world.chance(world.faults.slow_store):
            await asyncio.sleep(world.random.uniform(0, 2 * POLICY.lease_s))
        if not self.alive:
            await world.never.wait()

    async def change(self, release_id: str, decide: Callable[[Snapshot], tuple[Change, Any]]) -> Any:
        await self._or_die()
        if self.world.chance(self.world.faults.busy_store):
            raise Unavailable("the database is locked")
        result = await self.world.change(self.world.store.change, release_id, decide)
        await self._or_die()
        if self.world.chance(self.world.faults.lost_commit):
            self.world.checks.seen["lost commit"] += 1
            raise Unavailable("the database was lost during a commit")
        return result

    async def due(self, now: datetime, limit: int) -> Sequence[str]:
        return await self.world.store.due(now, limit)

    async def next_look(self) -> datetime | None:
        return await self.world.store.next_look()

    async def announce(self, subject_id: str) -> None:
        """Nobody watches a simulated release."""

    async def send(
        self, service_url: str, request: Request, trace_id: str, may_leave: Callable[[], bool] = always
    ) -> Reply:
        if self.world.chance(self.world.faults.slow_way):
            await asyncio.sleep(self.world.random.uniform(0, 2 * POLICY.lease_s))
        if not self.alive:
            await self.world.never.wait()
        if not may_leave():
            self.world.checks.seen["too late to leave"] += 1
            return Silence("too late")
        try:
            sending = self.world.checks.sending(request)
        except Broken as broken:
            self.world.broken = self.world.broken or broken
            raise
        reply = await self.world.carry(service_url, request)
        if self.alive:
            sending.reply = reply
            self.world.checks.story.append(f"  <- {request.action} {request.task_id}: {reply}")
        return reply


class World:
    """Everything of one seed."""

    def __init__(self, seed: int, store: Callable[[Callable[[int], int]], Store], rules: tuple[JointRule, ...]) -> None:
        self.random = Random(seed)
        self.clock = Clock()
        self.rules = rules
        self.checks = Checks()
        self.store = store(self.random.getrandbits)
        self.faults = draw_faults(self.random)
        self.coordinators: list[Coordinator] = []
        self.services: dict[str, Service] = {}
        self.born = 0
        self.workers = self.random.choice((1, 1, 2))
        self.background: set[asyncio.Task[None]] = set()
        self.broken: BaseException | None = None
        self.never = asyncio.Event()
        """What the dead wait for, until the loop is closed."""

    def chance(self, odds: float) -> bool:
        return odds > 0 and self.random.random() < odds

    async def live(self) -> None:
        """Let the seed's whole life pass; raise when a rule is broken."""
        await self._found()
        releases = self.random.randint(1, 3)
        people = [asyncio.create_task(self._shepherd()) for _ in range(releases)]
        await asyncio.gather(*people)
        await self._calm()
        await self._settle()
        self._look_back()

    async def _found(self) -> None:
        await self.store.sync_studies([StudyFacts(study, study, visible=True, created_at=EPOCH) for study in STUDIES])
        for number in range(self.random.choice((0, 1, 2, 3, 4))):
            url = f"http://service-{number}"
            self.services[url] = Service(url, draw_manners(self.random), self.random, self._call_back)
            await self.store.add_service(TaskService("", f"service {number}", "", url, "admin", EPOCH))
        for _ in range(self.workers):
            self._bear()

    def _bear(self) -> None:
        self.born += 1
        self.coordinators.append(Coordinator(self, f"worker-{self.born}", alone=self.workers == 1))

    def coordinator_died(self, coordinator: Coordinator) -> None:
        self.checks.seen["crash"] += 1
        self.checks.story.append("  ** a coordinator dies")
        self.coordinators.remove(coordinator)
        asyncio.get_running_loop().call_later(self.random.uniform(0, 30), self._bear)

    async def change(self, method: Any, key: str, decide: Callable[[Snapshot], tuple[Change, Any]]) -> Any:
        """Change a release in the shared store under the eyes of the checks."""
        seen: list[tuple[Snapshot, Change]] = []

        def watched(snapshot: Snapshot) -> tuple[Change, Any]:
            change, result = decide(snapshot)
            seen.append((snapshot, change))
            return change, result

        result = await method(key, watched)
        try:
            self.checks.committed(*seen[-1])
        except Broken as broken:
            self.broken = self.broken or broken
            raise
        return result

    async def _ask(self, method: Any, key: str, decide: Callable[[Draft], None]) -> None:
        """Do what an API call does: change the release, then ring."""

        def asked(snapshot: Snapshot) -> tuple[Change, str]:
            draft = Draft(snapshot, self.clock.now())
            decide(draft)
            return draft.change(), snapshot.release.kf_id

        try:
            release_id = await self.change(method, key, asked)
        except CoordinatorError:
            return
        if self.coordinators and not self.chance(self.faults.lose_ring):
            await self.random.choice(self.coordinators).engine.ring(release_id)

    async def carry(self, url: str, request: Request) -> Reply:
        """Take a request to its service and the reply back, or not."""
        loop, faults = asyncio.get_running_loop(), self.faults
        answered: asyncio.Future[Reply] = loop.create_future()

        def deliver() -> None:
            reply = self.services[url].handle(request)
            if not self.chance(faults.lose):
                loop.call_later(self._delay_s(), arrive, reply)

        def arrive(reply: Reply) -> None:
            if not answered.done():
                answered.set_result(reply)

        if not self.chance(faults.lose):
            loop.call_later(self._delay_s(), deliver)
        if self.chance(faults.double):
            loop.call_later(self._delay_s(), deliver)
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                return await answered
        except TimeoutError:
            return Silence("time-out")

    def _delay_s(self) -> float:
        return self.random.uniform(0, 40) if self.chance(self.faults.slow) else self.random.uniform(0, 0.05)

    async def _call_back(self, task_id: str, state: TaskState | None, progress: int | None) -> None:
        for _ in range(2 if self.chance(self.faults.double) else 1):
            if self.chance(self.faults.lose):
                continue
            await asyncio.sleep(self._delay_s())
            told = partial(report, task_id=task_id, state=state, progress=progress, rules=self.rules)
            await self._ask(self.store.change_by_task, task_id, told)

    async def _shepherd(self) -> None:
        """Create a release and do with it what a person does."""
        random = self.random
        await asyncio.sleep(random.choice((0.0, random.uniform(0, 60))))
        studies = tuple(random.sample(STUDIES, random.randint(1, 2)))
        new = NewRelease("a release", studies, is_major=random.random() < 0.1)
        view = await self.store.create_release(new, self.clock.now())
        self.checks.created(view.release, {task.kf_id: task for task in view.tasks})
        patience_s, cancels = random.uniform(10, 300), random.random() < 0.15
        until = asyncio.get_running_loop().time() + patience_s
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(random.choice((0.02, 1.0, 10.0)))
            release = self.checks.releases[view.release.kf_id]
            if release.state in SETTLED_RELEASES:
                return
            if cancels and random.random() < 0.2:
                await self._ask(self.store.change, release.kf_id, ask_to_cancel)
            if release.state is ReleaseState.STAGED and random.random() < 0.7:
                await self._publish(release)

    async def _publish(self, release: Release) -> None:
        self.checks.asked_to_publish.add(release.kf_id)
        for _ in range(self.random.choice((1, 1, 2))):
            await self._ask(self.store.change, release.kf_id, ask_to_publish)

    async def _calm(self) -> None:
        """Stop every fault, and let services that are to publish by themselves or break do neither."""
        self.faults = Faults()
        for service in self.services.values():
            service.manners = CALM

    async def _settle(self) -> None:
        """Bring every release to its end within a bound of simulated time."""
        loop = asyncio.get_running_loop()
        until = loop.time() + SETTLE_BOUND_S
        while not all(map(self._over, self.checks.releases.values())):
            must(loop.time() < until, "a release did not settle although the faults had stopped")
            for release in list(self.checks.releases.values()):
                if release.state is ReleaseState.STAGED and release.publish_order is None:
                    await self._publish(release)
            await asyncio.sleep(5)

    def _over(self, release: Release) -> bool:
        tasks = self.checks.tasks[release.kf_id].values()
        told = release.state is ReleaseState.PUBLISHED or all(task.cancel is Delivery.ANSWERED for task in tasks)
        return release.state in SETTLED_RELEASES and told

    def _look_back(self) -> None:
        """Compare the end of every release with what its services have."""
        for release in self.checks.releases.values():
            for task in self.checks.tasks[release.kf_id].values():
                service = self.services[task.service_url]
                theirs = service.tasks.get(task.kf_id)
                if service.forgot:
                    continue
                if release.state is ReleaseState.PUBLISHED:
                    must(theirs is TaskState.PUBLISHED, f"published, but {service.name} has it {theirs}")
                else:
                    must(theirs is not TaskState.RUNNING, f"{release.state}, but {service.name} still works on it")
