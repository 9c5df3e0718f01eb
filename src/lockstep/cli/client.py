"""The client of the API: what the commands and the demo ask the coordinator, and what its refusals mean for them.

One place turns whatever can go wrong on the way (nobody there, no answer, an answer that is no coordinator's, a
refusal) into an `Ending` with a sentence and an exit code. Nothing is asked twice in here: whether an action may be
repeated is for the person to judge who asked for it.
"""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlsplit

import httpx

from lockstep import __version__
from lockstep.cli.endings import Ending, Refused, Unreachable, WrongUse
from lockstep.cli.tokens import TOKEN_VARIABLE

ANSWER_TIMEOUT_S: Final = 60.0
"""How long an answer may take: a sync of the studies waits for the data service, and a registration for the service."""

SILENCE_LIMIT_S: Final = 40.0
"""A stream that says nothing for so long is taken to be broken: it says every 15 seconds that it lives."""

MOST_ROWS: Final = 100
"""Rows in one page, the most that the API gives."""

ENTITY: Final = "kf_id"
"""The field by which an answer is known to be about one thing."""

LIST: Final = "count"
"""The field by which an answer is known to be a page of a list."""

COORDINATOR: Final = "coordinator"
_HINTS: Final = {
    COORDINATOR: " Start one with `lockstep serve`, or name another with --server or LOCKSTEP_SERVER.",
}
_WHY: Final = re.compile(r'error_description="([^"]*)"')
_ERRNO: Final = re.compile(r"^\[Errno -?\d+\] ")
_NO_CONTENT: Final = 204
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_SERVER_ERROR: Final = 500

Json = dict[str, Any]


