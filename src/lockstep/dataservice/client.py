"""Reads a data service over HTTP: its studies, its counts, its rows. It writes nothing.

The coordinator's study sync, the release reports and the snapshot call this. What it takes care of, so that they need
not:

* Every page. A page's `next` link forgets the limit and all filters except the study, so only the cursor is taken
  from it, and each request is put together anew from what the caller asked for. No state is shared between requests.
* Limits on everything: the pages of a list here; seconds, bytes and requests at the same time in `web`.

What an answer has to look like is told in `answers`. Nothing is asked twice in here. Whether it is worth asking again
is the caller's decision, and `transient` on each error helps with it.
"""

from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote, urlencode, urlsplit

from lockstep.dataservice import answers
from lockstep.dataservice.answers import Asked, BadAnswer, DataServiceError, NoAnswer, Page, Refused, Study
from lockstep.dataservice.entities import STUDIES
from lockstep.dataservice.web import ANSWER_LIMIT_BYTES, CONNECTIONS, TIMEOUT_S, Silence, TooMuch, Web

__all__ = [
    "CONNECTIONS",
    "TIMEOUT_S",
    "BadAnswer",
    "DataService",
    "DataServiceError",
    "NoAnswer",
    "Page",
    "Refused",
    "Study",
]

PAGE_SIZE: Final = 100
"""Rows asked for at a time: what clients in the field ask for, and the real service answers within its patience."""

PAGE_LIMIT: Final = 100_000
"""Pages of one list that are followed before it is taken to be endless."""


class DataService:
    """A data service at an address. Use it as `async with DataService(url) as service`.

    Args:
        url: where its lists begin, such as `https://data.example.org`; a path in front of them may be part of it.
        timeout_s: seconds that one answer may take.
        connections: requests that may be under way at the same time.
        page_size: rows asked for at a time, 1 to 1000.

    Raises:
        ValueError: the address is no HTTP address.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = TIMEOUT_S,
        connections: int = CONNECTIONS,
        page_size: int = PAGE_SIZE,
        answer_limit_bytes: int = ANSWER_LIMIT_BYTES,
    ) -> None:
        if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
            raise ValueError(f"{url!r} is no address of a data service; https://data.example.org would be one")
        self.url = url.rstrip("/")
        self._page_size = page_size
        self._web = Web(
            {"Accept": "application/json"},
            timeout_s=timeout_s,
            connections=connections,
            answer_limit_bytes=answer_limit_bytes,
        )

    async def __aenter__(self) -> Self:
        await self._web.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._web.__aexit__(kind, error, trace)

    async def studies(self) -> AsyncIterator[Study]:
        """Yield every study, hidden ones too, over all pages.

        Raises:
            DataServiceError: a page could not be had; the studies so far are then not all of them.
        """
        async for page in self._pages(Asked(STUDIES)):
            for row in page.rows:
                yield answers.study(row, self.url)

    async def study(self, study_id: str) -> Mapping[str, Any]:
        """Return the record of one study.

        Raises:
            DataServiceError: the record could not be had; `Refused` with status 404 when there is no such study.
        """
        url = self._address(f"{STUDIES}/{quote(study_id, safe='')}")
        return answers.record(await self._get(url), study_id, url)

    async def count(self, path: str, study_id: str) -> int | None:
        """Return how many visible rows of a list a study has; None when the source publishes no count.

        Raises:
            DataServiceError: the count could not be had, and is unknown.
        """
        asked = _of_study(path, study_id)
        url = self._address(path, asked.parameters(limit=1))
        return answers.count(await self._get(url), url)

    async def pages(self, path: str, study_id: str) -> AsyncIterator[Page]:
        """Yield the visible rows of a study in a list, page by page; at least one page, which may be empty.

        Raises:
            DataServiceError: a page could not be had, or holds rows of another study.
        """
        async for page in self._pages(_of_study(path, study_id)):
            yield page

    async def rows(self, path: str, study_id: str) -> AsyncIterator[Mapping[str, Any]]:
        """Yield the visible rows of a study in a list; the errors are those of `pages`."""
        async for page in self.pages(path, study_id):
            for row in page.rows:
                yield row

    async def _pages(self, asked: Asked) -> AsyncIterator[Page]:
        seen: set[str] = set()
        cursor: Mapping[str, str] | None = None
        for _ in range(PAGE_LIMIT):
            url = self._address(asked.path, asked.parameters(self._page_size, cursor))
            body = await self._get(url)
            page = answers.page(body, asked, url)
            ids = {row["kf_id"] for row in page.rows}
            if len(ids) < len(page.rows) or ids & seen:
                raise BadAnswer(url, "sent a row twice: its pages go in a circle")
            seen |= ids
            yield page
            following = answers.next_cursor(body, asked, url)
            if following is None:
                return
            if following == cursor:
                raise BadAnswer(url, "names itself as the next page")
            cursor = following
        raise BadAnswer(self._address(asked.path), f"gave {PAGE_LIMIT} pages and no end")

    def _address(self, path: str, parameters: Mapping[str, str] | None = None) -> str:
        address = f"{self.url}/{path}"
        return f"{address}?{urlencode(parameters)}" if parameters else address

    async def _get(self, url: str) -> Mapping[str, Any]:
        try:
            answer = await self._web.get(url)
        except TooMuch as error:
            raise BadAnswer(url, error.fault) from error
        except Silence as error:
            raise NoAnswer(url, error.fault) from error
        return answers.envelope(answer.status, answer.headers, answer.body, url)


def _of_study(path: str, study_id: str) -> Asked:
    return Asked(path, {"study_id": study_id, "visible": "true"})
