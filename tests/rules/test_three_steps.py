"""The three steps: what is sent when all goes well, and when the next step begins."""

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest

from lockstep.coordinator.core.callers import LOCAL
from lockstep.coordinator.core.errors import Conflict, Invalid
from lockstep.coordinator.core.policy import Policy
from lockstep.coordinator.core.records import PageOf
from lockstep.protocol.ids import Prefix, is_id
from lockstep.protocol.messages import Action, Answer
from lockstep.protocol.states import ReleaseState, TaskState
from lockstep.protocol.wire import reply_from_http
from tests.rules.rest import rest
from tests.scripted import BEGINNING, STUDIES, STUDY_URL, Coordinator, Says, Service, in_simulation, on_loopback
from tests.simulation.loop import run
from tests.table import Table

DAY_S = 86_400
IMPATIENT = Policy(task_timeout_s=600, release_timeout_s=3600)


def answered(state: str | None) -> Answer:
    """What an answer with a state, or without one, is read as."""
    reply = reply_from_http(200, b"{}" if state is None else f'{{"state": "{state}"}}'.encode())
    assert isinstance(reply, Answer)
    return reply


@pytest.mark.rule("C1")
def test_a_new_release_is_waiting() -> None:
    """201, and the release as it is before anything has been sent."""

    async def life() -> None:
        async with on_loopback(Service("A"), run=False) as coordinator, rest(coordinator) as client:
            answer = await client.post("/releases", json={"name": "autumn", "studies": STUDIES[:1]})
            body = answer.json()
            assert (201, "waiting", list(STUDIES[:1])) == (answer.status_code, body["state"], body["studies"])
            assert [task["state"] for task in body["tasks"]] == ["waiting"]

    asyncio.run(life())


@pytest.mark.rule("C2")
def test_a_release_comes_with_a_task_for_every_enabled_service() -> None:
    """Not for a disabled one, and not for one that is registered or enabled afterwards."""

    async def life() -> None:
        services = Service("A"), Service("off"), Service("B")
        async with in_simulation(*services) as coordinator:
            store = coordinator.store
            off = next(service for service in (await store.services(PageOf())).rows if service.name == "off")
            await store.edit_service(off.kf_id, {"enabled": False})
            view = await store.release(await coordinator.create())
            assert {"A", "B"} == {task.service_name for task in view.tasks}
            assert is_id(view.release.kf_id, Prefix.RELEASE)
            assert str(view.release.version) == "0.0.0"
            await store.edit_service(off.kf_id, {"enabled": True})
            await coordinator.register([Service("late", url="http://late")])
            await coordinator.until(view.release.kf_id, "staged", 100)
            assert {"A", "B"} == set(await coordinator.states(view.release.kf_id))

    run(life())


@pytest.mark.rule("C2")
def test_a_release_that_cannot_be_created_leaves_nothing_behind() -> None:
    """A study that does not exist: no release, no task, and the version is free for the next one."""

    async def life() -> None:
        async with in_simulation(Service("A")) as coordinator:
            with pytest.raises(Invalid):
                await coordinator.create("SD_AAAAAAAA", "SD_00000000")
            assert (await coordinator.store.releases(PageOf())).count == 0
            release = await coordinator.release(await coordinator.create())
            assert str(release.version) == "0.0.0"

    run(life())


@pytest.mark.rule("C3")
def test_a_release_without_services_goes_through_all_states_by_itself() -> None:
    """Up to staged, where it waits for a person, and then up to published."""

    async def life() -> None:
        async with in_simulation(policy=IMPATIENT) as coordinator:
            release_id = await coordinator.staged()
            await asyncio.sleep(DAY_S)
            assert ReleaseState.STAGED is (await coordinator.release(release_id)).state
            await coordinator.commands.publish(release_id, LOCAL)
            await coordinator.until(release_id, "published")
            line = ["waiting", "initializing", "running", "staged", "publishing", "published"]
            moves = [f"changed from {a} to {b}" for a, b in pairwise(line)]
            assert moves == [message[message.index("changed") :] for message in await coordinator.messages(release_id)]

    run(life())


@pytest.mark.rule("I1", "S1", "P3")
def test_every_service_is_told_at_the_same_time() -> None:
    """None of three services answers an action before all three have got it."""

    async def life() -> None:
        services = [Service(name) for name in "ABC"]
        for action in ("initialize", "start", "publish"):
            together = asyncio.Barrier(3)

            async def meet(together: asyncio.Barrier = together) -> Says:
                async with asyncio.timeout(4):
                    await together.wait()
                return Says()

            for service in services:
                service.script[action] = [meet]
        async with on_loopback(*services) as coordinator:
            release_id = await coordinator.create()
            await coordinator.marked(release_id, "start")
            await all_report(coordinator, release_id, services, "staged")
            await coordinator.commands.publish(release_id, LOCAL)
            await coordinator.marked(release_id, "publish")
            await all_report(coordinator, release_id, services, "published")
            await coordinator.until(release_id, "published")
            await asyncio.gather(*(service.was_asked("publish") for service in services))
            assert [service.actions() for service in services] == [["initialize", "start", "publish"]] * 3

    asyncio.run(life())


