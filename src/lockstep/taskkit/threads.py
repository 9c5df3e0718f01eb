"""Threads that never keep a process alive.

Python waits at its end for every thread that is not a daemon, and for every thread of an ordinary executor: one call
that hangs, and a service cannot be stopped but by a kill. The kit runs foreign code, which may hang; so its threads
are daemons, and so are those that an event loop of the kit lends to `asyncio.to_thread` and to name look-ups. What is
cut off with the process runs again at the next start.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_LIMIT: Final = min(32, (os.cpu_count() or 1) + 4)
"""As many threads as an event loop's own executor has."""


def start_thread(target: Callable[[], None], name: str) -> Thread:
    """Run a function in a daemon thread of its own."""
    thread = Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread


def make_loop() -> asyncio.AbstractEventLoop:
    """Make an event loop whose executor is made of daemons; for `asyncio.Runner(loop_factory=make_loop)`."""
    loop = asyncio.new_event_loop()
    loop.set_default_executor(_DaemonExecutor())
    return loop


class _DaemonExecutor(ThreadPoolExecutor):
    """An executor for an event loop, which insists on this base class; none of the base's own threads is started."""

    def __init__(self) -> None:
        super().__init__()
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._daemons = 0

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Have a function called by one of the threads."""
        future: Future[R] = Future()
        self._jobs.put(partial(_fulfil, future, partial(fn, *args, **kwargs)))
        if self._daemons < _LIMIT:
            self._daemons += 1
            start_thread(self._serve, f"lockstep helper {self._daemons}")
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - the base's face
        """Let the threads end when they are done; nobody waits for them."""
        for _ in range(self._daemons):
            self._jobs.put(None)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _fulfil(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for the future
        future.set_exception(error)
    else:
        future.set_result(result)
