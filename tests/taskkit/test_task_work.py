"""Work runs away from the requests: it reports, fails, is stopped and cleaned up after, and never delays an answer."""

import asyncio
import inspect
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from threading import Event
from typing import Any

import pytest

from lockstep.protocol.states import TaskState
from lockstep.taskkit import MemoryStore, StoredTask, StoreUnavailable, Task, TaskCanceled, TaskService, TaskStore
from lockstep.taskkit.work import describe
from tests.patience import PATIENCE_S, until
from tests.taskkit.conversation import Conversation, conversation

STUDIES = {"studies": ["SD_1", "SD_2", "SD_3", "SD_4"], "urls": [f"http://data.test/{number}" for number in range(4)]}
Scene = Callable[[Conversation], Coroutine[Any, Any, None]]


def play(serve: Any, service: TaskService, scene: Scene) -> None:
    """Serve a service for real and play a scene with it."""

    async def whole() -> None:
        async with serve(service) as url, conversation(url) as talk:
            await scene(talk)

    asyncio.run(whole())


def make_service(store: TaskStore | None = None) -> TaskService:
    return TaskService("worker", store=store or MemoryStore(), coordinator_url="")


def test_a_release_goes_all_the_way(serve: Any) -> None:
    """Sync and async functions, named by the decorators, see the task, and each runs once and away from the server."""
    service, seen, threads = make_service(), [], set()

    def note(task: Task, work: str) -> None:
        threads.add(threading.current_thread())
        seen.append((work, task.id, task.release_id, task.studies, task.urls, task.attempt))

    @service.stage
    async def stage(task: Task) -> None:
        for done, _ in enumerate(task.studies, start=1):
            await asyncio.sleep(0)
            task.progress(done, of=len(task.studies))
        note(task, "stage")

    @service.publish
    def publish(task: Task) -> None:
        task.progress(50)
        note(task, "publish")

    async def scene(talk: Conversation) -> None:
        await talk.bring("TA_1", to="published", **STUDIES)
        assert (await talk.ask("get_status", "TA_1"))[1]["progress"] == 100
        what = ("TA_1", "RE_00000001", tuple(STUDIES["studies"]), tuple(STUDIES["urls"]), 1)
        assert seen == [("stage", *what), ("publish", *what)]
        assert threading.current_thread() not in threads

    play(serve, service, scene)


class SlowToReturn(MemoryStore):
    """A store of several processes, in which an end is seen by others before the one who stored it hears of that."""

    lease_s: float | None = 60.0

    def __init__(self) -> None:
        super().__init__()
        self.is_stored, self.may_return = Event(), Event()

    def replace(self, seen: StoredTask, new: StoredTask) -> bool:
        done = super().replace(seen, new)
        if new.state is TaskState.PUBLISHED:
            self.is_stored.set()
            assert self.may_return.wait(PATIENCE_S)
        return done


def test_a_task_that_has_ended_is_shown_with_all_of_its_progress(serve: Any) -> None:
    """Also in the moment in which its end is stored, and the work on it is not put away yet."""
    store = SlowToReturn()

    async def scene(talk: Conversation) -> None:
        await talk.bring("TA_1", to="staged")
        await talk.ask("publish", "TA_1")
        await until(store.is_stored.is_set)
        _, told = await talk.ask("get_status", "TA_1")
        store.may_return.set()
        assert (told["state"], told["progress"]) == ("published", 100)

    play(serve, make_service(store), scene)


def test_a_service_without_functions_has_nothing_to_do(serve: Any) -> None:
    """Each function may be left out: its step is done at once."""

    async def scene(talk: Conversation) -> None:
        await talk.bring("TA_1", to="published")
        await talk.bring("TA_2", to="canceled")

    play(serve, make_service(), scene)


def test_each_function_has_one_name() -> None:
    """A decorator gives the function back; a second function for the same work is an error."""
    service = make_service()

    def stage(task: Task) -> None:
        task.check()

    assert service.stage(stage) is stage
    with pytest.raises(ValueError, match="worker has a stage function already"):
        service.stage(stage)


def test_progress(serve: Any) -> None:
    """Progress is parts of a whole, cut to 0..100, and is seen while the work goes on."""
    service, turn, shown = make_service(), Event(), []
    given = [(0, 3), (1, 3), (2, 3), (9, 3), (-1, 3), (0, 0), (12.5, 100)]

    @service.stage
    def stage(task: Task) -> None:
        for done, whole in given:
            task.progress(done, of=whole)
            turn.wait(10)
            turn.clear()
            task.check()

    async def scene(talk: Conversation) -> None:
        await talk.bring("TA_1", to="running", **STUDIES)
        for expected in [0, 33, 66, 100, 0, 100, 12]:

            async def is_shown(percent: int = expected) -> bool:
                return bool((await talk.ask("get_status", "TA_1"))[1]["progress"] == percent)

            await until(is_shown)
            shown.append(expected)
            turn.set()
        await talk.until("staged", "TA_1")

    play(serve, service, scene)
    assert len(shown) == len(given)


