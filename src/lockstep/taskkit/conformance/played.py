"""The coordinator that is played for the service under test, and the data service beside it.

Both answer at one address on this machine. A service that is told this address, and fetches what it is given in `urls`,
can be held in the middle of its staging, be refused its data, and have its callbacks lost, refused and delayed. What it
sends is noted with the task that it is about. A service that never calls can be checked as well, but less of it.

The data service holds next to nothing: every study has two participants, each on a page of its own, and no more. As in
the real one, the link to the second page keeps the study and loses the other filters.
"""

import asyncio
import json
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Self

from aiohttp import web

from lockstep.protocol.states import TaskState

_ID: Final = re.compile(r"[A-Z]{2}_[0-9A-Z]{8}")
PAGED: Final = "participants"
"""The list that has two pages for every study."""

_CREATED_AT: Final = "2018-04-01T00:00:00.000000Z"
_SLOW_S: Final = 1.5


class Treatment(StrEnum):
    """What becomes of a callback."""

    TAKEN = "taken"
    LOST = "lost"
    FAILED = "answered 503"
    REFUSED = "answered 403"
    SLOW = "answered late"


@dataclass(frozen=True, slots=True)
class Callback:
    """A report of the service: its request, whether it carried an identity, and whether the task was over by then."""

    asked: str
    fields: Mapping[str, Any] | None
    has_identity: bool
    is_late: bool
    treatment: Treatment

    @property
    def word(self) -> object:
        """The state that it names, as it was written."""
        return None if self.fields is None else self.fields.get("state")


@dataclass(eq=False)
class Subject:
    """One task that the service is asked to do, and all that is done to it and known about it.

    Attributes:
        task_id: its id.
        release_id: the release that it belongs to.
        studies: the studies of that release.
        urls: where each of them can be fetched.
        gate: open when the service may have data; closed, its requests for them wait.
        release_gate: the same for the release itself.
        data_status: the HTTP status of the data.
        reads: the addresses that the service asked for about it.
        waiting: how many requests of the service wait at a gate.
        callbacks: what the service reported about it.
        treatments: what is done to the next callbacks; later ones are treated as `treatment` says.
        is_over: it was canceled, so that reports are answered 409.
        was_asked: the service was asked for something, so that it may have to be cleaned up.
        state: as the service told it last.
        progress: as the service told it last, in percent.
    """

    task_id: str
    release_id: str
    studies: tuple[str, ...]
    urls: tuple[str, ...]
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    release_gate: asyncio.Event = field(default_factory=asyncio.Event)
    data_status: int = 200
    reads: list[str] = field(default_factory=list)
    waiting: int = 0
    callbacks: list[Callback] = field(default_factory=list)
    treatments: deque[Treatment] = field(default_factory=deque)
    treatment: Treatment = Treatment.TAKEN
    is_over: bool = False
    was_asked: bool = False
    state: TaskState | None = None
    progress: int = 0

    def __post_init__(self) -> None:
        self.gate.set()
        self.release_gate.set()

    async def pass_through(self, gate: asyncio.Event) -> None:
        """Wait at a gate until it is open."""
        self.waiting += 1
        try:
            await gate.wait()
        finally:
            self.waiting -= 1

    @property
    def data_reads(self) -> list[str]:
        """The addresses of data that the service asked for."""
        return [read for read in self.reads if not read.startswith(("/releases", "/tasks"))]


