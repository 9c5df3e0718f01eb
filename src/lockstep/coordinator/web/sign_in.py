"""`/login`, `/callback` and `/logout`: how a browser gets its session and gives it back.

The session's key is in a cookie that scripts cannot read and that pages of strangers cannot have sent along with what
they change. Signing out takes a form of ours, with the session's proof in the field `csrf_token`.
"""

import hmac
from typing import Final

from fastapi import FastAPI, Request
from starlette.responses import RedirectResponse, Response

from lockstep.coordinator.core.errors import Unauthorized
from lockstep.coordinator.ports import SignIn
from lockstep.coordinator.services.recognition import SESSION_LIFE, Recognition
from lockstep.coordinator.web.answers import base_url
from lockstep.coordinator.web.bodies import FORM, read_form
from lockstep.coordinator.web.callers import COOKIE, NO_PROOF, proof_of

SIGN_IN_COOKIE: Final = "lockstep_sign_in"
PROOF_FIELD: Final = "csrf_token"
CALLBACK: Final = "/callback"

_LIFE_S: Final = 600
_LONGEST_PAGE: Final = 2000
"""Characters of an address; it is kept in a cookie, and browsers throw away those of more than 4096."""

_SEE_OTHER: Final = 303
_KEPT_NOWHERE: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def add(app: FastAPI, recognition: Recognition, sign_in: SignIn) -> None:
    """Add the routes to an application."""

    async def login(request: Request) -> Response:
        """Send the browser to the issuer, to come back to the page named by `next`."""
        base = base_url(request)
        after = own_page(request.query_params.get("next", "/"))
        address, kept = await sign_in.begin(f"{base}{CALLBACK}", after)
        answer = RedirectResponse(address, _SEE_OTHER, _KEPT_NOWHERE)
        _keep(answer, SIGN_IN_COOKIE, kept, base, path=CALLBACK, life_s=_LIFE_S)
        return answer

    async def callback(request: Request) -> Response:
        """Take the issuer's answer, and open a session."""
        base = base_url(request)
        kept = request.cookies.get(SIGN_IN_COOKIE, "")
        caller, profile, after = await sign_in.finish(kept, dict(request.query_params))
        key = await recognition.open_session(caller, profile)
        answer = RedirectResponse(after, _SEE_OTHER, _KEPT_NOWHERE)
        answer.delete_cookie(SIGN_IN_COOKIE, path=CALLBACK)
        _keep(answer, COOKIE, key, base, path="/", life_s=int(SESSION_LIFE.total_seconds()))
        return answer

    async def logout(request: Request) -> Response:
        """End the session, here and at the issuer."""
        base, key = base_url(request), request.cookies.get(COOKIE, "")
        proof = proof_of(request)
        if proof:
            given = (await read_form(request, (FORM,))).get(PROOF_FIELD, "")
            if not isinstance(given, str) or not hmac.compare_digest(given.encode(), proof.encode()):
                raise Unauthorized(NO_PROOF)
            await recognition.close_session(key)
        answer = RedirectResponse(await sign_in.farewell(f"{base}/") or "/", _SEE_OTHER, _KEPT_NOWHERE)
        answer.delete_cookie(COOKIE, path="/")
        return answer

    for method, path, call in (("GET", "/login", login), ("GET", CALLBACK, callback), ("POST", "/logout", logout)):
        app.add_api_route(path, call, methods=[method], response_model=None, include_in_schema=False)


def own_page(wanted: str) -> str:
    """Return the path of a page of ours; the front page for what leads anywhere else."""
    a_path = wanted.startswith("/") and not wanted.startswith("//")
    sound = wanted.isascii() and wanted.isprintable() and "\\" not in wanted
    return wanted if a_path and sound and len(wanted) <= _LONGEST_PAGE else "/"


def _keep(answer: Response, name: str, value: str, base: str, *, path: str, life_s: int) -> None:
    secure = base.startswith("https://")
    answer.set_cookie(name, value, max_age=life_s, path=path, httponly=True, samesite="lax", secure=secure)
