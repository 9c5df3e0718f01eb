"""The release reports service over HTTP.

What it sends is read up to a bound and must be a JSON object; what is in it is looked at by whoever shows it.
"""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from lockstep.coordinator.adapters.http_client import HttpClient
from lockstep.coordinator.core.errors import NotFound, Unavailable

_ANSWER_LIMIT_BYTES: Final = 8 * 1024 * 1024
_HISTORY_ROWS: Final = 50
_OK: Final = 200
_NO_REPORT: Final = frozenset({404, 409})
_SENTENCE_CHARS: Final = 300


class HttpReports(HttpClient):
    """Asks over HTTP; an asynchronous context manager that holds the connections.

    Args:
        url: where the service is, without `/reports`.
        timeout_s: seconds that one answer may take.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        super().__init__(timeout_s, {"Accept": "application/json"})
        self.url = url

    async def diff(self, release_id: str) -> Mapping[str, Any]:
        """Return what changes with a release.

        Raises:
            NotFound: there is no report, or none yet; the sentence is the service's.
            Unavailable: it could not be read.
        """
        return await self._get(f"/reports/releases/{quote(release_id, safe='')}/diff")

    async def history(self, study_id: str) -> Mapping[str, Any]:
        """Return the newest rows of a study; errors as `diff`."""
        return await self._get(f"/reports/studies/{quote(study_id, safe='')}/history?limit={_HISTORY_ROWS}")

    async def _get(self, path: str) -> Mapping[str, Any]:
        try:
            async with self._session.get(self.url + path, allow_redirects=False) as response:
                body = await response.content.read(_ANSWER_LIMIT_BYTES)
                at_end = response.content.at_eof()
                status = response.status
        except TimeoutError as error:
            raise Unavailable(f"The reports service did not answer within {self._timeout_s:g} s.") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unavailable(f"The reports service at {self.url} does not answer.") from error
        answer = _object(body) if at_end else None
        if status in _NO_REPORT:
            raise NotFound(_said(answer))
        if status != _OK or answer is None:
            raise Unavailable(f"The reports service answered HTTP {status} with something that is no report.")
        return answer


def _object(body: bytes) -> Mapping[str, Any] | None:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _said(answer: Mapping[str, Any] | None) -> str:
    sentence = (answer or {}).get("message")
    text = " ".join(sentence.split())[:_SENTENCE_CHARS] if isinstance(sentence, str) else ""
    return f"{text[0].upper()}{text[1:].rstrip('.')}." if text else "There is no report of this release."
