"""At the same time: many people, many workers, releases that share studies, and processes that are killed."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from lockstep.coordinator.core.callers import LOCAL
from lockstep.coordinator.core.decide import Worker
from lockstep.coordinator.core.errors import Conflict, LeaseHeld, LeaseLost
from lockstep.coordinator.core.model import Ahead, Delivery, EventType
from lockstep.coordinator.core.records import NewRelease
from lockstep.coordinator.engine.engine import SWEEP_INTERVAL_S
from lockstep.protocol.messages import Action, Answer, Refusal
from lockstep.protocol.states import ReleaseState, TaskState
from tests.scripted import STUDIES, Coordinator, Says, Service, in_simulation, on_loopback
from tests.simulation.loop import run
from tests.table import Table

STEPS = ["initialize", "start", "publish"]


@pytest.mark.rule("T1")
def test_many_requests_to_publish_publish_once() -> None:
    """Twenty people ask at the same moment: one publishing, and the others are told that it is not staged any more."""

    async def life() -> None:
        services = [Service(name, work_s=1000) for name in "ABC"]
        async with on_loopback(*services) as coordinator:
            release_id = await coordinator.create()
            await coordinator.marked(release_id, "start")
            for service in services:
                await coordinator.call_back(release_id, service, state="staged")
            asked = (coordinator.commands.publish(release_id, LOCAL) for _ in range(20))
            outcomes = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes if isinstance(outcome, Exception)] == [Conflict] * 19
            await coordinator.marked(release_id, "publish")
            for service in services:
                await coordinator.call_back(release_id, service, state="published")
            assert str((await coordinator.until(release_id, "published")).release.version) == "0.1.0"
            await asyncio.gather(*(service.was_asked("publish") for service in services))
        assert [service.actions() for service in services] == [STEPS] * 3

    asyncio.run(life())


@pytest.mark.rule("T1", "T2")
def test_three_workers_send_each_action_once() -> None:
    """Three engines on one store, all of them woken for everything, with releases that overlap."""

    async def life() -> None:
        services = [Service(name, work_s=40) for name in "AB"]
        async with in_simulation(*services) as coordinator:
            await coordinator.stop()
            engines = [coordinator.new_engine(alone=False) for _ in range(3)]
            running = [asyncio.create_task(engine.run()) for engine in engines]

            async def ring_all(release_id: str) -> None:
                await asyncio.gather(*(engine.ring(release_id) for engine in engines))

            releases = [await coordinator.create(study) for study in STUDIES]
            for release_id in releases:
                await ring_all(release_id)
            for release_id in releases:
                await coordinator.until(release_id, "staged", 300)
                await coordinator.commands.publish(release_id, LOCAL)
                await ring_all(release_id)
            for release_id in releases:
                await coordinator.until(release_id, "published", 300)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        for service in services:
            for release_id in releases:
                asked = [asked.action for asked in service.asked if asked.body["release_id"] == release_id]
                assert [action for action in asked if action != "get_status"] == STEPS

    run(life())


@pytest.mark.rule("T2")
@pytest.mark.parametrize("action", STEPS)
def test_an_action_is_marked_as_sent_before_it_leaves(action: str) -> None:
    """What the service finds stored when it is asked is that it has been asked."""

    async def life() -> None:
        service = Service("A", quick=True)
        found: list[tuple[str, str]] = []
        async with on_loopback(service) as coordinator:

            async def look() -> Says:
                task = (await coordinator.store.task(service.asked[-1].body["task_id"])).task
                found.append((str(task.told), task.delivery))
                return service.honest(service.asked[-1].body)

            service.script[action] = [look]
            release_id = await coordinator.staged()
            await coordinator.commands.publish(release_id, LOCAL)
            await coordinator.until(release_id, "published")
        assert found == [(action, Delivery.SENT)]

    asyncio.run(life())


@pytest.mark.rule("T2")
def test_only_the_holder_of_the_lease_sends() -> None:
    """Another worker is turned away until the lease has run out; then it takes over, and the first has lost it."""
    table = Table("AB")
    table.decide()
    epoch, first = table.held_epoch, table.worker
    table.worker, table.held_epoch = Worker("worker 2"), 0
    table.now += timedelta(seconds=Table().policy.lease_s - 0.001)
    with pytest.raises(LeaseHeld, match="worker 1 is at work on it"):
        table.decide()
    table.now += timedelta(seconds=0.001)
    assert table.sent() == dict.fromkeys("AB", Action.GET_STATUS)
    assert table.held_epoch > epoch
    table.worker, table.held_epoch = first, epoch
    with pytest.raises(LeaseLost, match="lost to worker 2"):
        table.decide()


@pytest.mark.rule("T2")
def test_a_renewed_lease_does_not_run_out() -> None:
    """The holder decides now and then while it waits for answers."""
    table = Table("A")
    table.decide()
    first = table.worker
    for _ in range(10):
        assert table.pass_time(10) == {}
    table.worker, held, table.held_epoch = Worker("worker 2"), table.held_epoch, 0
    with pytest.raises(LeaseHeld):
        table.decide()
    table.worker, table.held_epoch = first, held
    assert table.land() == {"A": Action.START}


@pytest.mark.rule("T3")
def test_releases_that_share_a_study_publish_one_after_the_other() -> None:
    """In the order in which publishing was asked, not in the order of their creation; the later says whom it awaits."""

    async def life() -> None:
        service = Service("A", work_s=50)
        async with in_simulation(service) as coordinator:
            a, b, c = [await coordinator.create(*studies) for studies in (STUDIES[:2], STUDIES[1:], STUDIES[:1])]
            for release_id in (a, b, c):
                await coordinator.until(release_id, "staged", 200)
            for release_id in (b, a, c):
                await coordinator.commands.publish(release_id, LOCAL)
            states = [(await coordinator.release(release_id)).state for release_id in (a, b, c)]
            assert states == ["staged", "publishing", "staged"]
            assert [(await coordinator.release(release_id)).waits_for for release_id in (a, b, c)] == [b, None, a]
            event = await coordinator.heard_of(a, "waits")
            said = (
                f"release {a} waits to be published until release {b} has ended, "
                f"which shares {STUDIES[1]} and was asked to publish first"
            )
            assert (event.event_type, event.message) == (EventType.WARNING, said)
            ends = [(await coordinator.until(r, "published", 300)).release.published_at for r in (b, a, c)]
            assert ends == sorted(end for end in ends if end)
            assert [str((await coordinator.release(r)).version) for r in (b, a, c)] == ["0.1.0", "0.2.0", "0.3.0"]
            order = [asked.body["release_id"] for asked in service.asked if asked.action == "publish"]
            assert order == [b, a, c]
            assert [(await coordinator.release(r)).waits_for for r in (a, b, c)] == [None] * 3

    run(life())


@pytest.mark.rule("T3")
@pytest.mark.parametrize("ending", ["failed", "canceled"])
def test_the_later_release_goes_on_when_the_earlier_one_ends_otherwise(ending: str) -> None:
    """At once: it does not wait for the next sweep."""

    async def life() -> None:
        service = Service("A", work_s=1000)
        async with in_simulation(service) as coordinator:
            a, b = await coordinator.create(), await coordinator.create()
            for release_id in (a, b):
                await coordinator.marked(release_id, "start")
                await coordinator.call_back(release_id, service, state="staged")
                await coordinator.commands.publish(release_id, LOCAL)
            await coordinator.marked(a, "publish")
            await asyncio.sleep(7.3)
            assert (await coordinator.release(b)).state is ReleaseState.STAGED
            if ending == "failed":
                await coordinator.call_back(a, service, state="failed")
            else:
                await coordinator.commands.cancel(a, LOCAL)
            await coordinator.until(a, ending)
            ended = asyncio.get_running_loop().time()
            await coordinator.marked(b, "publish")
            assert asyncio.get_running_loop().time() - ended < 0.1

    run(life())


@pytest.mark.rule("T3")
def test_a_release_that_waits_can_be_canceled() -> None:
    """Then it does not say any more that it waits, and the one behind it waits for the one before."""
    table = Table("A", ahead=(Ahead("RE_11111111", 3, ("SD_AAAAAAAA",)), Ahead("RE_22222222", 5, ("SD_AAAAAAAA",))))
    table.staged()
    table.publish()
    assert (table.state, table.release.waits_for) == (ReleaseState.STAGED, "RE_22222222")
    told = len(table.events)
    table.decide()
    assert table.events[told:] == []
    table.ahead = table.ahead[:1]
    table.decide()
    assert (table.state, table.release.waits_for) == (ReleaseState.STAGED, "RE_11111111")
    told = len(table.events)
    table.publish()
    table.decide()
    assert (table.events[told:], table.release.publish_order) == ([], 8)
    table.cancel()
    assert (table.state, table.release.waits_for) == (ReleaseState.CANCELING, None)


@pytest.mark.rule("T3")
def test_a_release_does_not_wait_for_those_that_were_asked_after_it() -> None:
    table = Table("A", ahead=(Ahead("RE_11111111", 9, ("SD_AAAAAAAA",)),))
    table.staged()
    table.release = replace(table.release, publish_order=8)
    assert table.sent() == {"A": Action.PUBLISH}


@pytest.mark.rule("T4")
def test_releases_without_a_common_study_publish_at_the_same_time() -> None:
    async def life() -> None:
        service = Service("A", work_s=1000)
        async with in_simulation(service) as coordinator:
            releases = [await coordinator.create(study) for study in STUDIES]
            for release_id in releases:
                await coordinator.marked(release_id, "start")
                await coordinator.call_back(release_id, service, state="staged")
                await coordinator.commands.publish(release_id, LOCAL)
            for release_id in releases:
                await coordinator.marked(release_id, "publish")
            states = [(await coordinator.release(release_id)).state for release_id in releases]
            assert states == [ReleaseState.PUBLISHING] * 3

    run(life())


@pytest.mark.rule("T5")
@pytest.mark.parametrize("arrived", [True, False], ids=["arrived", "lost"])
@pytest.mark.parametrize("action", STEPS)
def test_a_killed_process_goes_on_from_where_it_was(action: str, arrived: bool) -> None:
    """Killed while the action is on its way: the service is asked first whether it came, and told only if it did not.

    Its services refuse repetitions, as those in the field do.
    """

    async def life() -> None:
        service = Service("A", quick=True)

        async def never_answer() -> Says:
            if arrived:
                service.honest(service.asked[-1].body)
                service.script[action] = [Says(400, b"not again")]
            await asyncio.Event().wait()
            return Says()

        service.script[action] = [never_answer]
        async with in_simulation(service, Service("B")) as coordinator:
            release_id = await coordinator.create()
            await coordinator.wait(release_id, lambda: done_before(coordinator, release_id, action), 100)
            if action == "publish":
                await coordinator.commands.publish(release_id, LOCAL)
            await service.was_asked(action)
            await coordinator.restart()
            if action != "publish":
                await coordinator.until(release_id, "staged", 300)
                await coordinator.commands.publish(release_id, LOCAL)
            await coordinator.until(release_id, "published", 300)
        asked = service.actions(polls=True)
        assert asked[asked.index(action) + 1] == "get_status"
        assert asked.count(action) == (1 if arrived else 2)

    run(life())


async def done_before(coordinator: Coordinator, release_id: str, action: str) -> bool:
    state = (await coordinator.release(release_id)).state
    return action != "publish" or state is ReleaseState.STAGED


@pytest.mark.rule("T5")
def test_a_killed_process_goes_on_canceling() -> None:
    """Whether or not the cancel came: it may be said twice."""
    table = Table("AB")
    table.started()
    table.cancel()
    assert table.sent() == dict.fromkeys("AB", Action.CANCEL)
    table.hear(Action.CANCEL, {"A": Answer()})
    table.crash()
    assert table.sent() == {"B": Action.CANCEL}
    table.land(Refusal(404, "unknown"))
    assert table.state is ReleaseState.CANCELED


@pytest.mark.rule("T5")
def test_a_killed_process_polls_on() -> None:
    """A poll that nobody awaits any more is asked again at once, and its late effect is none."""
    table = Table("AB")
    table.started()
    table.hear(Action.START, {})
    table.pass_time(30)
    table.crash()
    assert table.sent() == dict.fromkeys("AB", Action.GET_STATUS)
    table.land(Answer(TaskState.STAGED))
    assert table.state is ReleaseState.STAGED


@pytest.mark.rule("T5")
def test_another_worker_takes_over_when_the_lease_has_run_out() -> None:
    """The first is killed with a request on its way; the second finds the release by itself, within seconds."""

    async def life() -> None:
        service = Service("A", {"start": [None]})
        async with in_simulation(service) as coordinator:
            release_id = await coordinator.create()
            await service.was_asked("start")
            await coordinator.stop()
            killed = asyncio.get_running_loop().time()
            coordinator.engine = coordinator.new_engine(alone=False)
            coordinator.start()
            await service.was_asked("get_status", within_s=100)
            lease_s = coordinator.policy.lease_s
            assert service.times("get_status")[0] - killed == pytest.approx(lease_s, abs=SWEEP_INTERVAL_S)
            await coordinator.until(release_id, "staged", 100)

    run(life())


@pytest.mark.rule("T6")
def test_a_lost_ring_costs_seconds_only() -> None:
    """A release that is created without one is found by the sweep."""

    async def life() -> None:
        async with in_simulation(Service("A", quick=True)) as coordinator:
            await asyncio.sleep(12.3)
            new = NewRelease("a release", STUDIES)
            view = await coordinator.store.create_release(new, coordinator.clock.now())
            begun = asyncio.get_running_loop().time()
            await coordinator.until(view.release.kf_id, "staged", 100)
            assert asyncio.get_running_loop().time() - begun < SWEEP_INTERVAL_S + 1

    run(life())


@pytest.mark.rule("T6")
def test_doubled_and_late_rings_do_nothing() -> None:
    """Rung ten times at each step, and after the end, for releases that exist and one that does not."""

    async def life() -> None:
        service = Service("A", work_s=3)
        async with in_simulation(service) as coordinator:
            release_id = await coordinator.create()
            for state in ("running", "staged", "publishing", "published"):
                if state == "publishing":
                    await coordinator.commands.publish(release_id, LOCAL)
                await coordinator.until(release_id, state, 100)
                for _ in range(10):
                    await coordinator.engine.ring(release_id)
                    await coordinator.engine.ring("RE_00000000")
                    await asyncio.sleep(0.01)
            told = await coordinator.messages(release_id)
            await coordinator.engine.ring(release_id)
            await asyncio.sleep(10)
            assert service.actions() == STEPS
            assert told == await coordinator.messages(release_id)

    run(life())
