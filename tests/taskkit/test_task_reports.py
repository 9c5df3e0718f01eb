"""What a coordinator hears of tasks, by a real little coordinator that loses, delays and refuses reports."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from lockstep.taskkit import CoordinatorError, MemoryStore, Task, TaskService
from lockstep.taskkit.report import TRIES
from tests.patience import PATIENCE_S, until, wait_until
from tests.taskkit.conversation import Conversation, conversation

PAUSE_S = 0.02
STOPS_S = 20.0
"""How long a service may take to stop on a busy machine; one that waits for its coordinator takes minutes."""
Answer = Callable[[], Response | Coroutine[Any, Any, Response]]


class Broken(Response):
    """An answer that breaks off: nobody can know whether the report was read."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})


@dataclass
class LittleCoordinator:
    """Notes every report, and answers them by its script; at the script's end, it accepts."""

    script: list[Answer] = field(default_factory=list)
    reports: list[tuple[str, str, int]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    under_way: dict[str, int] = field(default_factory=dict)
    most_at_once: int = 0
    release: Any = field(default_factory=lambda: {"kf_id": "RE_00000001", "version": "0.3.0"})

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/tasks/{task}", self._task, methods=["PATCH"]),
                Route("/releases/{release}", self._release),
            ]
        )

    async def _task(self, request: Request) -> Response:
        task, body = request.path_params["task"], await request.json()
        self.headers.append(dict(request.headers))
        self.times.append(time.monotonic())
        self.reports.append((task, body["state"], body["progress"]))
        self.under_way[task] = self.under_way.get(task, 0) + 1
        self.most_at_once = max(self.most_at_once, self.under_way[task])
        try:
            return await self._answer()
        finally:
            self.under_way[task] -= 1

    async def _release(self, request: Request) -> Response:
        self.headers.append(dict(request.headers))
        self.times.append(time.monotonic())
        if self.script:
            return await self._answer()
        return self.release if isinstance(self.release, Response) else JSONResponse(self.release)

    async def _answer(self) -> Response:
        answered = self.script.pop(0)() if self.script else Response()
        return await answered if isinstance(answered, Coroutine) else answered


def saying(status: int, **headers: str) -> Answer:
    return lambda: JSONResponse(
        {"detail": "…"}, status, {name.replace("_", "-"): text for name, text in headers.items()}
    )


async def delaying() -> Response:
    await asyncio.sleep(0.1)
    return Response()


def with_coordinator(
    serve: Any,
    little: LittleCoordinator,
    scene: Callable[[Conversation], Coroutine[Any, Any, None]],
    build: Callable[[TaskService], object] = lambda _: None,
    **settings: Any,
) -> None:
    """Play a scene with a service that reports to a little coordinator."""

    async def whole() -> None:
        async with serve(little.app()) as address:
            quick = {"progress_interval_s": 0.05, "retry_pause_s": PAUSE_S, "coordinator_url": address}
            service = TaskService("reporter", store=MemoryStore(), **(quick | settings))
            build(service)
            async with serve(service) as url, conversation(url) as talk:
                await scene(talk)

    asyncio.run(whole())


def test_states_are_reported(serve: Any) -> None:
    """The coordinator hears staged, published and failed; the states that it commanded it knows already."""
    little = LittleCoordinator()

    def build(service: TaskService) -> None:
        @service.stage
        def stage(task: Task) -> None:
            if task.id == "TA_2":
                task.progress(30)
                raise RuntimeError("no rows")

    async def scene(talk: Conversation) -> None:
        await talk.bring("TA_1", to="staged")
        await until(lambda: little.reports == [("TA_1", "staged", 100)])
        await talk.bring("TA_1", to="published")
        await until(lambda: little.reports[-1] == ("TA_1", "published", 100))
        await talk.bring("TA_2", to="failed")
        await until(lambda: little.reports[-1] == ("TA_2", "failed", 30))
        await talk.bring("TA_3", to="pending")
        await talk.ask("cancel", "TA_3")
        await talk.bring("TA_4", to="staged")
        await until(lambda: little.reports[-1] == ("TA_4", "staged", 100))
        assert {"TA_1", "TA_2", "TA_4"} == {task for task, _, _ in little.reports}

    with_coordinator(serve, little, scene, build)


