"""Reads a coordinator of the Kids First family over its REST API, and changes nothing there.

Its lists come newest first and are paged by offset, so that a page shifts under whoever reads while something is added
or removed. They are read from their far end: counted from the oldest record, places change only when an older one is
removed, which shows when the page does not overlap with the one before. Records that were made at the same moment may
stand now on one page and now on another; each is given out once, and a list of which some were not seen is read again.

A server that is busy is asked again, more and more patiently, and not sooner than it asks for. A token goes to the one
address that was given and nowhere else.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit
from uuid import UUID

import httpx

from lockstep import __version__
from lockstep.coordinator.adapters.kids_first_records import ID, Row, piece_of
from lockstep.coordinator.core.history import History, Kind, NoSource, Piece, Remark, SourceAway

_PATHS: Final = {
    Kind.STUDY: "studies",
    Kind.SERVICE: "task-services",
    Kind.RELEASE: "releases",
    Kind.EVENT: "events",
}
_ROWS: Final = {Kind.RELEASE: 20}
_ROWS_ELSE: Final = 95
"""New rows in a page: releases come with all of their tasks, and a thousand tasks each are not unheard of."""

_OVERLAP: Final = 5
"""Rows of a page that are asked for with the next one again, to see that nothing has shifted; and beyond the last one,
for what is added meanwhile. With them a page has a hundred, the most that a Lockstep gives."""

_LOST: Final = 100
"""How often a page that has nothing to do with the one before makes us go back."""

_ROUNDS: Final = 5
"""How often a list is read through before what its pages never showed is given up."""

_SHIFTS: Final = 1000
"""How often a list may shift under us before we say that it is no list."""

_TO_BEGIN_WITH: Final = 3
"""How often it is asked whether it is there at all, by somebody who may have mistyped the address."""

_COLLECTIONS: Final = ("tasks", "task-services", "releases", "release-notes", "events", "studies")
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
_MAY_NOT: Final = frozenset({401, 403})
_OK: Final = 200
_LONGEST_PAUSE_S: Final = 60.0


class KidsFirst:
    """A coordinator at an address. Use it as `async with KidsFirst(url) as source`.

    Args:
        url: where it is, such as `https://coordinator.example.org`.
        token: what is shown to it; empty for nothing.
        timeout_s: how long one answer may take, in seconds.
        attempts: how often it is asked in all, when it gives no answer that can be used.
        pause_s: the first pause between two of those, in seconds; each further one is twice as long.

    Raises:
        NoSource: the address is none.
    """

    def __init__(
        self, url: str, token: str = "", *, timeout_s: float = 60.0, attempts: int = 7, pause_s: float = 1.0
    ) -> None:
        if not _is_address(url):
            raise NoSource(f"{url!r} is no address of a coordinator; https://coordinator.example.org would be one.")
        self.url = url.rstrip("/")
        self._attempts = attempts
        self._pause_s = pause_s
        self._tells_uuids = True
        self._web = httpx.AsyncClient(
            timeout=timeout_s,
            headers={
                "User-Agent": f"lockstep/{__version__}",
                "Accept": "application/json",
                **({"Authorization": f"Bearer {token}"} if token else {}),
            },
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._web.aclose()

    async def check(self) -> None:
        """Let a coordinator pass.

        Raises:
            NoSource: something else is there.
            SourceAway: nothing answers.
        """
        root = await self._ask("GET", "/", attempts=_TO_BEGIN_WITH)
        if missing := [name for name in _COLLECTIONS if not isinstance(root, dict) or name not in root]:
            raise NoSource(f"{self.url} is no coordinator of Kids First: its root does not list {', '.join(missing)}.")

    async def read(self, kind: Kind) -> AsyncIterator[Piece]:
        """Yield all records of a kind, the oldest first and none twice."""
        seen: set[str] = set()
        total = 0
        for _ in range(_ROUNDS):
            async for rows, total in self._walk(_PATHS[kind], _ROWS.get(kind, _ROWS_ELSE)):
                fresh = [row for row in rows if str(row.get(ID)) not in seen]
                seen.update(str(row.get(ID)) for row in fresh)
                if fresh:
                    piece = piece_of(kind, fresh, total)
                    yield replace(piece, history=await self._with_uuids(piece.history))
            if len(seen) >= total:
                return
        hidden = Remark(kind, "never shown", "was counted, and was on none of its pages; run the import again")
        yield Piece(total, History(), [hidden] * (total - len(seen)))

    async def _walk(self, path: str, size: int) -> AsyncIterator[tuple[list[Row], int]]:
        """Yield the pages of a list from its far end, each from its oldest row on, with the count of all rows."""
        _, total = await self._page(path, 1, 0)
        done, last, lost = 0, list[str](), 0
        for _ in range(_SHIFTS + 2 * total):
            if done >= total:
                return
            begin = max(0, done - _OVERLAP)
            offset = max(0, total - begin - size)
            limit = total - begin - offset + _OVERLAP
            rows, total = await self._page(path, limit, offset)
            if len(rows) < min(limit, total - offset):
                size = max(1, len(rows) - _OVERLAP)
                continue
            if total - offset - len(rows) > done:
                continue
            ids = [str(row.get(ID)) for row in rows]
            if last and not set(last) & set(ids) and lost < _LOST:
                done, last, lost = max(0, begin - size), [], lost + 1
                continue
            yield rows[::-1], total
            done, last = total - offset, ids[:_OVERLAP]
        raise SourceAway(f"{self.url}/{path} changes faster than it can be read; try again when less is written there.")

    async def _page(self, path: str, limit: int, offset: int) -> tuple[list[Row], int]:
        page = await self._ask("GET", f"/{path}", params={"limit": limit, "offset": offset})
        rows, count = (page.get("results"), page.get("count")) if isinstance(page, dict) else (None, None)
        if not isinstance(rows, list) or not isinstance(count, int) or not all(isinstance(row, dict) for row in rows):
            raise NoSource(f"{self.url}/{path} answered no page of a list (`count` and `results`).")
        return rows, count

    async def _ask(self, method: str, path: str, attempts: int = 0, **request: Any) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON that an address answers with."""
        pause_s, problem, attempts = self._pause_s, "", attempts or self._attempts
        for attempt in range(attempts):
            if attempt:
                await asyncio.sleep(pause_s)
            try:
                answer = await self._web.request(method, self.url + path, **request)
            except httpx.RequestError as error:
                problem, asked_s = str(error) or type(error).__name__, 0.0
            else:
                if answer.status_code not in _AGAIN:
                    return self._json(answer)
                problem, asked_s = f"it answered {answer.status_code}", _seconds(answer.headers.get("Retry-After", ""))
            pause_s = min(max(self._pause_s * 2**attempt, asked_s), _LONGEST_PAUSE_S)
        raise SourceAway(f"{self.url}{path} gave no answer in {attempts} attempts ({problem}).")

    def _json(self, answer: httpx.Response) -> Any:  # noqa: ANN401
        where, status = str(answer.url.copy_with(query=None)), answer.status_code
        if status in _MAY_NOT:
            raise NoSource(f"{where} does not let us read (status {status}); give a token that may.")
        if answer.is_redirect:
            raise NoSource(f"{where} sends us to {answer.headers.get('Location', 'elsewhere')}; name that address.")
        try:
            document = answer.json()
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise NoSource(f"{self.url} is no coordinator of Kids First: {where} answered no JSON.") from None
        if status != _OK:
            raise NoSource(f"{self.url} is no coordinator of Kids First: {where} answered {status}.")
        return document

    async def _with_uuids(self, history: History) -> History:
        """Return a page with the hidden names of its records, which only GraphQL tells."""
        parts = [
            *(("taskService", "TaskServiceNode", each.kf_id, "uuid") for each in history.services),
            *(("release", "ReleaseNode", each.kf_id, _OF_RELEASE) for each in history.releases),
            *(("event", "EventNode", each.kf_id, "uuid") for each in history.events),
        ]
        if not parts or not self._tells_uuids:
            return history
        fields = (
            f'n{number}:{field}(id:"{_global_id(node, kf_id)}"){{kfId {wanted}}}'
            for number, (field, node, kf_id, wanted) in enumerate(parts)
        )
        try:
            answer = await self._ask("POST", "/graphql", json={"query": "{" + " ".join(fields) + "}"})
        except (NoSource, SourceAway):
            self._tells_uuids = False
            return history
        data = answer.get("data") if isinstance(answer, dict) else None
        return replace(history, uuids=dict(_uuids(data.values() if isinstance(data, dict) else ())))


_OF_RELEASE: Final = "uuid tasks{edges{node{kfId uuid}}} notes{edges{node{kfId uuid}}}"


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _global_id(node: str, kf_id: str) -> str:
    return base64.b64encode(f"{node}:{kf_id}".encode()).decode()


def _uuids(nodes: Iterable[Any]) -> Iterable[tuple[str, str]]:
    """Yield ids with uuids of nodes, and of those that hang on them."""
    for node in nodes:
        if not isinstance(node, dict):
            continue
        try:
            yield str(node["kfId"]), UUID(str(node["uuid"])).hex
        except (KeyError, ValueError):
            continue
        for name in ("tasks", "notes"):
            yield from _uuids(edge.get("node") for edge in _edges(node.get(name)))


def _edges(connection: object) -> Sequence[Mapping[str, Any]]:
    edges = connection.get("edges") if isinstance(connection, dict) else None
    return [edge for edge in edges if isinstance(edge, dict)] if isinstance(edges, list) else []


def _seconds(retry_after: str) -> float:
    """Return the pause that an answer asks for; 0 when it asks for none, or names a date."""
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
