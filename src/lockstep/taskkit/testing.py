"""Rehearse a release with your service in a test, with all that can go wrong on the way.

    def test_a_release(tmp_path):
        with rehearsal(lambda coordinator: make_service(tmp_path, coordinator_url=coordinator)) as release:
            release.stage()
            assert (tmp_path / "staged").exists()
            release.publish()
            assert (tmp_path / "public" / release.id).exists()

The service is served for real on this machine, and so are the coordinator and the data service that are played for it:
reports arrive there (`release.reports`), and the data of its studies are fetched there. They can be held back
(`held_data`), refused (`refuse_data`), and reports can be lost, refused or answered late (`treat_reports`). Answers of
the service can be lost (`lose_answer`), and the coordinator replaced by one of a higher epoch (`take_over`,
`ask_late`). `restart` ends the service and makes it anew, from what it stored. Whatever is not as it should be is an
`AssertionError` with a sentence.

Whether a service keeps *all* the rules is for `lockstep check` to say; here you test what your functions do.
"""

import asyncio
import secrets
import socket
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from threading import Thread
from typing import Any, Final, TypeVar

import uvicorn

from lockstep.protocol.ids import Prefix, make_id
from lockstep.protocol.messages import Action
from lockstep.protocol.states import SETTLED_TASKS, TaskState
from lockstep.taskkit.conformance.exchange import Exchange, Speaker
from lockstep.taskkit.conformance.played import Played, Subject, Treatment
from lockstep.taskkit.conformance.scene import body_of
from lockstep.taskkit.service import TaskService

__all__ = ["Rehearsal", "Treatment", "rehearsal"]

T = TypeVar("T")
Make = Callable[[str], TaskService]
"""Makes the service; it is given the coordinator's address."""

_OK: Final = 200
_CONFLICT: Final = 409
_JSON: Final = {"Content-Type": "application/json"}
_TICK_S: Final = 0.01
_LIMIT_S: Final = 30.0


