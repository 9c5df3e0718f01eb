"""The coordinator as a task service sees it: the few requests that it answers.

A task service can live without any: states that nobody reported are found by polling. So nothing here waits for
ever, and what went wrong comes back as a reply or as `CoordinatorError`, to be acted on by whoever asked.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from lockstep import __version__
from lockstep.protocol.states import Decision

Token = str | Callable[[], str]
"""A bearer token, or a function that brings a fresh one and may take its time."""

REQUEST_TIMEOUT_S: Final = 10.0
_RELEASE_PAUSES_S: Final = (0.5, 1.0, 2.0)
_LONGEST_PAUSE_S: Final = 300.0
_OK: Final = 200
_REFUSED: Final = range(300, 500)
_TOO_MANY: Final = 429


class CoordinatorError(Exception):
    """The coordinator could not be asked, or did not say what was asked for; the text says which."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the HTTP status, or None for no answer, and the sentence for the log.

    `retry_after_s` is how long the coordinator wants to be left alone, in seconds.
    """

    status: int | None
    reason: str
    body: bytes = b""
    retry_after_s: float = 0.0

    @property
    def is_refusal(self) -> bool:
        """Whether it was understood and declined, so that asking again is of no use."""
        return self.status in _REFUSED and self.status != _TOO_MANY

    @property
    def is_success(self) -> bool:
        """Whether it was accepted."""
        return self.status is not None and self.status < _REFUSED.start


class Coordinator:
    """The coordinator at `url`, spoken to with a bearer `token`, or the one that it gave for a task, if there is one.

    `callback_token` finds the latter, and may take its time.

    Raises:
        ValueError: the address is none.
    """

    def __init__(
        self, url: str, token: Token | None = None, callback_token: Callable[[str], str | None] | None = None
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("the coordinator's address must be of the form http://host:port")
        self._url = url.rstrip("/")
        self._token = token
        self._callback_token = callback_token

    async def patch_task(
        self, session: aiohttp.ClientSession, task_id: str, state: str, progress: int, findings: Mapping[str, Any]
    ) -> Reply:
        """Tell the state and progress of a task, and what else there is to say about it."""
        body = {"state": state, "progress": progress, **findings}
        return await self._ask(session, "PATCH", f"tasks/{task_id}", body, task_id=task_id)

    async def add_event(self, session: aiohttp.ClientSession, event: dict[str, Any], key: str) -> Reply:
        """Add an event; `key` tells a coordinator that knows such keys that it has the event already."""
        return await self._ask(session, "POST", "events", event, key=key)

    async def release(self, release_id: str, task_id: str | None = None) -> dict[str, Any]:
        """Return a release as the coordinator shows it; without an answer, ask a few times more.

        To a service without a token of its own it is shown, if at all, for the sake of one of its tasks.

        Raises:
            CoordinatorError: there was no answer, a refusal, or an answer that is no release.
        """
        async with aiohttp.ClientSession() as session:
            reply = await self._ask(session, "GET", f"releases/{release_id}", task_id=task_id)
            for pause_s in _RELEASE_PAUSES_S:
                if reply.is_success or reply.is_refusal:
                    break
                await asyncio.sleep(max(pause_s, reply.retry_after_s))
                reply = await self._ask(session, "GET", f"releases/{release_id}", task_id=task_id)
        if reply.status != _OK:
            raise CoordinatorError(f"the coordinator did not show release {release_id}: {reply.reason}")
        try:
            release = json.loads(reply.body)
        except (ValueError, RecursionError):
            release = None
        if not isinstance(release, dict):
            raise CoordinatorError(f"the coordinator's answer about release {release_id} is not a JSON object")
        return release

    async def decision(self, release_id: str, task_id: str) -> Decision | None:
        """Return what was decided about the release of a task, None without an answer.

        Raises:
            CoordinatorError: there was a refusal, or an answer that names no decision.
        """
        async with aiohttp.ClientSession() as session:
            reply = await self._ask(session, "GET", f"releases/{release_id}/decision", task_id=task_id)
        if reply.status != _OK:
            if reply.is_refusal:
                raise CoordinatorError(f"nothing was said of what was decided about {release_id}: {reply.reason}")
            return None
        try:
            return Decision(json.loads(reply.body)["decision"])
        except (ValueError, LookupError, TypeError, RecursionError):
            raise CoordinatorError(f"the coordinator's answer about {release_id} names no decision") from None

    async def _ask(
        self,
        session: aiohttp.ClientSession,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        key: str | None = None,
        task_id: str | None = None,
    ) -> Reply:
        try:
            headers = await self._headers(task_id)
        except Exception as error:  # noqa: BLE001 - the token is brought by a function that we do not know
            return Reply(None, f"no token could be had ({type(error).__name__})")
        if key is not None:
            headers["Idempotency-Key"] = key
        url, timeout = f"{self._url}/{path}", aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        try:
            async with session.request(
                method, url, json=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                content = await response.read()
                pause_s = _pause_s(response.headers.get("Retry-After", ""))
                return Reply(response.status, f"HTTP {response.status}", content, pause_s)
        except TimeoutError:
            return Reply(None, f"no answer within {REQUEST_TIMEOUT_S:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Reply(None, f"no answer ({type(error).__name__})")

    async def _headers(self, task_id: str | None) -> dict[str, str]:
        headers = {"User-Agent": f"Lockstep-TaskKit/{__version__}", "Accept": "application/json"}
        if self._token is not None:
            token = self._token if isinstance(self._token, str) else await asyncio.to_thread(self._token)
            headers["Authorization"] = f"Bearer {token}"
        elif task_id is not None and self._callback_token is not None:
            given = await asyncio.to_thread(self._callback_token, task_id)
            headers |= {"Authorization": f"Bearer {given}"} if given else {}
        return headers


def _pause_s(header: str) -> float:
    """Return the seconds of a `Retry-After`, within reason; the form with a date, and nonsense, count as no wish."""
    text = header.strip()
    return min(_LONGEST_PAUSE_S, float(text[:9])) if text.isascii() and text.isdigit() else 0.0