class Played:
    """The played coordinator; an asynchronous context manager that listens for as long as it is open.

    Args:
        host: the address to listen on.
        port: the port; 0 for any.

    Raises:
        OSError: on entering, when the port is taken.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._subjects: dict[str, Subject] = {}
        self.url = ""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        for subject in self._subjects.values():
            subject.gate.set()
            subject.release_gate.set()
        await self._runner.cleanup()

    def know(self, subject: Subject) -> None:
        """Answer questions about a task, its release and its studies from now on."""
        for name in (subject.task_id, subject.release_id, *subject.studies):
            self._subjects[name] = subject

    async def _answer(self, request: web.Request) -> web.Response:
        address = request.path_qs
        subject = next((self._subjects[name] for name in _ID.findall(address) if name in self._subjects), None)
        if request.method in {"PATCH", "PUT", "POST"}:
            return await self._report(request, subject)
        if request.path == "/status":
            return web.json_response({"name": "lockstep check", "_status": {"code": 200, "message": "played"}})
        if subject is None:
            return _listing(request, [])
        subject.reads.append(address)
        if request.path.startswith(("/releases/", "/tasks/")):
            await subject.pass_through(subject.release_gate)
            is_task = request.path.startswith("/tasks/")
            return web.json_response(_task(subject, self.url) if is_task else _release(subject, self.url))
        return await self._data(request, subject)

    async def _data(self, request: web.Request, subject: Subject) -> web.Response:
        await subject.pass_through(subject.gate)
        if subject.data_status != 200:  # noqa: PLR2004
            status = {"code": subject.data_status, "message": "refused on purpose"}
            return web.json_response({"_status": status}, status=subject.data_status)
        name = request.path.rsplit("/", 1)[-1]
        if name in subject.studies:
            return _one(request, _study(name))
        return _participant(request, subject) if name == PAGED else _listing(request, [])

    async def _report(self, request: web.Request, subject: Subject | None) -> web.Response:
        body = await request.read()
        if subject is None or not _is_task_address(request.path, subject):
            known = request.path == "/events"
            return web.json_response({"detail": "Not found."}, status=201 if known else 404)
        treatment = subject.treatments.popleft() if subject.treatments else subject.treatment
        asked = f"{request.method} {request.path} {body[:200].decode('utf-8', 'replace')}"
        identity = "Authorization" in request.headers
        subject.callbacks.append(Callback(asked, _object(body), identity, subject.is_over, treatment))
        if treatment is Treatment.LOST and request.transport is not None:
            request.transport.close()
        if treatment is Treatment.SLOW:
            await asyncio.sleep(_SLOW_S)
        status = {Treatment.FAILED: 503, Treatment.REFUSED: 403}.get(treatment, 409 if subject.is_over else 200)
        return web.json_response(_task(subject, self.url), status=status)


def _is_task_address(path: str, subject: Subject) -> bool:
    return path in {f"/tasks/{subject.task_id}", f"/releases/{subject.release_id}/tasks/{subject.task_id}"}


def _object(body: bytes) -> Mapping[str, Any] | None:
    try:
        decoded = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return decoded if isinstance(decoded, Mapping) else None


def _release(subject: Subject, url: str) -> dict[str, Any]:
    return {
        "kf_id": subject.release_id,
        "name": "lockstep check",
        "description": "A release that is not meant: somebody checks a task service.",
        "notes": [],
        "state": "running",
        "studies": list(subject.studies),
        "tasks": [_task(subject, url)],
        "version": "0.0.0",
        "created_at": _CREATED_AT,
        "tags": [],
        "author": "lockstep check",
        "is_major": False,
    }


def _task(subject: Subject, url: str) -> dict[str, Any]:
    return {
        "kf_id": subject.task_id,
        "state": "running",
        "progress": 0,
        "release": f"{url}/releases/{subject.release_id}",
        "task_service": None,
        "created_at": _CREATED_AT,
        "service_name": "the service under test",
    }


def _study(name: str) -> dict[str, Any]:
    return {"kf_id": name, "name": "An empty study", "visible": True, "created_at": _CREATED_AT}


def _one(request: web.Request, record: Mapping[str, Any]) -> web.Response:
    found = {"_status": {"code": 200, "message": "success"}, "_links": {"self": request.path}, "results": record}
    return web.json_response(found)


def _participant(request: web.Request, subject: Subject) -> web.Response:
    """Return the page of participants of a study that is asked for: the first, or the one after it."""
    study = request.query.get("study_id", "")
    if study not in subject.studies:
        return _listing(request, [])
    number = 2 if "after" in request.query else 1
    links = {"self": f"/{PAGED}/PT_{number:08}", "study": f"/studies/{study}"}
    row = {"kf_id": f"PT_{number:08}", "created_at": _CREATED_AT, "visible": True, "_links": links}
    return _listing(request, [row], more=None if number > 1 else f"/{PAGED}?after=1522540800.0&study_id={study}")


def _listing(request: web.Request, records: list[Any], more: str | None = None) -> web.Response:
    links = {"self": request.path_qs, **({"next": more} if more else {})}
    status, total = {"code": 200, "message": "success"}, 2 * len(records)
    page = {"_status": status, "_links": links, "results": records, "total": total, "limit": 100}
    return web.json_response(page)
