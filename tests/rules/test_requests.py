"""What a request looks like, as a service gets it; what comes of its answer is tried in `tests/engine`."""

import asyncio
from typing import Any

import pytest

from lockstep.coordinator.core.callers import LOCAL
from tests.scripted import STUDY_URL, Service, on_loopback


@pytest.mark.rule("R1")
def test_every_request_names_its_action_task_and_release() -> None:
    """Keys in the order that services in the field know; the status is asked for without studies."""

    async def life() -> None:
        service = Service("A")
        async with on_loopback(service) as coordinator:
            release_id = await coordinator.staged("SD_AAAAAAAA")
            task_id = await coordinator.task_id(release_id, service)
            await coordinator.commands.cancel(release_id, LOCAL)
            await coordinator.until(release_id, "canceled")
        who = {"task_id": task_id, "release_id": release_id}
        what = {"studies": ["SD_AAAAAAAA"], "urls": [STUDY_URL.format("SD_AAAAAAAA")], "kf_id": task_id}
        expected: dict[str, dict[str, object]] = {
            "initialize": {"action": "initialize", **who, **what},
            "start": {"action": "start", **who, **what},
            "get_status": {**who, "action": "get_status", "kf_id": task_id},
            "cancel": {"action": "cancel", **who, **what},
        }
        seen = {asked.action: asked.body for asked in service.asked}
        assert expected == {action: _without_epoch(body) for action, body in seen.items()}
        assert [[*body, "epoch"] for body in expected.values()] == [list(seen[action]) for action in expected]

    asyncio.run(life())


def _without_epoch(body: Any) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "epoch"}


@pytest.mark.rule("R5")
def test_the_epoch_rises_whenever_a_release_is_taken_up() -> None:
    """It stays the same while one goes on with it."""

    async def life() -> None:
        service = Service("A", quick=True)
        async with on_loopback(service) as coordinator:
            release_id = await coordinator.staged()
            await coordinator.commands.publish(release_id, LOCAL)
            await coordinator.until(release_id, "published")
        epochs = {asked.action: asked.body["epoch"] for asked in service.asked}
        assert epochs == {"initialize": 1, "start": 1, "publish": 2}

    asyncio.run(life())


@pytest.mark.rule("R2")
def test_all_requests_of_a_release_are_one_trace() -> None:
    """And those of another release another one."""

    async def life() -> None:
        service = Service("A", quick=True)
        async with on_loopback(service) as coordinator:
            releases = [await coordinator.staged("SD_AAAAAAAA") for _ in range(2)]
            uuids = [(await coordinator.release(release_id)).uuid for release_id in releases]
        traces = [(asked.body["release_id"], asked.headers["traceparent"].split("-")[1]) for asked in service.asked]
        assert set(zip(releases, uuids, strict=True)) == set(traces)
        assert len(set(uuids)) == 2

    asyncio.run(life())
