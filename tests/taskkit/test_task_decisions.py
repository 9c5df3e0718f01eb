"""A service that was away asks what was decided, and acts on the answer; on no answer it goes on as it was."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lockstep.protocol.states import TaskState
from lockstep.taskkit import MemoryStore, StoredTask, Task, TaskService
from tests.conftest import Serve
from tests.patience import until

Said = str | int | list[Any]
"""A decision, or the status of a refusal, or nonsense."""


@dataclass
class Answering:
    """A coordinator that says of each release what a test has it say; the last word of each is repeated."""

    words: Mapping[str, list[Said]]
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def decision(self, request: Request) -> Response:
        release_id = request.path_params["release_id"]
        self.asked.append((release_id, request.headers.get("authorization", "")))
        words = self.words[release_id]
        word = words.pop(0) if len(words) > 1 else words[0]
        if isinstance(word, int):
            return JSONResponse({"detail": "No."}, word)
        return JSONResponse({"kf_id": release_id, "decision": word})

    async def report(self, _: Request) -> Response:
        return JSONResponse({})

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/releases/{release_id}/decision", self.decision),
                Route("/tasks/{task_id}", self.report, methods=["PATCH"]),
            ]
        )


def left(number: int, state: TaskState, **fields: Any) -> StoredTask:
    """A task as an earlier process left it."""
    return StoredTask(f"TA_{number}", f"RE_{number}", state, attempt=1, callback_token=f"token {number}", **fields)


def came_of(
    serve: Serve, tasks: Sequence[StoredTask], words: Mapping[str, list[Said]], ends: Mapping[str, str]
) -> tuple[list[tuple[str, str]], Answering, MemoryStore]:
    """Start a service with tasks of an earlier process; return what ran until some tasks came to their ends."""
    store, ran, answering = MemoryStore(), list[tuple[str, str]](), Answering(words)
    for task in tasks:
        store.add(task)

    async def go() -> None:
        async with serve(answering.app) as coordinator_url:
            service = TaskService("back again", store=store, coordinator_url=coordinator_url)

            @service.publish
            def publish(task: Task) -> None:
                ran.append(("publish", task.id))

            @service.cancel
            def cancel(task: Task) -> None:
                ran.append(("cancel", task.id))

            async with serve(service):
                await until(lambda: all(_is(store.get(task_id), state) for task_id, state in ends.items()))

    asyncio.run(go())
    return ran, answering, store


def _is(task: StoredTask | None, state: str) -> bool:
    return task is not None and task.state == state and not task.is_due


@pytest.mark.rule("D4")
@pytest.mark.parametrize(
    ("state", "words", "end", "works"),
    [
        ("staged", ["publish"], "published", ["publish"]),
        ("staged", ["cancel"], "canceled", ["cancel"]),
        ("staged", [503, "publish"], "published", ["publish"]),
        ("publishing", ["publish"], "published", ["publish"]),
        ("publishing", ["cancel"], "canceled", ["cancel"]),
        ("publishing", ["undecided"], "published", ["publish"]),
        ("publishing", [403], "published", ["publish"]),
        ("publishing", [503], "published", ["publish"]),
        ("publishing", [["nonsense"]], "published", ["publish"]),
    ],
)
def test_what_was_decided_meanwhile_is_done(
    serve: Serve, state: str, words: list[Said], end: str, works: list[str]
) -> None:
    asked_before = len(words)
    ran, answering, _ = came_of(serve, [left(1, TaskState(state))], {"RE_1": words}, {"TA_1": end})
    assert ran == [(work, "TA_1") for work in works]
    assert answering.asked == [("RE_1", "Bearer token 1")] * asked_before


@pytest.mark.rule("D4")
@pytest.mark.parametrize("word", ["undecided", 403, 404, "perhaps", ["nonsense"]])
def test_what_nobody_decided_waits(serve: Serve, word: Said) -> None:
    """An old coordinator, which knows no such address, says 404: that decides nothing. The others are asked about."""
    tasks = [
        left(1, TaskState.STAGED),
        left(2, TaskState.STAGED),
        left(3, TaskState.RUNNING),
        left(4, TaskState.FAILED),
    ]
    words: dict[str, list[Said]] = {"RE_1": [word], "RE_2": ["publish"]}
    ran, answering, store = came_of(serve, tasks, words, {"TA_2": "published", "TA_3": "staged"})
    assert ran == [("publish", "TA_2")]
    assert store.get("TA_1") == tasks[0]
    assert [release_id for release_id, _ in answering.asked] == ["RE_1", "RE_2"]
