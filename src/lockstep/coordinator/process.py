"""A process that is a coordinator or a task worker, from its start until somebody asks it to end.

`lockstep serve` and `lockstep worker` call this; the demo and the tests, which run several coordinators in one process,
open `bootstrap.running` themselves. So all that belongs to the process as a whole is here and nowhere else: its event
loop, its signals, its garbage, and a limit to how long its end may take.
"""

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import structlog

from lockstep.coordinator.bootstrap import Running, running, working
from lockstep.coordinator.settings import Settings

log = structlog.get_logger("lockstep.coordinator")

T = TypeVar("T")

END_LIMIT_S: Final = 9.0
"""After so long a process that was asked to end does so, whatever it waits for."""


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a program in the quickest event loop that there is."""
    try:
        import uvloop  # noqa: PLC0415 - there is none for Windows
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


async def serve(settings: Settings, ready: Callable[[Running], None]) -> None:
    """Run a coordinator until the process is asked to end (SIGINT or SIGTERM); `ready` is called once it answers.

    Raises:
        CannotStart: it cannot; the text says why.
    """
    stop = _wish_to_end()
    async with running(settings) as coordinator:
        _collect_seldom()
        ready(coordinator)
        await asyncio.to_thread(coordinator.warm_up)
        await stop.wait()
        _end_in_time()


async def work(settings: Settings, ready: Callable[[], None]) -> None:
    """Run a task worker until the process is asked to end (SIGINT or SIGTERM); `ready` is called once it works.

    Raises:
        CannotStart: it cannot; the text says why.
    """
    stop = _wish_to_end()
    async with working(settings):
        _collect_seldom()
        ready()
        await stop.wait()
        _end_in_time()


def _collect_seldom() -> None:
    """Look for garbage seldom: what is loaded by now stays, and looking through it would hold everything up for 60 ms.

    A large answer, and a step of a large release, is looked through a few times while it is made and not hundreds.
    """
    gc.freeze()
    gc.set_threshold(10_000)


def _wish_to_end() -> asyncio.Event:
    """Return what is set when the process is asked to end."""
    stop = asyncio.Event()
    for wish in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(wish, stop.set)
    return stop


def _end_in_time() -> None:
    """See to it that the process ends soon, even where something that is away is waited for; the rows say the rest."""

    def end() -> None:
        log.warning("cut_short", meaning="something that is away was waited for; what was on its way is in doubt")
        os._exit(1)

    asyncio.get_running_loop().call_later(END_LIMIT_S, end)
