"""Seeds in every run of the tests; `make simulate SEEDS=100000` runs more."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lockstep.coordinator.core.joint import JOINT_RULES, HowMany, JointRule
from tests.simulation.runs import run_seed, run_seeds

SEEDS = 300
EVERY_RULES = [rule for rule in JOINT_RULES if rule.how_many is HowMany.EVERY and rule.then != "initializing"]


def test_no_seed_breaks_a_rule() -> None:
    """Three hundred worlds keep every rule, settle, and have seen what there is to see."""
    outcome = run_seeds(range(SEEDS))
    assert outcome.failures == [], outcome.failures[0]
    assert outcome.seeds == SEEDS
    rare = {"published", "failed", "canceled", "partial publish", "crash", "start again", "publish again"}
    rare |= {"given back", "lost commit"}
    assert dict.fromkeys(rare, True) == {what: outcome.seen[what] > 0 for what in rare}


@pytest.mark.parametrize("rule", EVERY_RULES, ids=lambda rule: str(rule.then))
def test_a_broken_joint_rule_is_found(rule: JointRule) -> None:
    """With "every task" changed to "some task" in one rule, the simulation finds a world where it shows."""
    broken = tuple(replace(row, how_many=HowMany.SOME) if row is rule else row for row in JOINT_RULES)
    assert run_seeds(range(SEEDS), rules=broken).failures != []


@pytest.mark.parametrize("rule", [rule for rule in JOINT_RULES if rule.ending], ids=lambda rule: str(rule.ending))
def test_a_missing_stop_rule_is_found(rule: JointRule) -> None:
    """Without the rule that a failed (or canceled) task stops its release, some release goes on regardless."""
    without = tuple(row for row in JOINT_RULES if row is not rule)
    assert run_seeds(range(SEEDS), rules=without).failures != []


def test_a_seed_tells_the_same_story_every_time() -> None:
    """The order of sets and dictionaries has no part in what happens."""
    script = "from tests.simulation.runs import stories; print(stories(range(20)))"
    stories = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(stories) == 1
    assert len(stories.pop().strip()) == 64


def test_one_seed_can_be_run_again() -> None:
    """A seed by itself gives what it gave in a row of others, so that a failure can be looked into."""
    first, again = run_seed(7), run_seed(7)
    assert (first.commits, first.sends, first.seen) == (again.commits, again.sends, again.seen)
