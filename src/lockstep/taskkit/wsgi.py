"""A task service inside a WSGI application, such as one made with Flask: the bridge between the two worlds.

    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    tasks = WsgiService(service)
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/task-service": tasks})

WSGI knows requests and nothing between them: no beginning, no end, no loop. The bridge brings all three. It begins with
the first request, or when `start` is called, has an event loop in a thread of its own for as long as the process lives,
and ends in order with the process. So work goes on between requests, whatever the server does with its own threads.

It begins in the process that serves, never before a fork: threads do not come along. A server of several processes has
several services, and wants a store that they may share; with a file of SQLite, every process but the first answers 503.

Importing this module loads a2wsgi, which the extra `wsgi` brings.
"""

import asyncio
import atexit
import os
from collections.abc import Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, closing, suppress
from tempfile import SpooledTemporaryFile
from threading import Lock
from typing import Any, Final, TypeVar
from wsgiref.types import StartResponse, WSGIEnvironment

from a2wsgi import ASGIMiddleware

from lockstep.taskkit.app import BODY_LIMIT
from lockstep.taskkit.service import TaskService
from lockstep.taskkit.store import StoreUnavailable
from lockstep.taskkit.threads import make_loop, start_thread

__all__ = ["WsgiService"]

_CHUNK: Final = 65_536
_INCOMPLETE: Final = b'{"message": "the body ended before its end"}'

T = TypeVar("T")


class WsgiService:
    """A task service as a WSGI application."""

    def __init__(self, service: TaskService) -> None:
        self._service = service
        self._lock = Lock()
        self._pid: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lifespan: AbstractAsyncContextManager[None] | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as WSGI has it."""
        with suppress(StoreUnavailable):  # the service answers so itself
            self.start()
        assert self._loop is not None  # noqa: S101 - made by `start`
        with closing(SpooledTemporaryFile(BODY_LIMIT)) as body:
            if not _is_whole(environ, body):
                start_response("400 Bad Request", [("Content-Type", "application/json")])
                yield _INCOMPLETE
                return
            service: Any = self._service
            bridge: Any = ASGIMiddleware(service, loop=self._loop)
            yield from bridge({**environ, "wsgi.input": body}, start_response)

    def start(self) -> None:
        """Begin, and take up the work that was left; again: nothing happens. The first request does it otherwise.

        Raises:
            RuntimeError: it was begun in the process that this one was forked from.
            StoreUnavailable: the tasks cannot be read, or belong to another process.
        """
        with self._lock:
            if self._pid not in {None, os.getpid()}:
                raise RuntimeError(
                    f"{self._service.name} was started before the server forked; start it in each process, such as in "
                    "gunicorn's post_worker_init"
                )
            if self._loop is None:
                self._pid, self._loop = os.getpid(), make_loop()
                start_thread(self._loop.run_forever, f"lockstep {self._service.name}")
            if self._lifespan is None:
                lifespan = self._service.lifespan()
                _waited(self._loop, lifespan.__aenter__())
                self._lifespan = lifespan
                atexit.register(self.stop)

    def stop(self) -> None:
        """End in order, as the end of the process does too: work is stopped, and taken up again at the next start."""
        with self._lock:
            loop, lifespan = self._loop, self._lifespan
            self._pid = self._loop = self._lifespan = None
            atexit.unregister(self.stop)
            if loop is not None and lifespan is not None:
                _waited(loop, lifespan.__aexit__(None, None, None))
            if loop is not None:
                loop.call_soon_threadsafe(loop.stop)


def _is_whole(environ: WSGIEnvironment, body: "SpooledTemporaryFile[bytes]") -> bool:
    """Read the body to its end; False when its sender left before."""
    left = int(environ.get("CONTENT_LENGTH") or 0)
    while left > 0 and (chunk := environ["wsgi.input"].read(min(left, _CHUNK))):
        body.write(chunk)
        left -= len(chunk)
    body.seek(0)
    return left == 0


def _waited(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run_coroutine_threadsafe(work, loop).result()
