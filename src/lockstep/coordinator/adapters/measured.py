"""Ports that take note of what passes through them, for the metrics, and add nothing else."""

import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from lockstep.coordinator.core.model import Change, Release, Snapshot
from lockstep.coordinator.metrics import Metrics
from lockstep.coordinator.ports import Store, TaskServices, always
from lockstep.protocol.messages import Reply, Request

T = TypeVar("T")

Decide = Callable[[Snapshot], tuple[Change, T]]


class MeasuredTaskServices:
    """The port `TaskServices`, measured."""

    def __init__(self, inner: TaskServices, metrics: Metrics) -> None:
        self._inner = inner
        self._metrics = metrics

    async def send(
        self, service_url: str, request: Request, trace_id: str, may_leave: Callable[[], bool] = always
    ) -> Reply:
        """Send one request, and take note of how long it took and what came of it."""
        begun = time.perf_counter()
        reply = await self._inner.send(service_url, request, trace_id, may_leave)
        self._metrics.sent(request.action, reply, time.perf_counter() - begun)
        return reply


class MeasuredStore:
    """The store, of which every move of a release is taken note of once it is stored."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
        """Return what the store itself has: all but the two methods by which releases move."""
        return getattr(self._store, name)

    async def change(self, release_id: str, decide: Decide[T]) -> T:
        """Do what the store does."""
        noting = _Noting(decide)
        return self._noted(noting, await self._store.change(release_id, noting))

    async def change_by_task(self, task_id: str, decide: Decide[T]) -> T:
        """Do what the store does."""
        noting = _Noting(decide)
        return self._noted(noting, await self._store.change_by_task(task_id, noting))

    def _noted(self, noting: "_Noting[T]", outcome: T) -> T:
        if noting.seen is not None:
            self._metrics.moved(*noting.seen)
        return outcome


class _Noting(Generic[T]):
    """A decision that remembers what it was about: `seen` is the release before and after."""

    def __init__(self, decide: Decide[T]) -> None:
        self._decide = decide
        self.seen: tuple[Release, Release] | None = None

    def __call__(self, snapshot: Snapshot) -> tuple[Change, T]:
        change, outcome = self._decide(snapshot)
        self.seen = (snapshot.release, change.release)
        return change, outcome
