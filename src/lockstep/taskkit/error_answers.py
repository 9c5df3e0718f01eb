"""Errors as answers: whatever is wrong, a task service says it as a JSON object whose `message` is a sentence.

The addresses of the protocol and those that a service adds of its own answer errors alike, so both install what
`error_answers` returns. An error that is named there is told in its own words; one that is not has to be answered by
whoever lets it through.
"""

from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any, Final, cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from lockstep.taskkit.store import StoreUnavailable

RETRY_AFTER_S: Final = 5
"""After how many seconds somebody may ask again, when asking again can help."""


def error_answers(
    nothing_here: str, statuses: Mapping[type[Exception], int], *, passing: Collection[type[Exception]] = ()
) -> dict[Any, Any]:
    """Return handlers for an application's `exception_handlers`.

    Args:
        nothing_here: the sentence for an address that there is not.
        statuses: the HTTP status of each kind of error. A store that cannot be used is 503 without being named.
        passing: those after which asking again can help; they are answered with `Retry-After`.
    """
    of_kind = {**statuses, StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE.value}
    ask_again = (*passing, StoreUnavailable)

    async def http_error(request: Request, raised: Exception) -> JSONResponse:
        error = cast("HTTPException", raised)
        sentence = error.detail
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            sentence = f"{request.method} is not possible here; {(error.headers or {}).get('Allow', 'nothing')} is"
        elif sentence == HTTPStatus.NOT_FOUND.phrase:
            sentence = nothing_here
        return JSONResponse({"message": sentence}, error.status_code, error.headers)

    async def told(_request: Request, error: Exception) -> JSONResponse:
        status = next(of_kind[kind] for kind in type(error).__mro__ if kind in of_kind)
        headers = {"Retry-After": str(RETRY_AFTER_S)} if isinstance(error, ask_again) else None
        return JSONResponse({"message": str(error)}, status, headers)

    return {HTTPException: http_error, **dict.fromkeys(of_kind, told)}
