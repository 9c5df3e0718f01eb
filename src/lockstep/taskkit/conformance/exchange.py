"""One request to the service under test, and what came of it.

`Speaker` sends and never raises for anything that a service can do: what is wrong with an answer, or with there being
none, is for the scenes to judge. An `Exchange` keeps both sides as they were, since a finding shows them.
"""

import asyncio
import io
import json
import os
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit

import aiohttp

from lockstep import __version__
from lockstep.protocol.messages import Answer, Refusal, Reply, Silence
from lockstep.protocol.states import TaskState
from lockstep.protocol.wire import reply_from_http

_SHOWN_CHARS: Final = 300
_GOOD: Final = range(200, 300)
_REFUSALS: Final = range(300, 500)
_BODY_LIMIT: Final = 1_000_000
_LINGER_S: Final = 0.05
"""How long a connection stays open after a request whose answer is to be lost, so that the service can read it."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer.

    Attributes:
        asked: the request as a finding shows it.
        status: the HTTP status, or None when there was no answer.
        body: the answer's body.
        retry_after: its `Retry-After`.
        elapsed_s: how long it took, in seconds.
        trouble: why there was no answer.
        ran_out: there was none because the time ran out.
    """

    asked: str
    status: int | None = None
    body: bytes = b""
    retry_after: str | None = None
    elapsed_s: float = 0.0
    trouble: str = ""
    ran_out: bool = False

    @property
    def fields(self) -> Mapping[str, Any] | None:
        """The body's JSON object, or None when it is none."""
        try:
            decoded = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return decoded if isinstance(decoded, Mapping) else None

    @property
    def reply(self) -> Reply:
        """What the coordinator would make of it."""
        if self.status is None:
            return Silence(self.trouble)
        return reply_from_http(self.status, self.body, self.retry_after)

    @property
    def state(self) -> TaskState | None:
        """The state that it names, as the coordinator understands it."""
        reply = self.reply
        return reply.state if isinstance(reply, Answer) else None

    @property
    def epoch(self) -> int | None:
        """The epoch that it names."""
        reply = self.reply
        return reply.epoch if isinstance(reply, Answer | Refusal) else None

    @property
    def is_broken(self) -> bool:
        """Whether the service failed to answer, or to do so with sense."""
        if self.status is None:
            return True
        return self.status >= 500 and not isinstance(self.reply, Silence)  # noqa: PLR2004 - HTTP's own border

    @property
    def is_refused(self) -> bool:
        """Whether the service said no, in so many words."""
        return isinstance(self.reply, Refusal) and self.status in _REFUSALS

    @property
    def is_unclear(self) -> bool:
        """Whether it looks like a yes that a coordinator cannot understand: another 2xx, or a word that is no state."""
        return isinstance(self.reply, Refusal) and self.status in _GOOD

    @property
    def answered(self) -> str:
        """The answer as a finding shows it."""
        if self.status is None:
            return f"no answer ({self.trouble})"
        text = shown(self.body)
        return f"HTTP {self.status}{' ' + text if text else ', without a body'} after {1000 * self.elapsed_s:.0f} ms"


def _cause(error: Exception) -> str:
    """Return why there was no answer, in the operating system's words where it has some."""
    inner = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(inner, OSError) and inner.errno:
        return (os.strerror(inner.errno) if inner.errno > 0 else str(inner.strerror)).lower()
    return " ".join(str(inner).split())[:_SHOWN_CHARS] or type(error).__name__


def shown(body: bytes) -> str:
    """Return a body on one line, and not too long."""
    text = " ".join(body[: 4 * _SHOWN_CHARS].decode("utf-8", "backslashreplace").split())
    text = "".join(letter if letter.isprintable() else "·" for letter in text)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


class Speaker:
    """Sends requests to the service at `url`; an asynchronous context manager that holds the connections.

    Args:
        url: the address of the service, without `/tasks`.
        token: the bearer token that requests carry, if any.
        timeout_s: how long an answer may take, in seconds.
    """

    def __init__(self, url: str, token: str | None, timeout_s: float) -> None:
        self.url = url.rstrip("/")
        self.token = token
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            headers={"User-Agent": f"Lockstep/{__version__} (check)"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    def identity(self) -> dict[str, str]:
        """Return the header that says who asks, if anybody in particular."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    async def send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Exchange:
        """Send a request and return what came of it."""
        if self._session is None:
            raise RuntimeError("the connections to the service are not open")
        asked = f"{method} {path}{' ' + shown(body) if body else ''}"
        begun = time.monotonic()
        try:
            async with self._session.request(
                method,
                f"{self.url}{path}",
                data=None if body is None else io.BytesIO(body),
                headers=headers,
                allow_redirects=False,
            ) as response:
                content = await response.content.read(_BODY_LIMIT)
                while len(content) < _BODY_LIMIT and (more := await response.content.read(_BODY_LIMIT)):
                    content += more
                elapsed_s = time.monotonic() - begun
                return Exchange(asked, response.status, content, response.headers.get("Retry-After"), elapsed_s)
        except TimeoutError:
            trouble = f"none within {self._timeout_s:g} s"
            return Exchange(asked, elapsed_s=time.monotonic() - begun, trouble=trouble, ran_out=True)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Exchange(asked, elapsed_s=time.monotonic() - begun, trouble=_cause(error))

    async def send_and_hang_up(self, path: str, body: bytes, headers: Mapping[str, str]) -> Exchange:
        """Send a `POST` and close the connection before its answer can be read, as a network that breaks would."""
        parts = urlsplit(self.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        lines = {"Host": parts.netloc, "Content-Type": "application/json", "Content-Length": len(body), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        request = f"POST {parts.path}{path} HTTP/1.1\r\n{head}\r\n".encode() + body
        asked = f"POST {path} {shown(body)}"
        try:
            context = ssl.create_default_context() if parts.scheme == "https" else None
            _, writer = await asyncio.open_connection(parts.hostname, port, ssl=context)
            writer.write(request)
            await writer.drain()
            await asyncio.sleep(_LINGER_S)
            writer.transport.abort()
        except OSError as error:
            return Exchange(asked, trouble=str(error))
        return Exchange(asked, trouble="lost on purpose")
