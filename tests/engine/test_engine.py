"""The engine of one process, in simulated time: who wakes it, how much it does at once, and what it survives."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from lockstep.coordinator.core.callers import LOCAL
from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.core.policy import Policy
from lockstep.coordinator.core.records import NewRelease
from lockstep.coordinator.engine.engine import BUSY_PAUSE, MOST_DRIVES, SWEEP_INTERVAL_S
from lockstep.coordinator.ports import TaskServices, always
from lockstep.coordinator.store.memory import MemoryStore
from lockstep.protocol.messages import Action, Reply, Request
from lockstep.protocol.states import ReleaseState
from tests.scripted import STUDIES, Coordinator, Line, Says, Service, in_simulation
from tests.simulation.loop import run


def now() -> float:
    return asyncio.get_running_loop().time()


async def created_silently(coordinator: Coordinator) -> str:
    """A release for which nobody has rung."""
    new = NewRelease("a release", STUDIES[:1])
    return (await coordinator.store.create_release(new, coordinator.clock.now())).release.kf_id


def after(seconds: float, says: Says | None = None) -> Line:
    """Answer after some time."""

    async def line() -> Says:
        await asyncio.sleep(seconds)
        return says or Says()

    return line


def test_a_ring_is_heard_at_once() -> None:
    async def life() -> None:
        service = Service("A", quick=True)
        async with in_simulation(service) as coordinator:
            await asyncio.sleep(1.234)
            release_id = await created_silently(coordinator)
            await coordinator.engine.ring(release_id)
            await service.was_asked("initialize")
            assert now() == pytest.approx(1.234, abs=0.01)

    run(life())


def test_the_sweep_finds_what_nobody_rang_for() -> None:
    """Within one interval, also what was there before the engine began."""

    async def life() -> None:
        service = Service("A")
        async with in_simulation(service) as coordinator:
            await coordinator.stop()
            await created_silently(coordinator)
            await asyncio.sleep(100)
            coordinator.engine = coordinator.new_engine()
            coordinator.start()
            await service.was_asked("initialize")
            assert now() == pytest.approx(100, abs=0.01)
            await asyncio.sleep(2)
            await created_silently(coordinator)
            await service.was_asked("initialize", 2)
            assert now() <= 102 + SWEEP_INTERVAL_S

    run(life())


def test_a_time_that_was_announced_is_kept() -> None:
    """A poll that is due in 8 s comes then, not with the next sweep after it."""

    async def life() -> None:
        service = Service("A", {"start": [after(0.3)]}, work_s=100)
        async with in_simulation(service) as coordinator:
            await coordinator.create()
            await service.was_asked("get_status", within_s=60)
            assert service.times("get_status")[0] == pytest.approx(30.3, abs=BUSY_PAUSE.total_seconds() + 0.2)

    run(life())


def test_a_ring_during_a_drive_makes_it_look_again() -> None:
    """A release that is canceled while one of two services is slow: the other is told at once."""

    async def life() -> None:
        slow, quick = Service("slow", {"initialize": [after(10)]}), Service("quick")
        async with in_simulation(slow, quick) as coordinator:
            release_id = await coordinator.create()
            await asyncio.sleep(3)
            await coordinator.commands.cancel(release_id, LOCAL)
            await quick.was_asked("cancel")
            assert now() == pytest.approx(3, abs=0.01)

    run(life())


def test_what_is_due_is_done_while_answers_are_awaited() -> None:
    """One of two services takes 70 s to answer; the other is polled all the while."""

    async def life() -> None:
        slow, lively = Service("slow", {"start": [after(70)]}), Service("lively", work_s=1000)
        async with in_simulation(slow, lively) as coordinator:
            await coordinator.create()
            await asyncio.sleep(65)
            assert lively.times("get_status") == pytest.approx([30, 60], abs=1)
            assert slow.actions(polls=True) == ["initialize", "start"]

    run(life())


def test_so_many_releases_are_worked_on_at_once_and_the_others_come_next() -> None:
    """Half as many again as the limit, with services that take a second: none is forgotten."""

    async def life() -> None:
        service = Service("A", quick=True)
        busy = most = 0

        async def count() -> Says:
            nonlocal busy, most
            busy += 1
            most = max(most, busy)
            await asyncio.sleep(1)
            busy -= 1
            return service.honest(service.asked[-1].body)

        releases = MOST_DRIVES * 3 // 2
        service.script["initialize"] = [count] * releases
        async with in_simulation(service) as coordinator:
            await asyncio.sleep(1)
            ids = [await coordinator.create() for _ in range(releases)]
            assert len(coordinator.engine._drives) == MOST_DRIVES
            for release_id in ids:
                await coordinator.until(release_id, "staged", 60)
            assert most == MOST_DRIVES
            asked = service.times("initialize")
            assert asked[MOST_DRIVES] - asked[0] == pytest.approx(1, abs=0.1)
            assert sorted(service.actions()) == sorted(["initialize", "start"] * releases)
            await asyncio.sleep(1)
            assert coordinator.engine._drives == {}

    run(life())


def test_rings_before_the_engine_runs_are_not_lost() -> None:
    async def life() -> None:
        service = Service("A", quick=True)
        async with in_simulation(service) as coordinator:
            await coordinator.stop()
            coordinator.engine = coordinator.new_engine()
            release_id = await coordinator.create()
            await asyncio.sleep(10)
            assert service.asked == []
            coordinator.start()
            await coordinator.until(release_id, "staged", 1)

    run(life())


def test_answers_that_come_together_are_stored_together() -> None:
    """Ten services answer within a tenth of a second: one commit, and the eleventh is not waited for any longer."""

    async def life() -> None:
        services = [Service(f"{n}", {"initialize": [after(0.005 * n)]}) for n in range(10)]
        slow = Service("slow", {"initialize": [after(8)]})
        async with in_simulation(*services, slow) as coordinator:
            release_id = await coordinator.create()

            async def ten_are_pending() -> bool:
                states = list((await coordinator.states(release_id)).values())
                assert states.count("pending") in {0, 10, 11}
                return states.count("pending") == 10

            assert await coordinator.wait(release_id, ten_are_pending)
            assert now() < 0.2

    run(life())


def test_the_wait_for_company_ends_well_within_a_short_lease() -> None:
    """Answers that come in one by one are waited for longer each time; another worker never finds the lease over."""

    async def life() -> None:
        services = [Service(f"{n}", {"initialize": [after(0.3 * n)]}, quick=True) for n in range(1, 21)]
        async with in_simulation(*services, policy=Policy(lease_s=0.6)) as coordinator:
            other = asyncio.create_task(coordinator.new_engine(alone=False).run())
            release_id = await coordinator.create()
            while now() < 5.5:
                await asyncio.sleep(0.05)
                lease = (await coordinator.release(release_id)).lease
                assert (lease.epoch, lease.until is not None and lease.until > coordinator.clock.now()) == (1, True)
            await coordinator.until(release_id, "staged")
            assert [service.actions() for service in services] == [["initialize", "start"]] * len(services)
            other.cancel()
            await asyncio.gather(other, return_exceptions=True)

    run(life())


def test_a_refusal_stops_the_others_at_once() -> None:
    """It is not kept waiting for company."""

    async def life() -> None:
        lines = {"bad": after(0.5, Says(400)), "good": after(0.01), "slow": after(5)}
        services = {name: Service(name, {"initialize": [line]}) for name, line in lines.items()}
        async with in_simulation(*services.values()) as coordinator:
            release_id = await coordinator.create()
            await coordinator.until(release_id, "canceling")
            assert now() == pytest.approx(0.5, abs=0.02)
            await services["good"].was_asked("cancel")
            assert now() == pytest.approx(0.5, abs=0.02)

    run(life())


def test_the_lease_is_renewed_while_answers_are_awaited() -> None:
    """A service that takes 25 s for each answer, under a lease of 15, with another worker that would take over."""

    async def life() -> None:
        service = Service("A", {action: [after(25)] for action in ("initialize", "start", "publish")}, quick=True)
        async with in_simulation(service) as coordinator:
            other = asyncio.create_task(coordinator.new_engine(alone=False).run())
            release_id = await coordinator.create()
            while now() < 24:
                await asyncio.sleep(1)
                until = (await coordinator.release(release_id)).lease.until
                assert until is not None
                assert (until - coordinator.clock.now()).total_seconds() >= coordinator.policy.lease_s / 2
            await coordinator.until(release_id, "running", 100)
            assert now() == pytest.approx(25, abs=0.1)
            assert (await coordinator.release(release_id)).lease.epoch == 1
            await service.was_asked("start", within_s=100)
            await asyncio.sleep(24)
            assert service.actions(polls=True) == ["initialize", "start"]
            other.cancel()
            await asyncio.gather(other, return_exceptions=True)

    run(life())


async def on_another_store(coordinator: Coordinator, store: MemoryStore, service: Service) -> None:
    """Have the coordinator begin anew on another store, with one service."""
    coordinator.store = store
    await coordinator.register([service])
    await coordinator.restart()


class Unsteady(MemoryStore):
    """A store whose database does not answer while it is `away`."""

    away = False

    def _look(self) -> None:
        if self.away:
            raise Unavailable("The database does not answer.")

    async def change(self, release_id: str, decide: Any) -> Any:
        self._look()
        return await super().change(release_id, decide)

    async def due(self, now: datetime, limit: int) -> Sequence[str]:
        self._look()
        return await super().due(now, limit)

    async def next_look(self) -> datetime | None:
        self._look()
        return await super().next_look()


def test_answers_are_kept_while_the_database_is_away() -> None:
    """The request is not sent again: its answer is stored when the database is back."""

    async def life() -> None:
        service = Service("A", {"initialize": [after(2)]}, quick=True)
        async with in_simulation(service) as coordinator:
            store = Unsteady()
            await on_another_store(coordinator, store, service)
            release_id = await created_silently(coordinator)
            await coordinator.engine.ring(release_id)
            await asyncio.sleep(1)
            store.away = True
            await asyncio.sleep(9)
            assert (await coordinator.release(release_id)).state is ReleaseState.INITIALIZING
            store.away = False
            await coordinator.until(release_id, "staged", 5)
            assert service.actions(polls=True) == ["initialize", "start"]

    run(life())


def test_the_sweep_goes_on_when_the_database_is_back() -> None:
    async def life() -> None:
        service = Service("A", quick=True)
        async with in_simulation(service) as coordinator:
            store = Unsteady()
            store.away = True
            await on_another_store(coordinator, store, service)
            release_id = await created_silently(coordinator)
            await asyncio.sleep(60)
            assert service.asked == []
            store.away = False
            await coordinator.until(release_id, "staged", SWEEP_INTERVAL_S + 1)

    run(life())


@dataclass
class Breaking:
    """A way to task services that has a mistake in it, which shows when the first of two is initialized."""

    sound: TaskServices

    async def send(
        self, service_url: str, request: Request, trace_id: str, may_leave: Callable[[], bool] = always
    ) -> Reply:
        if (service_url, request.action) == ("http://A", Action.INITIALIZE):
            raise ZeroDivisionError(f"{request.action} to {service_url}")
        return await self.sound.send(service_url, request, trace_id, may_leave)


def test_a_mistake_on_the_way_to_a_service_counts_as_no_answer() -> None:
    """It fails the release after three attempts, and breaks neither the engine nor what else it does."""

    async def life() -> None:
        services = Service("A"), Service("B")
        async with in_simulation(*services) as coordinator:
            coordinator.task_services = Breaking(coordinator.task_services)
            await coordinator.restart()
            release_id = await coordinator.create()
            await coordinator.until(release_id, "failed", 200)
            event = await coordinator.heard_of(release_id, "no answer in 3 attempts")
            assert event.message.endswith("the last: the request broke: ZeroDivisionError")
            assert [service.actions()[-1] for service in services] == ["cancel"] * 2

    run(life())


@dataclass
class LongWay:
    """A way to task services on which an action takes its time before it leaves."""

    sound: TaskServices
    slow: Action
    seconds: float

    async def send(
        self, service_url: str, request: Request, trace_id: str, may_leave: Callable[[], bool] = always
    ) -> Reply:
        if (service_url, request.action) == ("http://A", self.slow):
            await asyncio.sleep(self.seconds)
        return await self.sound.send(service_url, request, trace_id, may_leave)


def test_a_request_may_take_longer_to_leave_than_a_lease_that_is_renewed() -> None:
    async def life() -> None:
        service = Service("A", quick=True)
        async with in_simulation(service) as coordinator:
            way = LongWay(coordinator.task_services, Action.INITIALIZE, 3 * coordinator.policy.lease_s)
            coordinator.task_services = way
            await coordinator.restart()
            release_id = await coordinator.create()
            await coordinator.until(release_id, "staged", way.seconds + 1)
            assert service.actions(polls=True) == ["initialize", "start"]
            assert now() == pytest.approx(way.seconds, abs=1)

    run(life())


@pytest.mark.rule("F8")
def test_an_action_that_has_not_left_yet_is_called_back_by_a_cancel() -> None:
    """One service is hard to reach; the release is canceled before `start` gets there, and only the cancel does."""

    async def life() -> None:
        far, near = Service("A"), Service("B")
        async with in_simulation(far, near) as coordinator:
            coordinator.task_services = LongWay(coordinator.task_services, Action.START, 10)
            await coordinator.restart()
            release_id = await coordinator.create()
            await near.was_asked("start")
            await coordinator.commands.cancel(release_id, LOCAL)
            await coordinator.until(release_id, "canceled", 20)
            assert far.actions() == ["initialize", "cancel"]
            assert near.actions() == ["initialize", "start", "cancel"]

    run(life())


def test_nothing_leaves_when_the_lease_has_run_out() -> None:
    """The database is away for longer than the lease, while a request is on its long way: it is for others by then."""

    async def life() -> None:
        service = Service("A", quick=True)
        async with in_simulation(service) as coordinator:
            store = Unsteady()
            lease_s = coordinator.policy.lease_s
            coordinator.task_services = way = LongWay(coordinator.task_services, Action.INITIALIZE, lease_s + 5)
            await on_another_store(coordinator, store, service)
            release_id = await created_silently(coordinator)
            await coordinator.engine.ring(release_id)
            await asyncio.sleep(1)
            store.away = True
            await asyncio.sleep(lease_s + 10)
            assert service.asked == []
            store.away = False
            way.seconds = 0
            await coordinator.until(release_id, "staged", lease_s + SWEEP_INTERVAL_S)
            assert service.actions() == ["initialize", "start"]

    run(life())


def test_an_engine_that_is_stopped_leaves_nothing_running() -> None:
    """Its requests are cut off, as by a crash; what it had marked as sent is in doubt."""

    async def life() -> None:
        service = Service("A", {"initialize": [after(1000)]})
        async with in_simulation(service) as coordinator:
            await coordinator.create()
            await service.was_asked("initialize")
            running = asyncio.all_tasks()
            await coordinator.stop()
            left = [task for task in running if not task.done()]
            assert left == [asyncio.current_task()]

    run(life())


def test_a_request_is_not_sent_after_its_lease_has_run_out() -> None:
    """A commit that took longer than the lease: another worker may be at work by now. It costs no attempt."""

    class Slow(MemoryStore):
        pause_s = 20

        async def change(self, release_id: str, decide: Any) -> Any:
            outcome = await super().change(release_id, decide)
            await asyncio.sleep(self.pause_s)
            return outcome

    async def life() -> None:
        service, store = Service("A"), Slow()
        async with in_simulation(service) as coordinator:
            await on_another_store(coordinator, store, service)
            release_id = await created_silently(coordinator)
            await asyncio.sleep(200)
            assert service.asked == []
            store.pause_s = 0
            await coordinator.until(release_id, "running", 100)
            assert [asked.action for asked in service.asked][:2] == ["get_status", "initialize"]

    run(life())
