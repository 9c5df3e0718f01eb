"""The face of the kit: a `TaskService` gathers the functions of a service and is the ASGI application that serves it.

It only puts the parts together: the desk that does the work, the reporter that tells of it, the addresses that bring
requests in. A server that speaks ASGI's lifespan starts and stops it; one that does not (an application in which the
service is mounted) starts it with the first request, and its end is then the end of the process.
"""

import asyncio
import logging
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from lockstep.taskkit.app import make_app
from lockstep.taskkit.coordinator import Coordinator, Token
from lockstep.taskkit.desk import Desk
from lockstep.taskkit.identity import Identity, check_host, identity_of_environment
from lockstep.taskkit.report import Reporter
from lockstep.taskkit.store import TaskStore
from lockstep.taskkit.stores import store_at
from lockstep.taskkit.task import TaskFunction
from lockstep.taskkit.work import Work

COORDINATOR_VARIABLES: Final = ("LOCKSTEP_COORDINATOR_URL", "COORDINATOR_API", "COORDINATOR_URL")
"""Where the coordinator's address is looked for, in this order; the last two are names that older services know."""

STORE_VARIABLE: Final = "LOCKSTEP_TASKS_DB"
"""A path or an address for the tasks, where the service names no store; without it, `<its name>.db` right here."""

SWITCH_INTERVAL_S: Final = 0.0005
"""How long Python lets a thread that computes keep the others waiting while a service runs; usually ten times that.

An answer changes threads a few times. With functions that compute in four threads, `get_status` of a task at work
takes 43 ms at the median with Python's own interval and 5 ms with this one; of a task at rest, 220 ms and 25 ms.
"""

_GRACEFUL_S: Final = 2
"""How long `run` lets requests that are under way come to their end."""

_log = logging.getLogger(__name__)

F = TypeVar("F", bound=TaskFunction)