def test_progress_starts_anew_with_publishing(serve: Any) -> None:
    """A task that publishes shows how far publishing is, not how far staging was."""
    service, go_on = make_service(), Event()

    @service.publish
    def publish(task: Task) -> None:
        while not go_on.wait(0.01):
            task.check()

    async def scene(talk: Conversation) -> None:
        await talk.bring("TA_1", to="publishing", **STUDIES)
        assert (await talk.ask("get_status", "TA_1"))[1]["progress"] == 0
        go_on.set()
        assert (await talk.until("published", "TA_1"))["progress"] == 100

    play(serve, service, scene)


class Broken(Exception):
    pass


async def in_a_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(raising(Broken("the second study has no rows")))


async def raising(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("fail", "sentence"),
    [
        (lambda: raising(RuntimeError("the disk of the search index is full")), "the disk of the search index is full"),
        (lambda: raising(Broken("no\nrows")), "Broken: no rows"),
        (lambda: raising(KeyError("name")), "KeyError: 'name'"),
        (lambda: raising(TimeoutError()), "TimeoutError"),
        (in_a_group, "Broken: the second study has no rows"),
        (lambda: raising(SystemExit(3)), "SystemExit: 3"),
        (lambda: raising(asyncio.CancelledError()), "CancelledError"),
        (lambda: raising(TaskCanceled("by mistake")), "TaskCanceled: by mistake"),
    ],
    ids=[
        "sentence",
        "own error",
        "key error",
        "no text",
        "group",
        "exit",
        "cancelled by itself",
        "canceled by itself",
    ],
)
@pytest.mark.parametrize("during", ["stage", "publish"])
def test_a_function_that_raises_fails_its_task(
    serve: Any, caplog: pytest.LogCaptureFixture, during: str, fail: Any, sentence: str
) -> None:
    """The task is failed, says why, is logged, and its leftovers are thrown away; the service lives on."""
    service, discarded = make_service(), []

    @(service.stage if during == "stage" else service.publish)
    async def work(task: Task) -> None:
        task.progress(30)
        if task.id == "TA_bad":
            await fail()

    @service.cancel
    def cancel(task: Task) -> None:
        discarded.append(task.id)

    async def scene(talk: Conversation) -> None:
        if during == "publish":
            await talk.bring("TA_bad", to="staged")
            await talk.ask("publish", "TA_bad")
            body = await talk.until("failed", "TA_bad")
        else:
            await talk.bring("TA_bad", to="failed")
            body = await talk.until("failed", "TA_bad")
        assert (body["error"], body["progress"]) == (sentence, 30)
        await until(lambda: discarded == ["TA_bad"])
        assert (await talk.ask("cancel", "TA_bad"))[1]["state"] == "failed"
        await talk.bring("TA_good", to="published")

    with caplog.at_level(logging.ERROR, "lockstep.taskkit"):
        play(serve, service, scene)
    assert caplog.messages == ["task TA_bad of release RE_00000001 is failed"]
    assert caplog.records[0].exc_info is not None
    assert discarded == ["TA_bad"]


def test_an_error_text_can_be_stored_and_sent() -> None:
    """Whatever letters an error's text has, its sentence is one that a database and JSON can take, and not long."""
    assert describe(OSError("no file \udcff\0.txt")) == "OSError: no file .txt"
    assert len(describe(RuntimeError("x" * 5000))) == 1000


def test_two_starts_at_once(serve: Any) -> None:
    """However often start and publish are asked at the same time, the work is done once and all hear the same."""
    service, runs = make_service(), []

    @service.stage
    def stage(task: Task) -> None:
        runs.append(task.id)

    @service.publish
    def publish(task: Task) -> None:
        runs.append(task.id)

    async def scene(talk: Conversation) -> None:
        await asyncio.gather(*(talk.ask("initialize") for _ in range(20)))
        started = await asyncio.gather(*(talk.ask("start") for _ in range(20)))
        await talk.until("staged")
        published = await asyncio.gather(*(talk.ask("publish") for _ in range(20)))
        await talk.until("published")
        assert {200} == {status for status, _ in started + published}
        assert {body["state"] for _, body in started} <= {"running", "staged"}
        assert {body["state"] for _, body in published} <= {"publishing", "published"}
        assert len(runs) == 2

    play(serve, service, scene)


def sync_work(task: Task) -> None:
    while True:
        time.sleep(0.001)
        task.progress(10)


def checking_work(task: Task) -> None:
    while True:
        time.sleep(0.001)
        task.check()


async def async_work(task: Task) -> None:
    task.progress(10)
    await asyncio.sleep(3600)


async def polling_async_work(task: Task) -> None:
    while True:
        await asyncio.sleep(0.001)
        task.progress(10)


async def stubborn_work(_task: Task) -> None:
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(3600)


