"""Postgres is restarted under load, and the cable to it is cut: nothing is lost, and nobody is told of a mistake."""

import signal
import threading
import time
from collections import Counter
from random import Random
from typing import Self
from uuid import UUID

import httpx
import pytest

from lockstep.coordinator.store.postgres import PATIENCE_S as STORE_PATIENCE_S
from tests.faults.network import Cable
from tests.faults.scene import FAILOVER_S, LEASE_S, ROUNDS, STUDIES, WORKER_ENDS_S, Scene, moment, port_of
from tests.faults.test_workers import begin, finish, victim_of, wait_until_taken_over
from tests.patience import PATIENCE_S, wait_until

SEED = 7


class Callers:
    """People who create releases under a key of their own, and ask again when they are told to."""

    def __init__(self, scene: Scene, number: int) -> None:
        self.answers: Counter[int] = Counter()
        self.releases: list[str] = []
        self.stopped = threading.Event()
        self._scene = scene
        self._threads = [threading.Thread(target=self._call, args=(Random(one),)) for one in range(number)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def wait_for_more(self, number: int) -> None:
        """Wait until so many more releases have been created."""
        wanted = len(self.releases) + number
        wait_until(lambda: len(self.releases) >= wanted, lambda: f"no releases: {self.answers}")

    def _call(self, random: Random) -> None:
        with httpx.Client(timeout=PATIENCE_S) as client:
            while not self.stopped.wait(random.uniform(0.2, 0.6)):
                self.releases.append(self._create(client, random))

    def _create(self, client: httpx.Client, random: Random) -> str:
        key = str(UUID(int=random.getrandbits(128)))
        body = {"name": key, "studies": list(STUDIES), "author": "tests"}
        for _ in range(20):
            url = random.choice(self._scene.servers).url
            try:
                answer = client.post(f"{url}/releases", json=body, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                self.answers[0] += 1
                continue
            self.answers[answer.status_code] += 1
            if answer.status_code == 201:
                return str(answer.json()["kf_id"])
        raise AssertionError(f"no release was created: {self.answers}")


@pytest.mark.timeout(900)
def test_restarted_under_load(hurt: Scene) -> None:
    """Postgres restarts at once, again and again, while releases are created and reported on: all of them end right."""
    random = Random(SEED)
    callbacks = len(hurt.services.callbacks)
    longest_s = 0.0
    with Callers(hurt, 2) as callers:
        for _ in range(ROUNDS):
            moment(random, 2)
            down_at = time.monotonic()
            hurt.postgres.stop(signal.SIGQUIT)
            hurt.postgres.start()
            longest_s = max(longest_s, time.monotonic() - down_at)
            callers.wait_for_more(2)
    stored = [row["kf_id"] for row in hurt.rows("SELECT kf_id FROM release WHERE name LIKE '________-____-%'")]
    assert sorted(callers.releases) == sorted(stored)
    for release in callers.releases:
        hurt.wait_for_state(release, "staged")
        hurt.check_log(release)
    reported = Counter(answer for _, answer in hurt.services.callbacks[callbacks:])
    print(f"seed {SEED}, {ROUNDS} restarts, {longest_s:.1f} s away, {len(stored)} releases")
    print(f"created {callers.answers}, reported {reported}")
    late = {answer for answer in reported if answer.startswith("503") and "does not answer" in answer}
    if longest_s < STORE_PATIENCE_S / 2:
        assert callers.answers[503] == 0
        assert late == set()
    assert {status for status in callers.answers if status not in {201, 503}} == set()
    assert set(reported) - late - {"200", "409"} == set()
    for release in callers.releases:
        assert hurt.call("DELETE", f"/releases/{release}").status_code == 200


@pytest.mark.timeout(900)
@pytest.mark.parametrize("hang_up", [False, True], ids=["late", "lost"])
def test_cut_cable(hurt: Scene, hang_up: bool) -> None:
    """A worker's way to the database is cut in the middle of a step, and whole again later: another one goes on."""
    random = Random(SEED)
    with Cable(port_of(hurt.postgres.url)) as cable:
        url = hurt.postgres.url.replace(f":{hurt.postgres.port}", f":{cable.port}")
        far = hurt.worker("far", LOCKSTEP_DATABASE_URL=url)
        other = hurt.workers[1]
        hurt.workers[1] = far
        other.stop(signal.SIGKILL)
        try:
            for _ in range(ROUNDS):
                far.start()
                step = random.choice(["initialize", "start", "publish"])
                hurt.workers[0].send(signal.SIGSTOP)
                release = begin(hurt, step)
                victim_of(hurt, release, random)
                cable.cut()
                hurt.workers[0].send(signal.SIGCONT)
                epoch = hurt.held(release).epoch
                took_s = wait_until_taken_over(hurt, release, epoch)
                print(f"{step}: seed {SEED}, taken over within {took_s:.1f} s")
                assert took_s < FAILOVER_S
                moment(random, 2 * LEASE_S)
                cable.heal(hang_up=hang_up)
                finish(hurt, release, step)
                healed_at = time.monotonic()
                wait_until(far.answers, lambda: "the far worker has died")
                far.stop()
                assert time.monotonic() - healed_at < WORKER_ENDS_S
        finally:
            hurt.workers[0].send(signal.SIGCONT)
            far.stop(signal.SIGKILL)
            hurt.workers[1] = other