def test_progress_is_told_now_and_then(serve: Any) -> None:
    """Of very many steps few are told, they rise, the interval is kept, and the state does not wait for it."""
    little = LittleCoordinator()

    def build(service: TaskService) -> None:
        @service.stage
        def stage(task: Task) -> None:
            task.progress(20, of=2_000)
            wait_until(lambda: little.reports)
            for done in range(40, 2_000):
                task.progress(done, of=2_000)
                time.sleep(0.0001)
            wait_until(lambda: len(little.reports) > 1)

    async def scene(talk: Conversation) -> None:
        await talk.bring("TA_1", to="staged")
        await until(lambda: little.reports[-1:] == [("TA_1", "staged", 100)])

    begin = time.monotonic()
    with_coordinator(serve, little, scene, build, progress_interval_s=0.1)
    told = [progress for _, state, progress in little.reports if state == "running"]
    assert told == sorted(set(told))
    assert 2 <= len(told) <= (time.monotonic() - begin) / 0.1 + 1
    gaps = [later - earlier for earlier, later in zip(little.times, little.times[1:-1], strict=False)]
    assert min(gaps) >= 0.09


def test_a_step_is_never_kept_waiting_by_the_coordinator(serve: Any) -> None:
    """While the coordinator does not answer, progress returns and the work goes on to its end."""
    asked = Event()

    async def hanging() -> Response:
        asked.set()
        await until(lambda: published)
        return Response()

    published: list[float] = []
    little = LittleCoordinator([hanging])

    def build(service: TaskService) -> None:
        @service.stage
        async def stage(task: Task) -> None:
            task.progress(1)
            assert asked.wait(PATIENCE_S)
            for done in range(100):
                task.progress(done)

    async def scene(talk: Conversation) -> None:
        await talk.bring("TA_1", to="published")
        published.append(time.monotonic())
        await until(lambda: little.reports[-1] == ("TA_1", "published", 100))

    with_coordinator(serve, little, scene, build)
    assert little.reports == [("TA_1", "running", 1), ("TA_1", "published", 100)]


@pytest.mark.parametrize(
    ("answer", "least_pause_s"),
    [
        (Broken, PAUSE_S),
        (saying(500), PAUSE_S),
        (saying(503), PAUSE_S),
        (saying(429), PAUSE_S),
        (saying(429, Retry_After="1"), 1.0),
    ],
    ids=["no answer", "500", "503", "429", "429 with a pause"],
)
def test_a_state_is_repeated_until_it_arrives(serve: Any, answer: Answer, least_pause_s: float) -> None:
    """Without an answer, after a 5xx and a 429, a state is told again after a pause, and once it arrived no more."""
    little = LittleCoordinator([answer])

    async def scene(talk: Conversation) -> None:
        await talk.bring("TA_1", to="staged")
        await until(lambda: len(little.reports) == 2)
        await talk.bring("TA_1", to="published")
        await until(lambda: len(little.reports) > 2)
        assert little.reports == [("TA_1", "staged", 100)] * 2 + [("TA_1", "published", 100)]
        assert little.times[1] - little.times[0] >= least_pause_s * 0.9

    with_coordinator(serve, little, scene)