async def all_report(coordinator: Coordinator, release_id: str, services: list[Service], state: str) -> None:
    for service in services:
        await coordinator.call_back(release_id, service, state=state)


@pytest.mark.rule("I2")
@pytest.mark.parametrize("state", [None, "pending", "initialized"])
def test_a_service_accepts_to_be_initialized(state: str | None) -> None:
    table = Table("AB")
    table.decide()
    table.hear(Action.INITIALIZE, {"A": answered(state)})
    assert table.states == {"A": TaskState.PENDING, "B": TaskState.WAITING}


@pytest.mark.rule("I3")
def test_staging_begins_when_every_task_is_pending() -> None:
    """Nothing is sent while one of three services has not answered, and start to all of them once it has."""
    table = Table("ABC")
    assert dict.fromkeys("ABC", Action.INITIALIZE) == table.sent()
    assert table.hear(Action.INITIALIZE, {"A": Answer(), "B": Answer()}) == {}
    assert table.pass_time(10) == {}
    assert table.state == "initializing"
    assert dict.fromkeys("ABC", Action.START) == table.hear(Action.INITIALIZE, {"C": Answer()})
    assert table.state == "running"


@pytest.mark.rule("S1")
def test_start_names_the_studies_and_where_to_get_them() -> None:
    """One address in the data service for each study, in the order of the studies."""

    async def life() -> None:
        service = Service("A")
        async with on_loopback(service) as coordinator:
            await coordinator.staged("SD_CCCCCCCC", "SD_AAAAAAAA")
        body = next(asked.body for asked in service.asked if asked.action == "start")
        studies = ["SD_CCCCCCCC", "SD_AAAAAAAA"]
        assert (studies, [STUDY_URL.format(study) for study in studies]) == (body["studies"], body["urls"])

    asyncio.run(life())


@pytest.mark.rule("S2")
@pytest.mark.parametrize(
    ("said", "state"), [(None, TaskState.RUNNING), ("running", TaskState.RUNNING), ("staged", TaskState.STAGED)]
)
def test_a_service_accepts_to_stage(said: str | None, state: TaskState) -> None:
    table = Table("AB")
    table.initialized()
    table.hear(Action.START, {"A": answered(said)})
    assert {"A": state, "B": TaskState.PENDING} == table.states


@pytest.mark.rule("S3")
def test_a_running_task_is_asked_once_in_every_poll_interval() -> None:
    """Every 30 s after the last answer, until it is staged; a service that has staged is asked no more."""

    async def slowly() -> Says:
        await asyncio.sleep(7)
        return Says(body={"state": "running"})

    async def life() -> None:
        slow, quick = Service("slow", {"get_status": [slowly]}, work_s=100), Service("quick", quick=True)
        async with in_simulation(slow, quick) as coordinator:
            await coordinator.until(await coordinator.create(), "staged", 1000)
            assert pytest.approx(slow.times("get_status"), abs=1) == [30, 67, 97, 127]
            assert quick.times("get_status") == []

    run(life())


@pytest.mark.rule("S4")
def test_a_service_may_report_before_it_is_asked() -> None:
    """A release whose only service reports after 3 s is staged then, without a poll."""

    async def life() -> None:
        service = Service("A", work_s=1000)
        async with in_simulation(service) as coordinator:
            release_id = await coordinator.create()
            await asyncio.sleep(3)
            await coordinator.call_back(release_id, service, state="staged")
            assert ReleaseState.STAGED is (await coordinator.release(release_id)).state
            assert service.times("get_status") == []

    run(life())


@pytest.mark.rule("S5")
def test_a_release_is_staged_when_every_task_is() -> None:
    table = Table("AB")
    table.started()
    table.call_back("A", TaskState.STAGED)
    assert table.state == "running"
    table.call_back("B", TaskState.STAGED)
    assert table.state == "staged"


@pytest.mark.rule("S5", "P1")
def test_a_staged_release_waits_for_its_review_without_limit() -> None:
    """Nothing is sent for far longer than any deadline; then a person asks, and only then publish is sent."""

    async def life() -> None:
        service = Service("A")
        async with in_simulation(service, policy=IMPATIENT) as coordinator:
            release_id = await coordinator.create()
            await coordinator.until(release_id, "staged", 100)
            asked = len(service.asked)
            await asyncio.sleep(DAY_S)
            assert (ReleaseState.STAGED, asked) == ((await coordinator.release(release_id)).state, len(service.asked))
            await coordinator.commands.publish(release_id, LOCAL)
            await coordinator.until(release_id, "published", 100)
            assert service.actions() == ["initialize", "start", "publish"]

    run(life())


