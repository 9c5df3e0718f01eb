"""Lines about the work: few enough to be read, carried to the coordinator, and never in the way of the work."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lockstep.taskkit import MemoryStore, Task, TaskService
from lockstep.taskkit.log_lines import AT_ONCE, LONGEST_LINE, REFILL_S, LineLimit
from tests.patience import until
from tests.taskkit.conversation import Conversation, conversation


class EventBook:
    """A coordinator that takes events; the first statuses of its answers can be chosen."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.events: list[dict[str, Any]] = []
        self.keys: list[str] = []

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/events", self._add, methods=["POST"]),
                Route("/tasks/{task}", lambda _: Response(), methods=["PATCH"]),
            ]
        )

    async def _add(self, request: Request) -> Response:
        self.keys.append(request.headers["Idempotency-Key"])
        self.events.append(await request.json())
        return JSONResponse({}, self.statuses.pop(0) if self.statuses else 201)


def play(serve: Any, book: EventBook, stage: Callable[[Task], None], ended: str = "staged") -> None:
    async def scene() -> None:
        async with serve(book.app()) as coordinator:
            service = TaskService("talkative", store=MemoryStore(), coordinator_url=coordinator, retry_pause_s=0.01)
            service.stage(stage)
            async with serve(service) as url, conversation(url) as talk:
                await bring(talk, ended)

    async def bring(talk: Conversation, state: str) -> None:
        await talk.ask("initialize")
        await talk.ask("start")
        await talk.until(state)
        await until(lambda: not book.statuses)

    asyncio.run(scene())


def test_a_line_becomes_an_event(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    """About the task and its release, of its type, on one line; and it is in the service's own log."""
    book = EventBook(201, 201)

    def stage(task: Task) -> None:
        task.log("counting\nthe rows")
        task.log("three rows have no owner", "warning")

    with caplog.at_level(logging.INFO, "lockstep.taskkit"):
        play(serve, book, stage)
    links = {"release": "/releases/RE_00000001", "task": "/tasks/TA_00000001"}
    assert book.events == [
        {"event_type": "info", "message": "counting the rows", **links},
        {"event_type": "warning", "message": "three rows have no owner", **links},
    ]
    assert "task TA_00000001: three rows have no owner" in caplog.messages


def test_a_line_that_was_lost_is_sent_again_under_its_key(serve: Any) -> None:
    """So that a coordinator which had taken it does not take it twice."""
    book = EventBook(503, 500, 201, 201)

    def stage(task: Task) -> None:
        task.log("first")
        task.log("second")

    play(serve, book, stage)
    assert [event["message"] for event in book.events] == ["first", "first", "first", "second"]
    assert len(set(book.keys)) == 2
    assert len(set(book.keys[:3])) == 1


def test_a_coordinator_that_takes_no_lines_is_not_asked_twice(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    book = EventBook(404)

    def stage(task: Task) -> None:
        for number in range(5):
            task.log(f"line {number}")

    play(serve, book, stage)
    assert len(book.events) == 1
    assert "the coordinator takes no lines about tasks: HTTP 404" in caplog.messages


def test_a_level_that_there_is_not(serve: Any) -> None:
    play(serve, EventBook(), lambda task: task.log("what?", "fatal"), ended="failed")


def test_lines_are_limited() -> None:
    """A few at once, one more after each pause, and the next one says how many were left out."""
    now = [100.0]
    limit = LineLimit(lambda: now[0])
    assert [limit.pass_on(f"line {number}") for number in range(AT_ONCE)] == [f"line {n}" for n in range(AT_ONCE)]
    assert [limit.pass_on("more"), limit.pass_on("more")] == [None, None]
    now[0] += REFILL_S
    assert limit.pass_on("late") == "late (left out before it: 2 lines)"
    assert limit.pass_on("more") is None
    now[0] += 1000 * REFILL_S
    passed = [limit.pass_on("again") for _ in range(AT_ONCE + 5)]
    assert passed == ["again (left out before it: 1 line)", *["again"] * (AT_ONCE - 1), *[None] * 5]


def test_a_long_line_is_cut() -> None:
    line = LineLimit().pass_on("x" * 5000)
    assert line is not None
    assert (len(line), line[-1]) == (LONGEST_LINE, "…")
