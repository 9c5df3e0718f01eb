"""`python -m tests.faults.soak`: random faults, one on top of the other, over many releases; no release may end wrong.

Workers are killed, frozen and asked to end, coordinators are killed, Postgres is restarted at once, Redis is emptied
and goes away. Releases are created, published and canceled meanwhile. At the end everything is whole again, and each
release has to reach the end that was asked for, with each service told each action once.
"""

import argparse
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import asyncpg
import httpx
from redis import Redis
from redis.exceptions import RedisError

from lockstep.stack.processes import Process
from tests.faults.scene import STUDIES, Scene, scene

LAST_PATIENCE_S = 120.0


class Soak:
    """Releases on their way to the ends that were asked for, and what is done to the deployment meanwhile."""

    def __init__(self, one: Scene, random: Random) -> None:
        self.scene = one
        self.random = random
        self.ends: dict[str, str] = {}
        self.asked: set[str] = set()
        self.faults: Counter[str] = Counter()
        self._mend: list[tuple[float, Callable[[], None]]] = []

    def run(self, seconds: float, releases: int) -> None:
        """Begin releases evenly over some time, and hurt the deployment all the while."""
        began = time.monotonic()
        next_fault = began
        while (now := time.monotonic()) < began + seconds or len(self.ends) < releases:
            if len(self.ends) < min(releases, 1 + releases * (now - began) / seconds):
                self._create()
            self._ask()
            self._mend_what_is_due()
            if now >= next_fault:
                self._hurt()
                next_fault = now + self.random.uniform(0.5, 4)
            time.sleep(0.05)
        for _, mend in self._mend:
            mend()
        self.scene.heal()

    def finish(self) -> list[str]:
        """Let every release reach its end; return what is wrong with those that do not."""
        until = time.monotonic() + LAST_PATIENCE_S
        wrong: list[str] = []
        while self._unsettled() and time.monotonic() < until:
            self._ask()
            time.sleep(0.2)
        for release, end in self.ends.items():
            state = self.scene.state(release)
            if state != end:
                wrong.append(self.scene.story(release, end))
                continue
            try:
                self.scene.check_log(release)
            except AssertionError as error:
                wrong.append(f"{release}: {error}")
        return wrong

    def _unsettled(self) -> bool:
        rows = self.scene.rows("SELECT kf_id FROM release WHERE state NOT IN ('published', 'canceled', 'failed')")
        return bool(rows)

    def _create(self) -> None:
        key = f"{self.random.getrandbits(128):032x}"
        end = "canceled" if self.random.random() < 0.25 else "published"
        body = {"name": key, "studies": list(STUDIES), "author": "tests"}
        until = time.monotonic() + 60
        while time.monotonic() < until:
            answer = self._call("POST", "/releases", json=body, headers={"Idempotency-Key": key})
            if answer is not None and answer.status_code == 201:
                self.ends[answer.json()["kf_id"]] = end
                return
            self._mend_what_is_due()
            time.sleep(0.1)
        raise TimeoutError("no release could be created within a minute")

    def _ask(self) -> None:
        """Ask for the ends of those releases whose time has come: what is in doubt is asked again."""
        try:
            rows = self.scene.rows("SELECT kf_id, state, publish_order FROM release")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return
        for row in rows:
            release, state = row["kf_id"], row["state"]
            if release not in self.ends or release in self.asked:
                continue
            if self.ends[release] == "canceled" and self.random.random() < 0.05:
                answer = self._call("DELETE", f"/releases/{release}")
            elif self.ends[release] == "published" and state == "staged" and row["publish_order"] is None:
                answer = self._call("POST", f"/releases/{release}/publish")
            else:
                continue
            if answer is not None and answer.status_code == 200:
                self.asked.add(release)

    def _call(self, method: str, path: str, **body: object) -> httpx.Response | None:
        try:
            return self.scene.call(method, path, self.random.randrange(2), **body)
        except httpx.TransportError:
            return None

    def _hurt(self) -> None:
        fault = self.random.choice(
            ["kill worker"] * 4 + ["freeze worker"] * 3 + ["end worker"] * 2 + ["kill serve"] * 2
            + ["restart postgres"] * 2 + ["empty redis"] * 2 + ["redis away"]
        )  # fmt: skip
        one = self.scene
        worker = self.random.choice(one.workers)
        if fault in {"kill worker", "end worker"}:
            how = signal.SIGKILL if fault == "kill worker" else signal.SIGTERM
            worker.send(signal.SIGCONT)
            worker.stop(how, 12)
            self._later(self.random.uniform(0, 3), lambda: self._start(worker))
        elif fault == "freeze worker":
            worker.send(signal.SIGSTOP)
            self._later(self.random.uniform(1, 8), lambda: worker.send(signal.SIGCONT))
        elif fault == "kill serve":
            server = self.random.choice(one.servers)
            server.stop(signal.SIGKILL)
            self._later(self.random.uniform(0, 2), lambda: self._start(server))
        elif fault == "restart postgres":
            one.postgres.stop(signal.SIGQUIT)
            one.postgres.start()
        elif fault == "empty redis":
            try:
                with Redis.from_url(one.valkey.url) as redis:
                    redis.flushall()
            except RedisError:
                return
        else:
            one.valkey.stop(signal.SIGKILL)
            self._later(self.random.uniform(1, 10), lambda: self._start(one.valkey))
        self.faults[fault] += 1

    @staticmethod
    def _start(process: Process) -> None:
        if process.process is None:
            process.launch()

    def _later(self, seconds: float, mend: Callable[[], None]) -> None:
        self._mend.append((time.monotonic() + seconds, mend))

    def _mend_what_is_due(self) -> None:
        now = time.monotonic()
        due = [mend for at, mend in self._mend if at <= now]
        self._mend = [(at, mend) for at, mend in self._mend if at > now]
        for mend in due:
            mend()


def soak(minutes: float, releases: int, seed: int) -> list[str]:
    """Run it; return what went wrong."""
    print(f"seed {seed}: {minutes:g} minutes of faults over {releases} releases", flush=True)
    with TemporaryDirectory(prefix="lockstep-soak-") as folder:
        Path(folder).chmod(0o755)
        with scene(Path(folder), workers=3, services=5, seed=seed) as one:
            run = Soak(one, Random(seed))
            run.run(60 * minutes, releases)
            wrong = run.finish()
            ends = Counter(run.ends.values())
            print(f"faults: {dict(run.faults)}; ends: {dict(ends)}; wrong: {len(wrong)}", flush=True)
            return wrong


def main() -> None:
    """Read the command line, and exit with 1 when a release ended wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--releases", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)))
    asked = parser.parse_args()
    wrong = soak(asked.minutes, asked.releases, asked.seed)
    print("\n\n".join(wrong))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