def test_pauses_grow_and_have_an_end(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A coordinator that never has an answer is asked ever more rarely, then left to its polling, with one line."""
    little = LittleCoordinator([saying(502)] * 50)

    async def scene(talk: Conversation) -> None:
        await talk.bring("TA_1", to="staged")
        await until(lambda: caplog.messages)

    with caplog.at_level(logging.WARNING, "lockstep.taskkit"):
        with_coordinator(serve, little, scene, retry_pause_s=0.004)
    assert len(little.reports) == TRIES
    gaps = [later - earlier for earlier, later in zip(little.times, little.times[1:], strict=False)]
    assert gaps[-1] > 0.004 * 2 ** (TRIES - 2) > min(gaps)
    assert caplog.messages == [
        "the report that task TA_1 is staged did not arrive (HTTP 502); it is left to the coordinator's polling"
    ]


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409])
def test_a_refusal_is_final(serve: Any, caplog: pytest.LogCaptureFixture, status: int) -> None:
    """What the coordinator refuses is not told again; its progress neither; the next state is."""
    little = LittleCoordinator([saying(status)])

    def build(service: TaskService) -> None:
        @service.stage
        def stage(task: Task) -> None:
            task.progress(1)
            while not little.reports:
                time.sleep(0.001)
            for done in range(2, 100):
                time.sleep(0.001)
                task.progress(done)

    async def scene(talk: Conversation) -> None:
        await talk.bring("TA_1", to="staged")
        await until(lambda: little.reports == [("TA_1", "running", 1), ("TA_1", "staged", 100)])

    with caplog.at_level(logging.WARNING, "lockstep.taskkit"):
        with_coordinator(serve, little, scene, build, progress_interval_s=0.01)
    assert len(little.reports) == 2
    expected = f"the coordinator refused the report that task TA_1 is running: HTTP {status}"
    assert caplog.messages == [expected]


def test_reports_of_a_task_never_overtake_each_other(serve: Any) -> None:
    """Whatever the coordinator does, one report of a task is under way at a time, and the last word is the truth."""
    answers: list[Answer] = [delaying, Broken, saying(500), delaying, saying(429), delaying, saying(503), Broken]
    little = LittleCoordinator(answers * 2)

    def build(service: TaskService) -> None:
        @service.stage
        async def stage(task: Task) -> None:
            for done in range(100):
                task.progress(done)
                await asyncio.sleep(0.002)

    async def scene(talk: Conversation) -> None:
        tasks = [f"TA_{number}" for number in range(4)]
        await asyncio.gather(*(talk.bring(task, to="published") for task in tasks))
        last = {(task, "published", 100) for task in tasks}
        await until(lambda: last <= set(little.reports) and not little.script)

        def last_words() -> bool:
            return {report[0]: report for report in little.reports} == {report[0]: report for report in last}

        await until(last_words)

    with_coordinator(serve, little, scene, build, progress_interval_s=0.01)
    assert little.most_at_once == 1


def test_no_coordinator_there(serve: Any) -> None:
    """A service whose coordinator is not there does its work all the same, and stops without delay."""
    service = TaskService("lonely", store=MemoryStore(), coordinator_url="http://127.0.0.1:9")

    @service.publish
    async def publish(task: Task) -> None:
        task.progress(50)

    async def scene() -> float:
        async with serve(service) as url, conversation(url) as talk:
            await talk.bring("TA_1", to="published")
            begin = time.monotonic()
        return time.monotonic() - begin

    assert asyncio.run(scene()) < STOPS_S


@pytest.mark.parametrize("token", ["s3cret", lambda: "s3cret"], ids=["text", "function"])
def test_the_token_goes_along_and_into_no_log(serve: Any, caplog: pytest.LogCaptureFixture, token: Any) -> None:
    """Every request to the coordinator carries the bearer token and who we are; no line of the log has it."""
    little = LittleCoordinator([saying(500), saying(403)])

    async def scene(talk: Conversation) -> None:
        await talk.bring("TA_1", to="staged")
        await until(lambda: len(little.reports) == 2)

    with caplog.at_level(logging.DEBUG):
        with_coordinator(serve, little, scene, token=token)
    assert {"Bearer s3cret"} == {headers["authorization"] for headers in little.headers}
    assert all(headers["user-agent"].startswith("Lockstep-TaskKit/") for headers in little.headers)
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(("settings", "shown"), [({}, "Bearer of TA_1"), ({"token": "s3cret"}, "Bearer s3cret")])
def test_without_a_token_of_its_own_a_service_shows_the_one_of_the_task(
    serve: Any, caplog: pytest.LogCaptureFixture, settings: dict[str, Any], shown: str
) -> None:
    """The one that came with `initialize`; it is also shown to read the release, and no line of the log has it."""
    little, versions = LittleCoordinator(), []

    def build(service: TaskService) -> None:
        @service.stage
        async def stage(task: Task) -> None:
            versions.append((await task.release())["version"])

    async def scene(talk: Conversation) -> None:
        await talk.ask("initialize", "TA_1", callback_token="of TA_1")
        await talk.ask("start", "TA_1")
        await until(lambda: little.reports)

    with caplog.at_level(logging.DEBUG):
        with_coordinator(serve, little, scene, build, **settings)
    assert (versions, little.reports) == (["0.3.0"], [("TA_1", "staged", 100)])
    assert {shown} == {headers["authorization"] for headers in little.headers}
    assert "of TA_1" not in caplog.text


def test_a_token_that_cannot_be_had(serve: Any) -> None:
    """Where the token's source is down, the report waits as if the coordinator were."""
    tries: list[int] = []

    def token() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise OSError("the identity provider is down")
        return "fresh"

    little = LittleCoordinator()

    async def scene(talk: Conversation) -> None:
        await talk.bring("TA_1", to="staged")
        await until(lambda: little.reports)

    with_coordinator(serve, little, scene, token=token)
    assert little.headers[0]["authorization"] == "Bearer fresh"


def test_the_release_can_be_read(serve: Any) -> None:
    """Async functions await the release, others run it; a coordinator that stumbles is asked again."""
    little, versions = LittleCoordinator(), []

    def build(service: TaskService) -> None:
        @service.stage
        def stage(task: Task) -> None:
            versions.append(asyncio.run(task.release())["version"])

        @service.publish
        async def publish(task: Task) -> None:
            little.script.append(saying(500))
            versions.append((await task.release())["version"])

    async def scene(talk: Conversation) -> None:
        await talk.bring("TA_1", to="staged")
        await until(lambda: little.reports)
        await talk.bring("TA_1", to="published")

    with_coordinator(serve, little, scene, build)
    assert versions == ["0.3.0", "0.3.0"]


@pytest.mark.parametrize(
    ("release", "sentence"),
    [
        (JSONResponse({}, 404), "CoordinatorError: the coordinator did not show release RE_00000001: HTTP 404"),
        (
            Response("<html>"),
            "CoordinatorError: the coordinator's answer about release RE_00000001 is not a JSON object",
        ),
        (JSONResponse([]), "CoordinatorError: the coordinator's answer about release RE_00000001 is not a JSON object"),
    ],
)
def test_a_release_that_cannot_be_read(serve: Any, release: Response, sentence: str) -> None:
    """The function gets an error that says what was wrong, and so does whoever asks for the task."""
    little = LittleCoordinator(release=release)

    def build(service: TaskService) -> None:
        @service.publish
        async def publish(task: Task) -> None:
            await task.release()

    async def scene(talk: Conversation) -> None:
        await talk.bring("TA_1", to="staged")
        await talk.ask("publish", "TA_1")
        assert (await talk.until("failed", "TA_1"))["error"] == sentence

    with_coordinator(serve, little, scene, build)


def test_a_release_without_a_coordinator(serve: Any) -> None:
    """A service that knows no coordinator says so, and what would help."""
    raised: list[CoordinatorError] = []

    def build(service: TaskService) -> None:
        @service.stage
        async def stage(task: Task) -> None:
            try:
                await task.release()
            except CoordinatorError as error:
                raised.append(error)

    async def scene(talk: Conversation) -> None:
        await talk.bring("TA_1", to="staged")

    with_coordinator(serve, LittleCoordinator(), scene, build, coordinator_url="")
    assert "set LOCKSTEP_COORDINATOR_URL" in str(raised[0])


@pytest.mark.parametrize("url", ["coordinator:5000", "ftp://coordinator", "http://", "http:/coordinator"])
def test_an_address_that_is_none(url: str) -> None:
    """A wrong address is found when the service is made, not at its first report."""
    with pytest.raises(ValueError, match="the coordinator's address must be of the form http://host:port"):
        TaskService("mistaken", coordinator_url=url)


def quiet(little: LittleCoordinator, pause_s: float = 0.3) -> bool:
    """Whether nothing was reported for a while."""
    return bool(little.times) and time.monotonic() - little.times[-1] > pause_s


def test_a_task_at_work_shows_that_it_is_alive(serve: Any) -> None:
    """It is reported as it was, again and again, for as long as its function looks up; no more once it has staged."""
    little, gate, hangs, beats = LittleCoordinator(), Event(), Event(), []

    def build(service: TaskService) -> None:
        @service.stage
        def stage(task: Task) -> None:
            task.progress(30)
            while task.id == "TA_1" and not hangs.wait(0.01):
                task.check()
            assert gate.wait(PATIENCE_S)

    async def scene(talk: Conversation) -> None:
        await talk.bring("TA_1", to="running")
        await until(lambda: little.reports.count(("TA_1", "running", 30)) > 3)
        hangs.set()
        await until(lambda: quiet(little))
        gate.set()
        await talk.until("staged", "TA_1")
        await until(lambda: little.reports[-1] == ("TA_1", "staged", 100))
        beats.append(len(little.reports))
        await talk.bring("TA_2", to="staged")
        await until(lambda: little.reports[-1] == ("TA_2", "staged", 100))
        assert [report for report in little.reports[beats[0] :] if report[0] == "TA_1"] == []

    with_coordinator(serve, little, scene, build, heartbeat_s=0.05)
