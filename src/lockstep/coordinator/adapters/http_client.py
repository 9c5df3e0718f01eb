"""What all who call others over HTTP have in common: one session, kept for as long as the coordinator runs.

Every call says who calls, takes a bounded time, and carries no cookie from one to the next: those that are called
share nothing through us.
"""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self

import aiohttp

from lockstep import __version__

USER_AGENT: Final = f"Lockstep/{__version__}"


class HttpClient:
    """Calls others over HTTP; an asynchronous context manager that holds the connections.

    Args:
        timeout_s: how long one call may take, from connecting to the end of the answer.
        headers: what every call says besides who calls.
        connector: makes what connects, once it is opened; aiohttp's own if not given.
    """

    def __init__(
        self,
        timeout_s: float,
        headers: Mapping[str, str],
        connector: Callable[[], aiohttp.TCPConnector] = aiohttp.TCPConnector,
    ) -> None:
        self._timeout_s = timeout_s
        self._headers = {"User-Agent": USER_AGENT, **headers}
        self._connector = connector
        self._opened: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._opened = aiohttp.ClientSession(
            connector=self._connector(),
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opened is not None:
            await self._opened.close()

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            raise RuntimeError(f"{type(self).__name__} is not open: enter it with `async with` before it is used")
        return self._opened
