"""Task services over HTTP: one request of the protocol, and what came of it.

One session is kept for all of them, and nothing limits how many requests are on their way at once. Redirects are not
followed (a service that moved must be registered anew, and a redirect could lead anywhere), an answer is read up to a
bound, and whatever goes wrong before an answer is complete is a silence with its reason.

Whether a request may still leave is asked when there is a connection, right before its first byte is written: the way
there may have taken long, and the sender may have been replaced meanwhile.

A deployment with identity sends its token. One that a service does not take (401) is replaced once, and the request
is sent again with the new one: a service that does not know us has done nothing.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from lockstep.coordinator.adapters.addresses import ANY_PRIVATE, AddressGuard
from lockstep.coordinator.adapters.http_client import HttpClient
from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.ports import always
from lockstep.coordinator.tracing import NoSpans, Spans
from lockstep.protocol.messages import Action, Answer, Reply, Request, Silence
from lockstep.protocol.wire import reply_from_http, request_to_json

ANSWER_LIMIT_BYTES: Final = 1_000_000
KEEP_ALIVE_S: Final = 4
"""Shorter than the five seconds after which common servers close an idle connection themselves."""

_CAUSE_CHARS: Final = 300

_UNAUTHORIZED: Final = 401


class TooLate(Exception):
    """A request may not leave any more."""


class Token(Protocol):
    """Gives the bearer token of the coordinator."""

    async def __call__(self, refused: str | None = None) -> str | None:
        """Return a token, another than one that was refused; None where the deployment has none.

        Raises:
            Unavailable: the issuer did not give one.
        """
        ...


async def no_token(refused: str | None = None) -> None:
    """Return no token: the deployment has no identity."""


class HttpTaskServices(HttpClient):
    """The port `TaskServices` over HTTP; an asynchronous context manager that holds the connections.

    Args:
        timeout_s: how long one request may take, from connecting to the end of the answer.
        token: gives the bearer token of the coordinator, or None where a deployment has none.
        callback_token: gives the token with which a service may report on a task; sent when it is initialized.
        guard: which addresses are called.

    Attributes:
        spans: takes note of every request.
    """

    def __init__(
        self,
        timeout_s: float = 15,
        token: Token = no_token,
        callback_token: Callable[[str], str] | None = None,
        guard: AddressGuard = ANY_PRIVATE,
    ) -> None:
        super().__init__(timeout_s, {}, partial(guard.connector, limit=0, keepalive_timeout=KEEP_ALIVE_S))
        self._token = token
        self._callback_token = callback_token
        self.spans: Spans = NoSpans()

    async def send(
        self, service_url: str, request: Request, trace_id: str, may_leave: Callable[[], bool] = always
    ) -> Reply:
        """Send one request and return what came of it."""
        if request.action is Action.INITIALIZE and self._callback_token is not None:
            request = replace(request, callback_token=self._callback_token(request.task_id))
        with self.spans.sending(service_url, request, trace_id) as sending:
            headers = {"Idempotency-Key": f"{request.task_id}:{request.action}", "traceparent": sending.traceparent}
            reply = await self._send(service_url, _Body(request_to_json(request), may_leave), headers)
            sending.came_to("" if isinstance(reply, Answer) else reply.reason)
            return reply

    async def _send(self, service_url: str, content: "_Body", headers: dict[str, str]) -> Reply:
        try:
            token = await self._token()
            status, body, retry_after = await self._post(service_url, content, headers, token)
            if status == _UNAUTHORIZED and token is not None:
                token = await self._token(refused=token)
                status, body, retry_after = await self._post(service_url, content, headers, token)
        except TimeoutError:
            return Silence(f"no answer from {service_url} within {self._timeout_s:g} s")
        except Unavailable as error:
            return Silence(f"there is no token to show to {service_url}: {error}")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Silence(f"{service_url}: {_cause(error)}")
        return reply_from_http(status, body, retry_after)

    async def _post(
        self, service_url: str, content: "_Body", headers: dict[str, str], token: str | None
    ) -> tuple[int, bytes, str | None]:
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        async with self._session.post(
            f"{service_url.rstrip('/')}/tasks", data=content, headers=headers, allow_redirects=False
        ) as response:
            body = await response.content.read(ANSWER_LIMIT_BYTES + 1)
            while len(body) <= ANSWER_LIMIT_BYTES and (more := await response.content.read(ANSWER_LIMIT_BYTES)):
                body += more
            return response.status, body[:ANSWER_LIMIT_BYTES], response.headers.get("Retry-After")


class _Body(aiohttp.JsonPayload):
    """The body of a request, which leaves together with its head, if it still may."""

    def __init__(self, content: object, may_leave: Callable[[], bool]) -> None:
        super().__init__(content)
        self._may_leave = may_leave

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Write it, unless it is too late."""
        if not self._may_leave():
            raise TooLate("the lease ran out before the request could leave")
        await super().write_with_length(writer, content_length)


def _cause(error: Exception) -> str:
    """Return why there was no answer, on one line: what a service sent instead of HTTP can be long and wild."""
    return " ".join(str(error).split())[:_CAUSE_CHARS] or type(error).__name__
