"""Running seeds, one after another, and telling the story of one that fails."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256

import structlog

from lockstep.coordinator.core.joint import JOINT_RULES, JointRule
from lockstep.coordinator.ports import Store
from lockstep.coordinator.store.memory import MemoryStore
from tests.simulation.loop import run
from tests.simulation.world import World

StoreMaker = Callable[[Callable[[int], int]], Store]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the engine from logging what a simulated world makes it see, and nobody else from logging anything."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


@dataclass
class Outcome:
    """What a number of seeds came to."""

    seeds: int = 0
    commits: int = 0
    sends: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(
            self.seeds + other.seeds,
            self.commits + other.commits,
            self.sends + other.sends,
            self.seen + other.seen,
            self.failures + other.failures,
        )


def run_seed(seed: int, store: StoreMaker = MemoryStore, rules: tuple[JointRule, ...] = JOINT_RULES) -> Outcome:
    """Run one seed; a failure carries the seed and its story."""
    world = World(seed, store, rules)
    failures: list[str] = []
    try:
        with _quiet():
            run(world.live())
        if world.broken:
            raise world.broken
    except Exception as error:
        story = "\n".join(world.checks.story)
        failures.append(f"{story}\nseed {seed}: {type(error).__name__}: {error}")
    sends = sum(map(len, world.checks.sendings.values()))
    return Outcome(1, world.checks.commits, sends, Counter(world.checks.seen), failures)


def run_seeds(
    seeds: Iterable[int], store: StoreMaker = MemoryStore, rules: tuple[JointRule, ...] = JOINT_RULES
) -> Outcome:
    """Run seeds until one fails."""
    total = Outcome()
    for seed in seeds:
        total = total + run_seed(seed, store, rules)
        if total.failures:
            break
    return total


def stories(seeds: Iterable[int]) -> str:
    """Return the digest of what happened under some seeds, word for word."""
    digest = sha256()
    for seed in seeds:
        world = World(seed, MemoryStore, JOINT_RULES)
        with _quiet():
            run(world.live())
        digest.update("\n".join(world.checks.story).encode())
    return digest.hexdigest()
