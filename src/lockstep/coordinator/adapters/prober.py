"""Looks at a task service's `/status`, to see whether there is a task service at all.

The address came from a person and may lead anywhere, so the look is a short one: no redirect is followed, only the
beginning of the answer is read, and the time is bounded. What was seen goes into the sentence, for the person to
recognise.
"""

import json
import os
import socket
from collections.abc import Mapping
from functools import partial
from typing import Final

import aiohttp

from lockstep.coordinator.adapters.addresses import ANY_PRIVATE, AddressGuard
from lockstep.coordinator.adapters.http_client import HttpClient
from lockstep.coordinator.core.errors import Unavailable

_ANSWER_LIMIT_BYTES: Final = 64 * 1024
_SHOWN_CHARS: Final = 200
_OK: Final = 200


class HttpProber(HttpClient):
    """Asks over HTTP; an asynchronous context manager that holds the connections.

    Args:
        timeout_s: how long one look may take, from connecting to the end of the answer.
        guard: which addresses are called.
    """

    def __init__(self, timeout_s: float = 15, guard: AddressGuard = ANY_PRIVATE) -> None:
        super().__init__(timeout_s, {"Accept": "application/json"}, partial(guard.connector, force_close=True))

    async def probe(self, url: str) -> None:
        """Check that `GET {url}/status` answers 200 with JSON that has a `name` somewhere in it.

        Raises:
            Unavailable: it does not; the sentence says what was seen.
        """
        address = f"{url}/status"
        try:
            status, body = await self._get(address)
        except TimeoutError as error:
            raise Unavailable(f"could not reach {url}: no answer from {address} in {self._timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unavailable(f"could not reach {url}: {_cause(error)}") from error
        if len(body) > _ANSWER_LIMIT_BYTES:
            seen = f"more than {_ANSWER_LIMIT_BYTES} bytes"
        elif status != _OK:
            seen = f"HTTP {status}, {_shown(body)}"
        elif not _has_name(body):
            seen = f"no JSON with a name in it, {_shown(body)}"
        else:
            return
        raise Unavailable(f"{url} did not return the expected /status response: {seen}")

    async def _get(self, address: str) -> tuple[int, bytes]:
        body = bytearray()
        async with self._session.get(address, allow_redirects=False) as response:
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > _ANSWER_LIMIT_BYTES:
                    response.close()
                    break
            return response.status, bytes(body)


def _cause(error: Exception) -> str:
    """Return why there was no answer, in the operating system's words where it has some."""
    inner = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(inner, OSError) and inner.errno and not isinstance(inner, socket.gaierror):
        return os.strerror(inner.errno)
    return str(getattr(inner, "strerror", None) or str(inner) or type(inner).__name__)


def _has_name(body: bytes) -> bool:
    try:
        values = [json.loads(body)]
    except (ValueError, RecursionError):
        return False
    while values:
        value = values.pop()
        if isinstance(value, Mapping):
            if "name" in value:
                return True
            values.extend(value.values())
        elif isinstance(value, list):
            values.extend(value)
    return False


def _shown(body: bytes) -> str:
    text = " ".join(body.decode("utf-8", "replace").replace("\0", " ").split())
    return repr(text[:_SHOWN_CHARS]) if text else "an empty body"
