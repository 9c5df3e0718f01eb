"""What was decided about a release, as services may ask that were away."""

import asyncio

import pytest

from lockstep.coordinator.core.callers import LOCAL
from lockstep.coordinator.services.callback_tokens import CallbackTokens
from lockstep.coordinator.web.rest.releases import OPERATIONS
from lockstep.protocol.states import DECISIONS, RELEASE_MOVES, Decision, ReleaseState
from tests.conftest import Serve
from tests.identity.house import SECRET, houses
from tests.rules.rest import rest
from tests.scripted import Service, on_loopback

[ASK] = [operation for operation in OPERATIONS if operation.call.__name__ == "show_decision"]


@pytest.mark.rule("D1")
def test_the_decision_follows_the_release() -> None:
    """Undecided until somebody asks for it to be published or canceled; the version is the final one then."""

    async def life() -> None:
        async with on_loopback(Service("A")) as coordinator, rest(coordinator) as client:
            published, canceled = await coordinator.staged("SD_AAAAAAAA"), await coordinator.staged("SD_BBBBBBBB")
            before = (await client.get(f"/releases/{published}/decision")).json()
            assert (before["kf_id"], before["decision"], before["state"]) == (published, "undecided", "staged")
            await coordinator.commands.publish(published, LOCAL)
            during = (await client.get(f"/releases/{published}/decision")).json()
            await coordinator.until(published, "published")
            after = (await client.get(f"/releases/{published}/decision")).json()
            assert (during["decision"], after["decision"], after["state"]) == ("publish", "publish", "published")
            assert during["version"] == after["version"] != before["version"]
            await coordinator.commands.cancel(canceled, LOCAL)
            assert (await client.get(f"/releases/{canceled}/decision")).json()["decision"] == "cancel"
            await coordinator.until(canceled, "canceled")
            assert (await client.get(f"/releases/{canceled}/decision")).json()["decision"] == "cancel"

    asyncio.run(life())


@pytest.mark.rule("D1")
def test_no_decision_is_taken_back_but_to_publish() -> None:
    assert set(DECISIONS) == set(ReleaseState)
    steps = {(DECISIONS[state], DECISIONS[to]) for state, moves in RELEASE_MOVES.items() for to in moves}
    changes = {(was, becomes) for was, becomes in steps if was is not becomes}
    undecided, publish, cancel = Decision.UNDECIDED, Decision.PUBLISH, Decision.CANCEL
    assert changes == {(undecided, publish), (undecided, cancel), (publish, cancel)}


@pytest.mark.rule("D2")
def test_a_release_that_is_not_known_will_not_be_published() -> None:
    async def life() -> None:
        async with on_loopback(Service("A")) as coordinator, rest(coordinator) as client:
            answer = await client.get("/releases/RE_00000000/decision")
            expected = {"kf_id": "RE_00000000", "decision": "cancel", "state": None, "version": None}
            assert (answer.status_code, answer.json()) == (200, expected)
            assert (await client.get("/releases/anything/decision")).status_code == 404

    asyncio.run(life())


@pytest.mark.rule("D3")
def test_a_callback_token_is_taken_for_its_own_release(serve: Serve) -> None:
    """Also when the coordinator has lost the task together with its release; for other releases it is not."""

    async def go() -> None:
        async with houses(serve) as build:
            house = await build()
            asked = {name: await house.ask("task", ASK, target) for name, target in house.targets.items()}
            assert asked["own"].json()["decision"] == "undecided"
            assert asked["foreign"].status_code == 404
            token = CallbackTokens(SECRET).issue("TA_00000000")
            async with house.web("anonymous") as web:
                web.headers["Authorization"] = f"Bearer {token}"
                lost = await web.get("/releases/RE_00000000/decision")
                assert (lost.status_code, lost.json()["decision"]) == (200, "cancel")
                assert (await web.get(f"/releases/{house.targets['own'].release_id}/decision")).status_code == 404

    asyncio.run(go())