class TaskService:
    """A task service: name its functions with `@stage`, `@publish` and `@cancel`, and let an ASGI server run it.

    Each function is given the `Task` and may be async or not. `stage` prepares the studies of a release where the
    public cannot see them; `publish` makes visible what was prepared; `cancel` throws it away, of a task that was
    canceled or failed, after the work on it has stopped. A function that is not there has nothing to do. One that
    raises makes the task `failed`, and what it raised is shown as the task's `error`. After the process was killed
    or stopped in the middle of a function, that function is run again: each must bear being run twice.

    Args:
        name: what the service is called, shown to people.
        version: the service's own version.
        message: a sentence for `GET /status`.
        store: where tasks are kept: a store, or a path or an address such as `postgresql://…` or `dynamodb://…`
            (`stores`); from the environment (`LOCKSTEP_TASKS_DB`) if not given, and else a file of SQLite.
        coordinator_url: where the coordinator is, to be told of progress and states; from the environment
            (`LOCKSTEP_COORDINATOR_URL`) if not given, and "" for none: the coordinator then learns all by polling.
        token: a bearer token for the coordinator, or a function that brings one.
        identity: whose orders are obeyed; from the environment (`LOCKSTEP_TASKS_ISSUER`, `…_AUDIENCE` and
            `…_CALLERS`) if not given. Without any, everybody's, and `run` serves this machine alone.
        routes: further addresses of the service, such as a report to be read.
        middleware: ASGI middleware around all addresses.
        progress_interval_s: the least time between two reports of a task's progress, in seconds.
        retry_pause_s: the first pause before a report is repeated, in seconds; each further one is twice as long.
        heartbeat_s: after how many seconds a task at work is reported again although nothing changed, if its function
            has called `task.check()` or `task.progress()` meanwhile; None for never.
        stop_patience_s: how long to wait for the work to stop when the service goes down, in seconds.

    Raises:
        ValueError: the coordinator's address or that of the tasks is none, or the identity is not a whole one.
    """

    def __init__(
        self,
        name: str,
        *,
        version: str = "0.0.0",
        message: str = "ready to take part in releases",
        store: TaskStore | str | None = None,
        coordinator_url: str | None = None,
        token: Token | None = None,
        identity: Identity | None = None,
        routes: Sequence[BaseRoute] = (),
        middleware: Sequence[Middleware] = (),
        progress_interval_s: float = 0.5,
        retry_pause_s: float = 0.5,
        heartbeat_s: float | None = 60.0,
        stop_patience_s: float = 2.0,
    ) -> None:
        self.name = name
        self.version = version
        self.message = message
        self.identity = identity or identity_of_environment()
        self._functions: dict[Work, TaskFunction] = {}
        url = _coordinator_url() if coordinator_url is None else coordinator_url
        tasks = _store(store, name)

        def callback_token(task_id: str) -> str | None:
            stored = tasks.get(task_id)
            return None if stored is None else stored.callback_token

        unknown = f"does not know its coordinator ({COORDINATOR_VARIABLES[0]}), which finds out by asking now and then"
        self._how_it_reports = f"reports to {url}" if url else unknown
        coordinator = Coordinator(url, token, callback_token) if url else None
        reporter = Reporter(
            coordinator,
            progress_interval_s=progress_interval_s,
            retry_pause_s=retry_pause_s,
            heartbeat_s=heartbeat_s,
        )
        self.desk = Desk(tasks, self._functions, coordinator, reporter, stop_patience_s)
        self._guard = None
        if self.identity is not None:
            from lockstep.taskkit.guard import Guard  # noqa: PLC0415 - cryptography takes a while, and few need it

            self._guard = Guard(self.identity)
        self._app = make_app(self, routes, middleware)

    def stage(self, function: F) -> F:
        """Name the function that prepares a release where the public cannot see it."""
        return self._name(Work.STAGE, function)

    def publish(self, function: F) -> F:
        """Name the function that makes public what was staged."""
        return self._name(Work.PUBLISH, function)

    def cancel(self, function: F) -> F:
        """Name the function that throws away what was staged, when the release is not to be."""
        return self._name(Work.CANCEL, function)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""
        await self._app(scope, receive, send)

    def run(self, *, host: str = "127.0.0.1", port: int = 8282) -> None:
        """Serve until Ctrl-C or SIGTERM.

        Raises:
            StoreUnavailable: the tasks cannot be read, or another process is working on them.
            ValueError: other machines could reach a service that obeys everybody.
        """
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
        check_host(host, self.identity)
        self.desk.store.open()
        _log.info("%s %s", self.name, self._how_it_reports)
        uvicorn.run(self, host=host, port=port, access_log=False, timeout_graceful_shutdown=_GRACEFUL_S)

    async def admit(self, headers: Mapping[str, str]) -> None:
        """Let a request for a task pass if whoever sends it is obeyed here; the error is an answer otherwise."""
        if self._guard is not None:
            await self._guard.check(headers)

    async def start(self) -> None:
        """Begin, and take up the work that was left; again: nothing happens. Servers do this by themselves."""
        if not self.desk.is_started:
            await asyncio.to_thread(self.desk.start)

    @asynccontextmanager
    async def lifespan(self, _app: Starlette | None = None) -> AsyncIterator[None]:
        """Begin and end with the server; where the service is mounted, the lifespan of the application around it."""
        interval_s = sys.getswitchinterval()
        sys.setswitchinterval(min(interval_s, SWITCH_INTERVAL_S))
        try:
            await self.start()
            yield
        finally:
            await asyncio.to_thread(self.desk.stop)
            if self._guard is not None:
                await self._guard.close()
            sys.setswitchinterval(interval_s)

    def _name(self, work: Work, function: F) -> F:
        if work in self._functions:
            raise ValueError(f"{self.name} has a {work} function already; there is one for each of its releases")
        self._functions[work] = function
        return function


def _coordinator_url() -> str:
    return next(filter(None, map(os.environ.get, COORDINATOR_VARIABLES)), "")


def _store(given: TaskStore | str | None, name: str) -> TaskStore:
    if given is not None and not isinstance(given, str):
        return given
    file_name = re.sub(r"\W+", "-", name).strip("-").lower() or "tasks"
    return store_at(given or os.environ.get(STORE_VARIABLE) or f"{file_name}.db", service=name)