@pytest.mark.rule("P1")
def test_what_is_not_staged_is_not_published() -> None:
    """409 in every other state, and nothing has changed."""

    async def life() -> None:
        service = Service("A", work_s=1000)
        async with on_loopback(service) as coordinator, rest(coordinator) as client:
            release_id = await coordinator.create()

            async def refused(state: str) -> None:
                await coordinator.until(release_id, state)
                before = (await client.get(f"/releases/{release_id}")).json()
                answer = await client.post(f"/releases/{release_id}/publish")
                said = f"The release in state {state} may not be published."
                assert (answer.status_code, answer.json()) == (409, {"detail": said})
                assert before == (await client.get(f"/releases/{release_id}")).json()

            await coordinator.marked(release_id, "start")
            await refused("running")
            await coordinator.call_back(release_id, service, state="staged")
            assert (await client.post(f"/releases/{release_id}/publish")).status_code == 200
            await coordinator.marked(release_id, "publish")
            await refused("publishing")
            await coordinator.call_back(release_id, service, state="published")
            await refused("published")
            await service.was_asked("publish")
            assert service.actions() == ["initialize", "start", "publish"]

    asyncio.run(life())


@pytest.mark.rule("P1")
@pytest.mark.parametrize("steps", ["", "decide", "initialized", "started", "publishing", "cancel"])
def test_the_core_refuses_to_publish_what_is_not_staged(steps: str) -> None:
    """Whatever the release is doing; its tasks and its version stay as they were."""
    table = Table("A")
    if steps:
        getattr(table, steps)()
    before = table.snapshot
    with pytest.raises(Conflict):
        table.publish()
    assert before == table.snapshot


@pytest.mark.rule("P2")
def test_a_service_that_publishes_sees_the_final_version() -> None:
    """The service reads the release in the middle of being told to publish."""

    async def life() -> None:
        service = Service("A")
        seen: list[tuple[str, str]] = []
        async with on_loopback(service) as coordinator, rest(coordinator) as client:
            release_id = await coordinator.staged()

            async def read_release() -> Says:
                body = (await client.get(f"/releases/{release_id}")).json()
                seen.append((body["state"], body["version"]))
                return Says(body={"state": "published"})

            service.script["publish"] = [read_release]
            await coordinator.commands.publish(release_id, LOCAL)
            view = await coordinator.until(release_id, "published")
            assert seen == [("publishing", "0.1.0")]
            assert str(view.release.version) == "0.1.0"

    asyncio.run(life())


@pytest.mark.rule("P4")
@pytest.mark.parametrize(
    ("said", "state"),
    [(None, TaskState.PUBLISHING), ("publishing", TaskState.PUBLISHING), ("published", TaskState.PUBLISHED)],
)
def test_a_service_accepts_to_publish(said: str | None, state: TaskState) -> None:
    table = Table("AB")
    assert dict.fromkeys("AB", Action.PUBLISH) == table.told_to_publish()
    table.hear(Action.PUBLISH, {"A": answered(said)})
    assert {"A": state, "B": TaskState.STAGED} == table.states


@pytest.mark.rule("P5", "P6")
def test_publishing_is_polled_until_every_task_is_published() -> None:
    """The release is published with the answer of the slower service, and says when that was."""

    async def life() -> None:
        slow, quick = Service("slow", work_s=100), Service("quick", quick=True)
        async with in_simulation(slow, quick) as coordinator:
            release_id = await coordinator.create()
            await coordinator.until(release_id, "staged", 1000)
            begun, slow.asked[:] = asyncio.get_running_loop().time(), []
            await coordinator.commands.publish(release_id, LOCAL)
            view = await coordinator.until(release_id, "published", 1000)
            polls = [begun + 30, begun + 60, begun + 90, begun + 120]
            assert polls == pytest.approx(slow.times("get_status"), abs=1)
            assert view.release.published_at == BEGINNING + timedelta(seconds=asyncio.get_running_loop().time())

    run(life())


@pytest.mark.rule("P6")
def test_a_release_is_published_when_every_task_is() -> None:
    table = Table("AB")
    table.publishing()
    table.call_back("A", TaskState.PUBLISHED)
    assert (table.state, table.release.published_at) == (ReleaseState.PUBLISHING, None)
    table.call_back("B", TaskState.PUBLISHED)
    assert (ReleaseState.PUBLISHED, table.now) == (table.state, table.release.published_at)


@pytest.mark.rule("P7")
def test_progress_is_about_the_step_at_hand() -> None:
    """It ends at 100 when the task is staged, begins again when it publishes, and ends at 100 again."""
    table = Table("A")
    table.started()
    table.call_back("A", progress=40)
    seen = [table.task("A").progress]
    table.call_back("A", TaskState.STAGED)
    seen.append(table.task("A").progress)
    table.publish()
    table.decide()
    table.hear(Action.PUBLISH, {"A": Answer(TaskState.PUBLISHING)})
    seen.append(table.task("A").progress)
    table.call_back("A", TaskState.PUBLISHED)
    seen.append(table.task("A").progress)
    assert seen == [40, 100, 0, 100]


@pytest.mark.rule("P7")
@pytest.mark.parametrize("state", [None, TaskState.STAGED])
def test_a_progress_that_comes_after_the_end_of_its_step_takes_nothing_back(state: TaskState | None) -> None:
    """Reports overtake each other: the ninety percent of a service may come after its `staged`, or with it."""
    table = Table("A")
    table.started()
    table.call_back("A", TaskState.STAGED, progress=90)
    table.call_back("A", state, progress=95)
    assert table.task("A").progress == 100