@pytest.mark.parametrize("state", ["running", "publishing"])
@pytest.mark.parametrize("work", [sync_work, checking_work, async_work, polling_async_work, stubborn_work])
def test_cancel_stops_the_work_and_then_cleans_up(serve: Any, state: str, work: Any) -> None:
    """The answer to a cancel comes at once; the work ends; the cancel function runs once, when it has ended."""
    service, order = make_service(), []

    @contextmanager
    def watching() -> Iterator[None]:
        order.append("work begins")
        try:
            yield
        finally:
            order.append("work ends")

    def watched(task: Task) -> None:
        with watching():
            work(task)

    async def watched_async(task: Task) -> None:
        with watching():
            await work(task)

    decorate = service.stage if state == "running" else service.publish
    decorate(watched_async if inspect.iscoroutinefunction(work) else watched)

    @service.cancel
    async def cancel(task: Task) -> None:
        task.check()
        order.append("cleaned up")

    async def scene(talk: Conversation) -> None:
        await talk.bring("TA_1", to=state)
        await until(lambda: order)
        for _ in range(3):
            status, body = await talk.ask("cancel", "TA_1")
            assert (status, body["state"]) == (200, "canceled")
        await until(lambda: "cleaned up" in order)
        assert (await talk.ask("get_status", "TA_1"))[1]["state"] == "canceled"
        assert order == ["work begins", "work ends", "cleaned up"]

    play(serve, service, scene)
    assert order == ["work begins", "work ends", "cleaned up"]


@pytest.mark.parametrize("state", ["pending", "staged"])
def test_cancel_of_a_task_at_rest_cleans_up(serve: Any, state: str) -> None:
    """A task that was not at work is canceled too, and the cancel function gets to see it, once."""
    store, cleaned = MemoryStore(), []
    service = make_service(store)

    @service.cancel
    def cancel(task: Task) -> None:
        cleaned.append((task.id, task.attempt))

    async def scene(talk: Conversation) -> None:
        await talk.bring("TA_1", to=state)
        await talk.ask("cancel", "TA_1")
        await talk.ask("cancel", "TA_1")
        await until(lambda: not store.due())

    play(serve, service, scene)
    assert cleaned == [("TA_1", 1)]


def test_cancel_does_not_undo_what_is_published(serve: Any) -> None:
    """A published task stays published, and nothing of it is thrown away."""
    service, cleaned = make_service(), []

    @service.cancel
    def cancel(task: Task) -> None:
        cleaned.append(task.id)

    async def scene(talk: Conversation) -> None:
        await talk.bring("TA_1", to="published")
        assert (await talk.ask("cancel", "TA_1"))[1]["state"] == "published"

    play(serve, service, scene)
    assert cleaned == []


def test_a_cancel_function_that_raises_runs_again_at_the_next_start(
    serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Cleaning up that failed is not forgotten: it is logged, and tried again when the service starts again."""
    store, attempts = MemoryStore(), []

    def started() -> TaskService:
        service = make_service(store)

        @service.cancel
        def cancel(task: Task) -> None:
            attempts.append(task.attempt)
            if task.attempt == 1:
                raise RuntimeError("the shelf is locked")

        return service

    async def first(talk: Conversation) -> None:
        await talk.bring("TA_1", to="canceled")
        await until(lambda: caplog.messages)

    async def second(talk: Conversation) -> None:
        assert (await talk.ask("get_status", "TA_1"))[1]["state"] == "canceled"
        await until(lambda: not store.due())

    with caplog.at_level(logging.ERROR, "lockstep.taskkit"):
        play(serve, started(), first)
        play(serve, started(), second)
    assert caplog.messages == ["the cancel function failed on TA_1; it runs again at the next start"]
    assert attempts == [1, 2]


def test_a_thread_left_over_hears_that_the_work_is_over(serve: Any) -> None:
    """A helper that goes on after its function returned cannot move the progress of the task any more."""
    service, kept = make_service(), []

    @service.stage
    def stage(task: Task) -> None:
        kept.append(task)

    async def scene(talk: Conversation) -> None:
        await talk.bring("TA_1", to="staged")
        with pytest.raises(TaskCanceled, match="task TA_1 is to stop"):
            kept[0].progress(1)
        assert (await talk.ask("get_status", "TA_1"))[1]["progress"] == 100

    play(serve, service, scene)


class FullStore(MemoryStore):
    """A store that can be told that there is no room for what has ended."""

    full = False

    def replace(self, seen: StoredTask, new: StoredTask) -> bool:
        if self.full:
            raise StoreUnavailable("the disk is full")
        return super().replace(seen, new)


def test_an_end_that_cannot_be_stored_is_stored_later(serve: Any) -> None:
    """While the store is full, requests are asked to come back, and the end of the work waits for its place."""
    store = FullStore()
    service, go_on = make_service(store), Event()

    @service.stage
    def stage(task: Task) -> None:
        while not go_on.wait(0.01):
            task.check()

    async def scene(talk: Conversation) -> None:
        await talk.bring("TA_1", to="running")
        await talk.bring("TA_2", to="pending")
        store.full = True
        go_on.set()
        body = {"action": "start", "task_id": "TA_2", "release_id": "RE_00000001"}
        async with talk.web.post(f"{talk.url}/tasks", json=body) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
            assert await answer.json() == {"message": "the disk is full"}
        assert (await talk.ask("get_status", "TA_1"))[1]["state"] == "running"
        store.full = False
        await talk.until("staged", "TA_1")
        assert (await talk.ask("get_status", "TA_2"))[1]["state"] == "pending"

    play(serve, service, scene)
