"""Redis holds nothing that cannot be lost: emptied, down for a while, gone."""

import signal
import time

import psutil
import pytest
from redis import Redis

from tests.faults.scene import Scene
from tests.patience import wait_until

DOWN_S = 10.0
MOST_CPU = 0.25
"""The part of one processor that a worker may use while it waits for Redis to come back."""


def publish_one(scene: Scene) -> None:
    release = scene.create("without redis")
    scene.wait_for_state(release, "staged")
    assert scene.post(f"/releases/{release}/publish").status_code == 200
    scene.wait_for_state(release, "published")
    scene.check_log(release)


@pytest.mark.timeout(300)
def test_emptied(hurt: Scene) -> None:
    """Redis is emptied again and again while releases go on."""
    releases = [hurt.create("emptied") for _ in range(3)]
    with Redis.from_url(hurt.valkey.url) as redis:
        for release in releases:
            wait_until(
                lambda release=release: redis.flushall() and hurt.state(release) == "staged",  # type: ignore[misc]
                lambda release=release: hurt.story(release, "staged"),  # type: ignore[misc]
            )
        for release in releases:
            assert hurt.post(f"/releases/{release}/publish").status_code == 200
            redis.flushall()
    for release in releases:
        hurt.wait_for_state(release, "published")
        hurt.check_log(release)


@pytest.mark.timeout(300)
def test_down_for_a_while(hurt: Scene) -> None:
    """While Redis is down, releases go on, the API answers, and nobody spends a processor on waiting."""
    hurt.valkey.stop(signal.SIGKILL)
    down_at = time.monotonic()
    publish_one(hurt)
    processes = [psutil.Process(one.process.pid) for one in (*hurt.workers, *hurt.servers) if one.process is not None]
    before = [sum(process.cpu_times()[:2]) for process in processes]
    began = time.monotonic()
    time.sleep(max(3, down_at + DOWN_S - began))  # the time is what is being measured
    spent_s = time.monotonic() - began
    used = [(sum(process.cpu_times()[:2]) - was) / spent_s for process, was in zip(processes, before, strict=True)]
    assert [share for share in used if share > MOST_CPU] == []
    hurt.valkey.start()
    publish_one(hurt)
    began = time.monotonic()
    with Redis.from_url(hurt.valkey.url) as redis:
        wait_until(
            lambda: len(redis.client_list()) > 2 + len(hurt.workers), lambda: f"not all are back: {redis.client_list()}"
        )


@pytest.mark.timeout(300)
def test_gone_from_the_start(hurt: Scene) -> None:
    """A worker and a coordinator that start while there is no Redis do their work all the same."""
    hurt.valkey.stop(signal.SIGKILL)
    for one in (*hurt.workers, hurt.servers[0]):
        one.stop(signal.SIGKILL)
    for one in (hurt.servers[0], *hurt.workers):
        one.start()
    publish_one(hurt)
    hurt.valkey.start()
    publish_one(hurt)