class Rehearsal:
    """One release with one task of the service; made by `rehearsal`.

    Attributes:
        id: the release's id.
        task_id: the task's id.
        studies: the ids of its studies.
        patience_s: how long to wait for the service, in seconds.
    """

    def __init__(self, make: Make, studies: int, patience_s: float) -> None:
        self.patience_s = patience_s
        self._epoch: int | None = None
        self._make = make
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="lockstep rehearsal", daemon=True)
        self._open = AsyncExitStack()
        self._served = AsyncExitStack()
        self._played = Played("127.0.0.1", 0)
        names = tuple(make_id(Prefix.STUDY, secrets.randbits) for _ in range(studies))
        self._task = Subject(
            make_id(Prefix.TASK, secrets.randbits), make_id(Prefix.RELEASE, secrets.randbits), names, ()
        )
        self.id, self.task_id, self.studies = self._task.release_id, self._task.task_id, names

    def initialize(self) -> dict[str, Any]:
        """Ask the service whether it takes part, and return its answer."""
        return self._accepted(Action.INITIALIZE)

    def start(self) -> dict[str, Any]:
        """Initialize unless that was done, tell the service to stage, and return its answer at once."""
        if self.ask(Action.GET_STATUS).status != _OK:
            self.initialize()
        return self._accepted(Action.START)

    def stage(self) -> dict[str, Any]:
        """Have the release staged, and return the task as it is then."""
        self.start()
        return self.until(TaskState.STAGED)

    def publish(self) -> dict[str, Any]:
        """Have the staged release published, and return the task as it is then."""
        self._accepted(Action.PUBLISH)
        return self.until(TaskState.PUBLISHED)

    def cancel(self) -> dict[str, Any]:
        """Cancel the release, and return the task as it is then."""
        self._accepted(Action.CANCEL)
        return self.until(TaskState.CANCELED)

    def status(self) -> dict[str, Any]:
        """Return the task as the service shows it."""
        return self._accepted(Action.GET_STATUS)

    def until(self, state: str) -> dict[str, Any]:
        """Wait until the task is in a state, and return it; one that ends otherwise is an error."""
        wanted, end = TaskState(state), time.monotonic() + self.patience_s
        while True:
            shown = self.status()
            if shown.get("state") == wanted:
                return shown
            assert shown.get("state") not in SETTLED_TASKS, f"the task should become {wanted}, and is {shown}"  # noqa: S101 - this is for tests
            assert time.monotonic() < end, f"after {self.patience_s:g} s the task is not {wanted}, but {shown}"  # noqa: S101
            time.sleep(_TICK_S)

    def ask(self, action: str, **fields: object) -> Exchange:
        """Ask for any action at any time, with fields added or changed, and return what came of it."""
        return self._await(self._speaker.send("POST", "/tasks", self._body(action, fields), _JSON))

    def lose_answer(self, action: str) -> None:
        """Ask for an action, and break the connection off before its answer, as networks do; it counts all the same."""
        self._await(self._speaker.send_and_hang_up("/tasks", self._body(action, {}), _JSON))

    def take_over(self) -> None:
        """Be another coordinator from now on: requests have a higher epoch, and one of them says so at once."""
        self._epoch = (self._epoch or 0) + 1
        self.status()

    def ask_late(self, action: str) -> Exchange:
        """Ask as the coordinator that was replaced, whose request comes late; it must be refused and change nothing."""
        assert self._epoch, "nobody was replaced; take_over comes first"  # noqa: S101 - this is for tests
        before = self.status()
        answer = self.ask(action, epoch=self._epoch - 1)
        assert answer.status == _CONFLICT, f"{action} came too late and should get HTTP 409, not {answer.answered}"  # noqa: S101
        after = self.status()
        assert after.get("state") == before.get("state"), f"{action} came too late, and changed {before} to {after}"  # noqa: S101
        return answer

    def restart(self) -> None:
        """End the service and make it anew; work that was cut off is taken up again from what is stored."""
        self._await(self._serve())

    @property
    def reports(self) -> list[str]:
        """The states that the service reported, without those that it reported twice in a row."""
        words = [str(report.word) for report in list(self._task.callbacks)]
        return [word for before, word in zip(["", *words], words, strict=False) if word != before]

    def treat_reports(self, treatment: Treatment) -> None:
        """Lose, refuse, fail or delay reports from now on."""
        self._task.treatment = treatment

    def refuse_data(self, status: int = 500) -> None:
        """Answer requests for the data of the studies with an error from now on."""
        self._task.data_status = status

    @contextmanager
    def held_data(self) -> Iterator[None]:
        """Let requests for the data of the studies wait for as long as the context is open."""
        self._loop.call_soon_threadsafe(self._task.gate.clear)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._task.gate.set)

    def _body(self, action: str, fields: Mapping[str, object]) -> bytes:
        epoch = {} if self._epoch is None else {"epoch": self._epoch}
        return body_of(Action(action), self._task, **{**epoch, **fields})

    def _accepted(self, action: Action) -> dict[str, Any]:
        answer = self.ask(action)
        fields = answer.fields
        fine = answer.status == _OK and fields is not None
        assert fine, f"{action} was not accepted: {answer.answered}"  # noqa: S101 - this is for tests
        return dict(fields or {})

    def _begin(self) -> None:
        self._thread.start()
        self._await(self._enter())

    def _end(self) -> None:
        try:
            self._await(self._leave())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_LIMIT_S)
            self._loop.close()

    async def _enter(self) -> None:
        await self._open.enter_async_context(self._played)
        task = self._task
        task.urls = tuple(f"{self._played.url}/studies/{study}" for study in task.studies)
        self._played.know(task)
        await self._serve()

    async def _serve(self) -> None:
        """Serve the service, made anew, after the one that was there has ended."""
        await self._served.aclose()
        listener = socket.create_server(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(self._make(self._played.url), log_config=None, access_log=False)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        self._served.push_async_callback(_stop, server, serving)
        while not server.started:
            assert not serving.done(), "the service did not start; its log says why"  # noqa: S101 - this is for tests
            await asyncio.sleep(_TICK_S)
        self._speaker = await self._served.enter_async_context(Speaker(url, None, self.patience_s))

    async def _leave(self) -> None:
        await self._served.aclose()
        await self._open.aclose()

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_LIMIT_S + self.patience_s)


@contextmanager
def rehearsal(make: Make, *, studies: int = 2, patience_s: float = 10.0) -> Iterator[Rehearsal]:
    """Serve a service and rehearse one release with it.

    Args:
        make: makes the service; it is given the address of the coordinator that is played. It is called again for
            every `restart`, and must give the service the same store each time.
        studies: how many studies the release has.
        patience_s: how long to wait for the service, in seconds.
    """
    release = Rehearsal(make, studies, patience_s)
    release._begin()  # noqa: SLF001 - of this module
    try:
        yield release
    finally:
        release._end()  # noqa: SLF001


async def _stop(server: uvicorn.Server, serving: "asyncio.Task[None]") -> None:
    server.should_exit = True
    with suppress(asyncio.CancelledError):
        await serving
