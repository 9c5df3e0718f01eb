"""Slows callers down who change things too quickly: a bucket of tokens for each, in this process's memory.

A caller is the person or the machine that was recognised, the task of a callback token, or else the address that the
request comes from. Reading is not limited, and nothing is remembered of callers who have been quiet for a while.

Most requests show by their method whether they change something. One that is answered at `GRAPHQL` shows it in its
query only; whoever has read that says so with `changes_something`.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from lockstep.coordinator.core.callers import Caller, Kind
from lockstep.coordinator.metrics import Metrics
from lockstep.coordinator.web.refusals import refusal

BURST_S: Final = 20
"""A bucket holds the tokens of so many seconds: a busy moment of a large release passes."""

MOST_CALLERS: Final = 10_000
"""Callers that are remembered; beyond, those who were quiet longest are forgotten: they begin with a full bucket."""

GRAPHQL: Final = "/graphql"
"""Where requests are answered that change something or not, whatever their method."""

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class TooManyChanges(Exception):
    """A caller changes things too quickly; the text is for them.

    Attributes:
        headers: what the answer tells of when to come again.
    """

    def __init__(self, rate: float, wait_s: float) -> None:
        super().__init__(f"These are too many changes at once; {rate:g} each second are taken in the long run.")
        self.headers = {"Retry-After": str(math.ceil(wait_s))}


class Buckets:
    """A bucket of tokens for each caller; each request takes one, and `rate` come back every second."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._most = rate * BURST_S
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> float:
        """Take a token; return 0 if there was one, and otherwise how long until there is, in seconds."""
        now = self._clock()
        left, at = self._left.pop(caller, (self._most, now))
        left = min(self._most, left + (now - at) * self._rate)
        wait_s = 0.0 if left >= 1 else (1 - left) / self._rate
        self._left[caller] = (left if wait_s else left - 1, now)
        if len(self._left) > MOST_CALLERS:
            self._left.popitem(last=False)
        return wait_s


class RateLimit:
    """Middleware, inside of the one that recognises callers; a rate of 0 limits nothing."""

    def __init__(self, app: ASGIApp, rate: float, metrics: Metrics) -> None:
        self._app = app
        self._buckets = Buckets(rate) if rate else None
        self._rate = rate
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or ask its caller to wait."""
        if scope["type"] == "http":
            scope["state"].update(changes=False, take=self._take)
            try:
                if scope["method"] not in _SAFE and scope["path"] != GRAPHQL:
                    changes_something(Request(scope))
            except TooManyChanges as error:
                await refusal(str(error), 429, error.headers)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _take(self, scope: Scope) -> None:
        wait_s = self._buckets.take(_name(scope)) if self._buckets else 0
        if wait_s:
            self._metrics.limited()
            raise TooManyChanges(self._rate, wait_s)


def changes_something(request: Request) -> None:
    """Count a request among those that change something.

    Raises:
        TooManyChanges: its caller has to wait.
    """
    request.state.changes = True
    request.state.take(request.scope)


def _name(scope: Scope) -> str:
    caller: Caller = scope["state"]["caller"]
    if caller.kind is Kind.TASK:
        return f"task:{caller.task_id}"
    if caller.kind in {Kind.PERSON, Kind.SERVICE}:
        return f"{caller.kind}:{caller.subject or caller.name}"
    return f"address:{(scope.get('client') or ('',))[0]}"
