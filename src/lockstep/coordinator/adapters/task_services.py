"""Task services over HTTP: one request of the protocol, and what came of it.

One session is kept for all of them, and nothing limits how many requests are on their way at once. Redirects are not
followed (a service that moved must be registered anew, and a redirect could lead anywhere), an answer is read up to a
bound, and whatever goes wrong before an answer is complete is a silence with its reason.
"""

import secrets
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Self

import aiohttp

from lockstep import __version__
from lockstep.protocol.messages import Reply, Request, Silence
from lockstep.protocol.wire import reply_from_http, request_to_json

USER_AGENT: Final = f"Lockstep/{__version__}"
ANSWER_LIMIT_BYTES: Final = 1_000_000
KEEP_ALIVE_S: Final = 4
"""Shorter than the five seconds after which common servers close an idle connection themselves."""

_CAUSE_CHARS: Final = 300

Token = Callable[[], Awaitable[str | None]]


async def no_token() -> None:
    """Return no token: the deployment has no identity."""


class HttpTaskServices:
    """The port `TaskServices` over HTTP; an asynchronous context manager that holds the connections.

    Args:
        timeout_s: how long one request may take, from connecting to the end of the answer.
        token: gives the bearer token of the coordinator, or None where a deployment has none.
    """

    def __init__(self, timeout_s: float = 15, token: Token = no_token) -> None:
        self._timeout_s = timeout_s
        self._token = token
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            headers={"User-Agent": USER_AGENT},
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, service_url: str, request: Request, trace_id: str) -> Reply:
        """Send one request and return what came of it."""
        if self._session is None:
            raise RuntimeError("the connections to task services are not open")
        headers = {
            "Idempotency-Key": f"{request.task_id}:{request.action}",
            "traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01",
        }
        if token := await self._token():
            headers["Authorization"] = f"Bearer {token}"
        url = f"{service_url.rstrip('/')}/tasks"
        try:
            async with self._session.post(
                url, json=request_to_json(request), headers=headers, allow_redirects=False
            ) as response:
                body = await response.content.read(ANSWER_LIMIT_BYTES + 1)
                while len(body) <= ANSWER_LIMIT_BYTES and (more := await response.content.read(ANSWER_LIMIT_BYTES)):
                    body += more
        except TimeoutError:
            return Silence(f"no answer from {service_url} within {self._timeout_s:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Silence(f"{service_url}: {_cause(error)}")
        return reply_from_http(response.status, body[:ANSWER_LIMIT_BYTES], response.headers.get("Retry-After"))


def _cause(error: Exception) -> str:
    """Return why there was no answer, on one line: what a service sent instead of HTTP can be long and wild."""
    return " ".join(str(error).split())[:_CAUSE_CHARS] or type(error).__name__
