"""Several of everything: they end in time, hear of each other, and do together what is to be done once."""

import asyncio
import signal
import threading
import time
from collections import Counter
from datetime import datetime
from random import Random

import asyncpg
import pytest

from tests.faults.network import Cable
from tests.faults.scene import ROUNDS, WORKER_ENDS_S, Scene, event_stream, port_of
from tests.faults.test_workers import begin, finish, victim_of, wait_until_taken_over
from tests.patience import PATIENCE_S, wait_until

SEED = 11
SERVE_ENDS_S = 20.0
"""Three seconds are promised; the machine that tests is busy with others."""

SEEN_WITHIN_S = 5.0
"""Half a second is promised; without an announcement it would take until the next beat, fifteen."""

HEALTH_INTERVAL_S = 2.0


@pytest.mark.timeout(600)
def test_worker_asked_to_end(hurt: Scene) -> None:
    """A worker that is asked to end finishes or gives back what it works on, and ends in order."""
    random = Random(SEED)
    for _ in range(ROUNDS):
        step = random.choice(["initialize", "start", "publish", "cancel"])
        release = begin(hurt, step)
        victim = victim_of(hurt, release, random)
        assert victim.process is not None
        began = time.monotonic()
        victim.send(signal.SIGTERM)
        assert victim.process.wait(WORKER_ENDS_S) == 0
        assert time.monotonic() - began < WORKER_ENDS_S
        assert hurt.held(release).pid != victim.process.pid
        finish(hurt, release, step)
        hurt.heal()


@pytest.mark.timeout(300)
def test_worker_asked_to_end_without_a_database(hurt: Scene) -> None:
    """A worker that cannot give back what it works on ends in time all the same, and another goes on."""
    with Cable(port_of(hurt.postgres.url)) as cable:
        url = hurt.postgres.url.replace(f":{hurt.postgres.port}", f":{cable.port}")
        far = hurt.worker("far end", LOCKSTEP_DATABASE_URL=url)
        far.start()
        try:
            assert far.process is not None
            for worker in hurt.workers:
                worker.send(signal.SIGSTOP)
            release = begin(hurt, "initialize")
            cable.cut()
            began = time.monotonic()
            far.send(signal.SIGTERM)
            far.process.wait(WORKER_ENDS_S)
            assert time.monotonic() - began < WORKER_ENDS_S
        finally:
            for worker in hurt.workers:
                worker.send(signal.SIGCONT)
            far.stop(signal.SIGKILL)
        wait_until_taken_over(hurt, release, hurt.held(release).epoch)
        finish(hurt, release, "initialize")


def test_serve_asked_to_end(hurt: Scene) -> None:
    """A coordinator that is asked to end closes its event streams and is gone soon."""
    server = hurt.servers[1]
    assert server.process is not None
    release = hurt.create("watched")
    hurt.wait_for_state(release, "staged")
    with event_stream(f"{server.url}/releases/{release}/events/stream") as lines:
        next(lines)
        began = time.monotonic()
        server.send(signal.SIGTERM)
        for _ in lines:
            assert time.monotonic() - began < SERVE_ENDS_S
        assert server.process.wait(SERVE_ENDS_S) == 0
        assert time.monotonic() - began < SERVE_ENDS_S


@pytest.mark.timeout(300)
@pytest.mark.parametrize("server", [0, 1])
def test_stream_of_another_process(hurt: Scene, server: int) -> None:
    """Whoever watches one coordinator sees what a worker did within half a second."""
    release = hurt.create("watched")
    late: list[float] = []
    ready, done = threading.Event(), threading.Event()

    def watch() -> None:
        with event_stream(f"{hurt.servers[server].url}/releases/{release}/events/stream") as lines:
            ready.set()
            late.extend(seconds_since(line) for line in lines if line.startswith("data:") and '"event_type"' in line)
        done.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert ready.wait(PATIENCE_S)
    hurt.wait_for_state(release, "staged")
    already = len(late)
    assert hurt.post(f"/releases/{release}/publish").status_code == 200
    assert done.wait(PATIENCE_S)
    watcher.join()
    seen = sorted(late[already:])
    assert len(seen) >= 2 * len(hurt.services.urls)
    assert seen[len(seen) // 2] < SEEN_WITHIN_S


def seconds_since(line: str) -> float:
    """Return how old the event of a line is."""
    made = line.split('"created_at":', 1)[1].split('"')[1]
    return time.time() - datetime.fromisoformat(made).timestamp()


@pytest.mark.timeout(300)
def test_health_is_looked_at_once(hurt: Scene) -> None:
    """However many workers there are, each service is looked at once per period."""
    workers = [hurt.worker(f"nurse {number}", LOCKSTEP_HEALTH_INTERVAL=f"{HEALTH_INTERVAL_S:g}") for number in range(3)]
    try:
        for worker in workers:
            worker.launch()
        for worker in workers:
            wait_until(worker.answers, lambda: "a worker did not start")
        began, before = time.monotonic(), len(hurt.services.looked_at)
        wait_until(lambda: len(hurt.services.looked_at) >= before + 4 * len(hurt.services.urls), lambda: "nobody looks")
        looks = Counter(port for _, port in hurt.services.looked_at[before:])
        periods = (time.monotonic() - began) / (HEALTH_INTERVAL_S * 0.9)
        assert max(looks.values()) <= periods + 1
    finally:
        for worker in workers:
            worker.stop(signal.SIGKILL)


@pytest.mark.timeout(300)
def test_wake_that_was_left_out(hurt: Scene) -> None:
    """A release that could not be woken, since it was just being changed, goes on although that came to nothing."""
    first, second = hurt.create("first"), hurt.create("second")
    for release in (first, second):
        hurt.wait_for_state(release, "staged")
    for release in (first, second):
        assert hurt.post(f"/releases/{release}/publish").status_code == 200
    (row,) = hurt.rows("SELECT waits_for FROM release WHERE kf_id = $1", second)
    assert row["waits_for"] == first

    async def hold_until_the_first_has_ended() -> None:
        connection = await asyncpg.connect(hurt.postgres.url)
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT 1 FROM release WHERE kf_id = $1 FOR NO KEY UPDATE", second)
        await asyncio.to_thread(hurt.wait_for_state, first, "published")
        await transaction.rollback()
        await connection.close()

    asyncio.run(hold_until_the_first_has_ended())
    hurt.wait_for_state(second, "published")
