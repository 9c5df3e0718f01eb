"""Tells of a test that hangs what each of its asyncio tasks was waiting for.

The time-out shows where the threads are, and the thread of an event loop is always in `select`. So shortly before it
the tasks are looked at from beside, and what was seen is part of the report of the test.
"""

import asyncio
import gc
import threading
from collections.abc import Iterator
from typing import Any, Final

import pytest

_BEFORE_S: Final = 5.0
_GLANCE: Final = pytest.StashKey[threading.Timer]()


@pytest.hookimpl(wrapper=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> Iterator[None]:
    """Look at the tasks before the time of a test is over; `settings` are those of pytest-timeout."""

    def look() -> None:
        item.add_report_section("call", "asyncio tasks", "\n".join(_waiting()))

    glance = threading.Timer(max(settings.timeout - _BEFORE_S, settings.timeout / 2), look)
    glance.daemon = True
    item.stash[_GLANCE] = glance
    glance.start()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_timeout_cancel_timer(item: pytest.Item) -> Iterator[None]:
    """Leave a test alone that has ended in time."""
    if glance := item.stash.get(_GLANCE, None):
        glance.cancel()
    return (yield)


def _waiting() -> Iterator[str]:
    for task in gc.get_objects():
        if isinstance(task, asyncio.Task) and not task.done():
            yield task.get_name()
            yield from _lines(task.get_coro())


def _lines(awaited: Any) -> Iterator[str]:
    """Yield where a coroutine is, and what it awaits in turn."""
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is not None:
            yield f"    {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
