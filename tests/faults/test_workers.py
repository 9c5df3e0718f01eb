"""Workers that are killed, and workers that hang and come back: another goes on, and nothing is done twice."""

import signal
import time
from random import Random

import pytest

from lockstep.stack.processes import Lockstep
from tests.faults.scene import FAILOVER_S, LEASE_S, ROUNDS, Scene, moment
from tests.patience import wait_until

SETTLED = {"published", "canceled", "failed"}
SEED = 5


def victim_of(scene: Scene, release: str, random: Random) -> Lockstep:
    """The worker that has the release, at a random moment of its work; any if nobody works on it any more."""
    until = time.monotonic() + 0.3
    while scene.held(release).pid is None and time.monotonic() < until:
        pass
    moment(random, 0.25)
    return scene.worker_of(scene.held(release).pid) or random.choice(scene.workers)


def victim_holds(scene: Scene, release: str, victim: Lockstep) -> bool:
    """Tell whether a worker is at work on a release."""
    return scene.worker_of(scene.held(release).pid) is victim


def wait_until_taken_over(scene: Scene, release: str, epoch: int) -> float:
    """Wait until somebody else works on a release or nobody needs to; return how long that took."""
    began = time.monotonic()

    def taken_over() -> bool:
        held = scene.held(release)
        return held.epoch > epoch or held.pid is None or scene.state(release) in SETTLED

    wait_until(taken_over, lambda: scene.story(release, "taken over"), FAILOVER_S)
    return time.monotonic() - began


def begin(scene: Scene, step: str) -> str:
    """Bring a release to the beginning of a step, and return it."""
    release = scene.create(step)
    if step == "publish":
        scene.wait_for_state(release, "staged")
        assert scene.post(f"/releases/{release}/publish").status_code == 200
    elif step == "start":
        scene.wait_for_state(release, "running", "staged")
    elif step == "cancel":
        scene.wait_for_state(release, "running", "staged")
        assert scene.call("DELETE", f"/releases/{release}").status_code == 200
    return release


def finish(scene: Scene, release: str, step: str) -> None:
    """Bring a release to its end, which has to be the right one."""
    if step in {"initialize", "start"}:
        scene.wait_for_state(release, "staged")
        assert scene.post(f"/releases/{release}/publish").status_code == 200
    scene.wait_for_state(release, "canceled" if step == "cancel" else "published")
    scene.check_log(release)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("step", ["initialize", "start", "publish", "cancel"])
def test_killed(hurt: Scene, step: str) -> None:
    """A worker is killed in the middle of a step: another goes on, and the release ends as it should."""
    random = Random(f"{SEED} {step}")
    slowest, hits = 0.0, 0
    for _ in range(ROUNDS):
        release = begin(hurt, step)
        victim = victim_of(hurt, release, random)
        holder = victim_holds(hurt, release, victim)
        victim.stop(signal.SIGKILL)
        took_s = wait_until_taken_over(hurt, release, hurt.held(release).epoch)
        slowest = max(slowest, took_s)
        hits += holder
        victim.launch()
        finish(hurt, release, step)
        hurt.heal()
    print(f"{step}: seed {SEED}, {ROUNDS} kills, {hits} of whoever was at work, taken over within {slowest:.1f} s")


@pytest.mark.timeout(900)
def test_frozen(hurt: Scene) -> None:
    """A worker hangs for longer than its lease and comes back: it stores nothing and sends nothing more."""
    random = Random(SEED)
    for _ in range(ROUNDS):
        step = random.choice(["initialize", "start", "publish", "cancel"])
        release = begin(hurt, step)
        victim = victim_of(hurt, release, random)
        victim.send(signal.SIGSTOP)
        try:
            epoch = hurt.held(release).epoch
            wait_until_taken_over(hurt, release, epoch)
            time.sleep(LEASE_S + random.random())  # it has to hang for longer than its lease
        finally:
            victim.send(signal.SIGCONT)
        finish(hurt, release, step)
