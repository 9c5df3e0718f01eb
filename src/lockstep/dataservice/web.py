"""GET requests with a limit on everything: seconds per answer, bytes per answer, requests at the same time.

The client of the data service asks by it, and the reports ask FHIR servers by it. It knows no format and asks once.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import aiohttp

from lockstep import __version__
from lockstep.dataservice.patience import Unanswered

TIMEOUT_S: Final = 15.0
"""How long one answer may take. The real data service counts large lists within a few seconds."""

CONNECTIONS: Final = 16
"""Requests at the same time: quick for the reader, and bearable for a service that others use too."""

ANSWER_LIMIT_BYTES: Final = 16 * 1024 * 1024
"""The longest answer that is read. A page of 1000 full rows is about a tenth of it."""


class Silence(Unanswered):
    """Nobody could be reached, the connection broke off, or it took too long."""

    def __init__(self, fault: str) -> None:
        super().__init__(fault, fault)


class TooMuch(Silence):
    """The answer is longer than anybody wants to read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Web:
    """Use it as `async with Web(…) as web`.

    Args:
        headers: sent with every request.
        timeout_s: seconds that one answer may take.
        connections: requests that may be under way at the same time.
        answer_limit_bytes: the longest answer that is read.
    """

    def __init__(
        self,
        headers: Mapping[str, str],
        *,
        timeout_s: float = TIMEOUT_S,
        connections: int = CONNECTIONS,
        answer_limit_bytes: int = ANSWER_LIMIT_BYTES,
    ) -> None:
        self._headers = {"User-Agent": f"Lockstep/{__version__}", **headers}
        self._timeout_s = timeout_s
        self._connections = connections
        self._answer_limit_bytes = answer_limit_bytes
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections),
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            headers=self._headers,
        )
        # Waiting for a free connection is our own doing: it happens here, outside the service's time-out.
        self._free = asyncio.Semaphore(self._connections)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, url: str) -> Answer:
        """Return what an address answers, whatever its status; redirects are answers too.

        Raises:
            Silence: there was no answer.
            TooMuch: there was too long a one.
        """
        if self._session is None:
            raise RuntimeError("this is not open; use it in `async with`")
        async with self._free:
            try:
                async with self._session.get(url, allow_redirects=False) as response:
                    return Answer(response.status, response.headers, await self._body(response))
            except TimeoutError as error:
                raise Silence(f"did not answer within {self._timeout_s:g} s") from error
            except (aiohttp.ClientError, OSError) as error:
                raise Silence(f"did not answer: {_cause(error)}") from error

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > self._answer_limit_bytes:
                raise TooMuch(f"sent more than {self._answer_limit_bytes} bytes")
        return bytes(body)


def _cause(error: Exception) -> str:
    """Return why there was no answer, in the system's words where it has any, and without addresses."""
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number is not None and number > 0 else type(error).__name__
