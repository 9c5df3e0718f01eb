"""What a function says about its work besides its state: what it staged, why it failed, and whether to try again."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lockstep.taskkit import SqliteStore, Task, TaskFailed, TaskService
from lockstep.taskkit.store import Metric
from lockstep.taskkit.testing import rehearsal

METRICS: dict[str, Metric] = {"documents": 1204, "share": 0.25, "index": "blue", "complete": True}


def service_in(folder: Path, stage: Callable[[Task], None]) -> Callable[[str], TaskService]:
    """Return what makes a service with a stage function."""

    def make(coordinator: str) -> TaskService:
        service = TaskService("telling", store=SqliteStore(folder / "tasks.db"), coordinator_url=coordinator)
        service.stage(stage)
        return service

    return make


def test_what_was_staged_is_told_and_kept(tmp_path: Path) -> None:
    """Metrics and preview are in the answers and in the report, after a restart and once it is published as well."""

    def stage(task: Task) -> None:
        task.staged(metrics=METRICS, preview="https://preview.test/blue")

    with rehearsal(service_in(tmp_path, stage)) as release:
        told = {"metrics": METRICS, "preview": "https://preview.test/blue"}
        assert "metrics" not in release.initialize()
        assert release.stage().items() >= told.items()
        release.restart()
        assert release.status().items() >= told.items()
        assert release.publish().items() >= told.items()
        bodies = [report.fields for report in release._task.callbacks if report.word == "staged"]
    assert bodies == [{"state": "staged", "progress": 100, **told}]


def test_a_stage_function_may_say_nothing(tmp_path: Path) -> None:
    """Then there is nothing in the answers either."""
    with rehearsal(service_in(tmp_path, lambda task: task.staged())) as release:
        assert not {"metrics", "preview", "error", "retryable", "epoch"} & set(release.stage())


@pytest.mark.parametrize("retryable", [True, False, None])
def test_a_failure_says_whether_to_try_again(tmp_path: Path, *, retryable: bool | None) -> None:
    """In the answers and in the report, with the sentence as it is; where the function did not say, nothing is said."""

    def stage(_task: Task) -> None:
        raise TaskFailed("the index is being rebuilt", retryable=retryable)

    with rehearsal(service_in(tmp_path, stage)) as release:
        release.start()
        failed = release.until("failed")
        told = {"error": "the index is being rebuilt", "retryable": retryable}
        assert {name: failed.get(name) for name in told} == told
        assert ("retryable" in failed) == (retryable is not None)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"metrics": {"rows": math.nan}}, "a metric is a number or a short text under a short name, not 'rows': nan"),
        ({"metrics": {"rows": [1]}}, "a metric is a number or a short text under a short name, not 'rows': [1]"),
        ({"metrics": {7: 7}}, "a metric is a number or a short text under a short name, not 7: 7"),
        (
            {"metrics": {"text": "x" * 1001}},
            "a metric is a number or a short text under a short name, not 'text': 'xxx",
        ),
        (
            {"metrics": {"caf\udce9": 7}},
            "a metric is a number or a short text under a short name, not 'caf\\udce9': 7",
        ),
        (
            {"metrics": {"file": "caf\udce9"}},
            "a metric is a number or a short text under a short name, not 'file': 'caf\\udce9'",
        ),
        ({"metrics": {str(n): n for n in range(101)}}, "a task has at most 100 metrics, not 101"),
        ({"preview": "/preview"}, "a preview is an address such as https://preview.example.org, not '/preview'"),
    ],
)
def test_what_cannot_be_told_fails_the_task(tmp_path: Path, said: dict[str, Any], sentence: str) -> None:
    def stage(task: Task) -> None:
        task.staged(**said)

    with rehearsal(service_in(tmp_path, stage)) as release:
        release.start()
        assert release.until("failed")["error"].startswith(f"ValueError: {sentence}")


def test_publishing_stages_nothing(tmp_path: Path) -> None:
    """A publish function that says what was staged is told where that belongs."""

    def make(coordinator: str) -> TaskService:
        service = TaskService("late", store=SqliteStore(tmp_path / "tasks.db"), coordinator_url=coordinator)
        service.publish(lambda task: task.staged(metrics={"rows": 1}))
        return service

    with rehearsal(make) as release:
        release.stage()
        release.ask("publish")
        assert release.until("failed")["error"] == "task.staged() belongs into the stage function"


def test_metrics_are_json(tmp_path: Path) -> None:
    """What was accepted can be written down as JSON without a loss."""

    def stage(task: Task) -> None:
        task.staged(metrics=METRICS)

    with rehearsal(service_in(tmp_path, stage)) as release:
        assert json.loads(json.dumps(release.stage()["metrics"])) == METRICS