class Api:
    """An API at an address, the coordinator's if nothing else is said. Use it as `async with Api(url) as coordinator`.

    Args:
        url: where it is.
        kind: what answers there, for sentences about it.
        timeout_s: how long an answer may take, in seconds.
        token: shows who asks, to a coordinator that wants to know.

    Raises:
        WrongUse: the address is none, or the token is.
    """

    def __init__(
        self, url: str, *, kind: str = COORDINATOR, timeout_s: float = ANSWER_TIMEOUT_S, token: str = ""
    ) -> None:
        self.url = _checked(url, kind)
        self.tag = ""
        """The tag of the last answer, by which a change is made to just what was seen; empty when it had none."""
        self.refusal = ""
        """Why the last answer did not take the token; empty when it did, or there was none."""
        self._kind = kind
        self._token = _checked_token(token)
        is_here = _is_loopback(self.url)
        self._web = httpx.AsyncClient(
            base_url=self.url,
            # Reading the certificates of all authorities takes 50 ms; HTTP to this machine, without proxies, has none.
            verify=not (is_here and self.url.startswith("http://")),
            timeout=httpx.Timeout(timeout_s, connect=10),
            headers={
                "User-Agent": f"lockstep/{__version__}",
                "Accept": "application/json",
                **({"Authorization": f"Bearer {self._token}"} if self._token else {}),
            },
            trust_env=not is_here,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._web.aclose()

    async def get(self, path: str, *, what: str = "", mark: str = ENTITY, **parameters: str) -> Json:
        """Return what is at a path; `what` names it in the sentence that says that it is not there.

        `mark` is a field that the answer must have: one without it comes from something else.

        Raises:
            Ending: it could not be had.
        """
        return await self._ask("GET", path, what, mark, params=parameters)

    async def text(self, path: str, kind: str, *, what: str = "", **parameters: str) -> str:
        """Return what is at a path as a text of some media type, in place of JSON.

        Raises:
            Ending: it could not be had.
        """
        answer = await self._answer("GET", path, params=parameters, headers={"Accept": kind})
        if not answer.is_success:
            raise Refused(self._refusal(answer, what))
        if not answer.headers.get("content-type", "").startswith(kind):
            raise self._stranger(answer)
        return answer.text

    async def post(
        self,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        what: str = "",
        mark: str = ENTITY,
        key: str = "",
    ) -> Json:
        """Post a body, and return the answer; what is not said here is as in `get`.

        Args:
            path: where to.
            body: what is sent.
            what: names what is at the path.
            mark: a field that the answer must have.
            key: with the same one, the coordinator does the same thing once only.

        Raises:
            Ending: it was refused, or no answer came.
        """
        return await self._ask("POST", path, what, mark, json=body, headers={"Idempotency-Key": key} if key else {})

    async def patch(self, path: str, body: Mapping[str, Any], *, what: str = "", seen: str = "") -> Json:
        """Change some fields of what is at a path, and return it.

        Args:
            path: where it is.
            body: the fields.
            what: names what is there.
            seen: the tag of what was seen; if it has changed since, it is left alone.

        Raises:
            Ending: it was refused, or no answer came.
        """
        return await self._ask("PATCH", path, what, ENTITY, json=body, headers={"If-Match": seen} if seen else {})

    async def delete(self, path: str, *, what: str = "") -> Json:
        """Delete what is at a path, and return the answer; empty when there is none.

        Raises:
            Ending: it was refused, or no answer came.
        """
        return await self._ask("DELETE", path, what, ENTITY)

    async def rows(self, path: str, *, most: int | None, **filters: str) -> Json:
        """Return a list as one page of the API: `count`, `next`, `previous`, `results`.

        Args:
            path: the collection.
            most: how many rows at the most; None for all. More than a page holds are fetched page by page.
            filters: the API's own filters; empty ones filter nothing.

        Raises:
            Ending: a page could not be had.
        """
        size = MOST_ROWS if most is None else min(most, MOST_ROWS)
        wanted = {name: value for name, value in filters.items() if value}
        page = await self.get(path, mark=LIST, limit=str(size), **wanted)
        rows, link = {_key(row): row for row in page["results"]}, page["next"]
        while link and page["results"] and (most is None or len(rows) < most):
            size = MOST_ROWS if most is None else min(most - len(rows), MOST_ROWS)
            asked = {**dict(parse_qsl(urlsplit(link).query)), "limit": str(size)}
            page = await self.get(path, mark=LIST, **asked)
            rows.update({_key(row): row for row in page["results"]})
            link = page["next"]
        listed = list(rows.values())[:most]
        return {**page, "next": link if len(listed) < page["count"] else None, "previous": None, "results": listed}

    @asynccontextmanager
    async def lines(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[AsyncIterator[str] | None]:
        """Open a stream of lines; None when it has ended and nothing is left in it.

        Raises:
            Refused: the coordinator does not give it; a fault of its own counts as `Unreachable`.
            Unreachable: there is no connection, or it broke.
        """
        timeout = httpx.Timeout(SILENCE_LIMIT_S, connect=10)
        request = self._web.build_request(
            "GET", path, headers={**headers, "Accept": "text/event-stream"}, timeout=timeout
        )
        try:
            answer = await self._web.send(request, stream=True)
            try:
                if answer.is_error:
                    await answer.aread()
                    kind = Unreachable if answer.status_code >= _SERVER_ERROR else Refused
                    raise kind(self._refusal(answer, ""))
                yield None if answer.status_code == _NO_CONTENT else answer.aiter_lines()
            finally:
                await answer.aclose()
        except httpx.HTTPError as error:
            raise self._no_answer(error) from error

    async def _ask(self, method: str, path: str, what: str, mark: str, **options: Any) -> Json:  # noqa: ANN401 - httpx's own
        answer = await self._answer(method, path, **options)
        if answer.status_code == _NO_CONTENT:
            return {}
        body = self._object(answer)
        if not answer.is_success:
            raise Refused(self._refusal(answer, what))
        if mark not in body:
            raise self._stranger(answer)
        self.tag, self.refusal = answer.headers.get("etag", ""), _why_no_token(answer)
        return body

    async def _answer(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        try:
            return await self._web.request(method, path, **options)
        except httpx.HTTPError as error:
            raise self._no_answer(error) from error

    def _object(self, answer: httpx.Response) -> Json:
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise self._stranger(answer)
        return body

    def _stranger(self, answer: httpx.Response) -> Unreachable:
        seen = f"HTTP {answer.status_code}, {answer.headers.get('content-type', 'without a type')}"
        if answer.is_redirect:
            seen = f"it points to {answer.headers.get('location', 'another place')}"
        return Unreachable(
            f"What answers at {self.url} is no Lockstep {self._kind} ({seen}).{_HINTS.get(self._kind, '')}"
        )

    def _refusal(self, answer: httpx.Response, what: str) -> str:
        if answer.status_code == _NOT_FOUND and what:
            return f"There is no {what} at {self.url}."
        said = sentence(self._object(answer)) or f"The {self._kind} answered HTTP {answer.status_code}."
        if answer.status_code != _FORBIDDEN or self._kind != COORDINATOR:
            return said
        if not self._token:
            return f"{said.rstrip('.')}. Sign in with `lockstep login`, or show a token in {TOKEN_VARIABLE}."
        reason = _why_no_token(answer)
        return f"{said.rstrip('.')}. Your token is not taken: {reason}" if reason else said

    def _no_answer(self, error: httpx.HTTPError) -> Ending:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return Unreachable(
                f"No {self._kind} can be reached at {self.url} ({_cause(error)}).{_HINTS.get(self._kind, '')}"
            )
        return Unreachable(
            f"The {self._kind} at {self.url} did not answer ({_cause(error)}). "
            "Whether it has done what was asked is not known; look before you ask again."
        )


def sentence(body: Json) -> str:
    """Return what the body of a refusal says, as one line: a sentence, or the sentences about each field."""
    for name in ("detail", "message"):
        if isinstance(body.get(name), str):
            return str(body[name])
    return " ".join(f"{name}: {_joined(texts)}" for name, texts in body.items())


def _why_no_token(answer: httpx.Response) -> str:
    reason = _WHY.search(answer.headers.get("www-authenticate", ""))
    return reason[1] if reason else ""


def _key(row: Json) -> str:
    """Return what a row is known by; a delivery has no id of its own, and is known by its event's."""
    return str(row.get("kf_id") or row["event"])


def _joined(texts: object) -> str:
    if isinstance(texts, Mapping):
        return " ".join(f"[{index}] {_joined(inner)}" for index, inner in texts.items())
    return " ".join(map(str, texts)) if isinstance(texts, list) else str(texts)


def _cause(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return _ERRNO.sub("", str(error)).lower() or type(error).__name__


def _checked_token(given: str) -> str:
    token = given.strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise WrongUse(f"{TOKEN_VARIABLE} is no token: it has spaces or other characters in it that no token has.")
    return token


def _checked(url: str, kind: str) -> str:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not url.isprintable() or any(mark in url for mark in " ?#@"):
        raise WrongUse(f"{url!r} is not the address of a {kind}; http://127.0.0.1:5000 would be one.")
    return url.rstrip("/")


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
