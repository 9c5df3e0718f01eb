"""Finds out who is behind a request, before anything else looks at it, and keeps it with the request.

`caller_of` is how every face asks. A bearer token comes first: whoever has one in hand needs no proof that a page of
ours sent the request. A session's cookie is sent by the browser whoever makes it do so; with it, a request that changes
something counts only with the proof that pages of ours carry, in the header `X-CSRFToken`, or in a form that the
dashboard checks itself (`accept_form`). Without it, the caller is anonymous.

A token that does not hold makes its caller anonymous too, as clients in the field expect; why it does not is told in
the answer's `WWW-Authenticate`.
"""

import hmac
import re
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lockstep.coordinator.core.callers import ANONYMOUS, LOCAL, Caller
from lockstep.coordinator.core.errors import Unauthorized, Unavailable
from lockstep.coordinator.services.recognition import Recognition
from lockstep.coordinator.web.bodies import FORM
from lockstep.coordinator.web.refusals import refusal

COOKIE: Final = "lockstep_session"
PROOF_HEADER: Final = "x-csrftoken"
NO_PROOF: Final = "CSRF Failed: CSRF token missing or incorrect."

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_NO_QUOTED_TEXT: Final = re.compile("[^ -~]")
_COMPLAINT_CHARS: Final = 300


@dataclass(frozen=True, slots=True)
class Known:
    """What was found out about a request.

    Attributes:
        caller: who is behind it.
        unproven: who it would be if a form's proof is accepted.
        proof: what pages for this browser carry, to prove that requests come from them; empty without a session.
        complaint: why a token does not hold; empty if it does, or there was none.
    """

    caller: Caller
    unproven: Caller | None = None
    proof: str = ""
    complaint: str = ""


def caller_of(request: Request) -> Caller:
    """Return who is behind a request."""
    caller: Caller = request.state.caller
    return caller


def proof_of(request: Request) -> str:
    """Return what a page must send as `X-CSRFToken` with what it changes; empty for a browser without a session."""
    proof: str = request.state.proof
    return proof


async def is_signed_out(request: Request, recognition: Recognition | None) -> bool:
    """Tell whether the session behind a request has ended since, for answers that go on for hours.

    A token is another matter: it was good for the request that showed it, and nobody can take it back.

    Raises:
        Unavailable: the database does not answer.
    """
    return bool(proof_of(request)) and (await _known(recognition, request.scope)).caller != caller_of(request)


def accept_form(request: Request) -> None:
    """Take the session's word after all for a form that has proved by its own means to come from a page of ours."""
    if request.state.unproven is not None:
        request.state.caller = request.state.unproven


class RecognizeCallers:
    """Middleware; without a `recognition`, everybody is the local caller, who may do everything."""

    def __init__(self, app: ASGIApp, recognition: Recognition | None = None) -> None:
        self._app = app
        self._recognition = recognition

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find out who is behind a request, and let it pass."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            known = await _known(self._recognition, scope)
        except Unavailable as error:
            await refusal(str(error), 503)(scope, receive, send)
            return
        except Unauthorized as error:
            await refusal(str(error), 403)(scope, receive, send)
            return
        scope.setdefault("state", {}).update(caller=known.caller, unproven=known.unproven, proof=known.proof)
        await self._app(scope, receive, _complaining(send, known.complaint) if known.complaint else send)


async def _known(recognition: Recognition | None, scope: Scope) -> Known:
    if recognition is None:
        return Known(LOCAL)
    headers = Headers(scope=scope)
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        try:
            return Known(await recognition.by_token(token.strip()))
        except Unauthorized as error:
            return Known(ANONYMOUS, complaint=str(error))
    key = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
    caller = await recognition.by_session(key) if key else None
    if caller is None:
        return Known(ANONYMOUS)
    proof = recognition.proof(key)
    if scope["method"] in _SAFE or hmac.compare_digest(headers.get(PROOF_HEADER, "").encode(), proof.encode()):
        return Known(caller, proof=proof)
    if headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise Unauthorized(NO_PROOF)
    return Known(ANONYMOUS, unproven=caller, proof=proof)


def _complaining(send: Send, complaint: str) -> Send:
    """Return a `send` that tells what is wrong with the token, which may be quoted: nothing in it ends the header."""
    text = _NO_QUOTED_TEXT.sub("?", complaint.replace('"', "'").replace("\\", "/"))[:_COMPLAINT_CHARS]

    async def telling(message: Message) -> None:
        if message["type"] == "http.response.start":
            said = f'Bearer error="invalid_token", error_description="{text}"'
            MutableHeaders(scope=message)["WWW-Authenticate"] = said
        await send(message)

    return telling
