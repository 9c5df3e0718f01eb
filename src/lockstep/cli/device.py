"""Signing in by the device flow (RFC 8628): a code is shown here, and agreed to in a browser anywhere.

No browser has to run on this machine and no port is opened. The issuer's addresses come from its discovery document;
they must be HTTPS ones, or ones of this machine, since tokens travel there. The program is a public client: it has an
id and no secret.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any, Final, TypeGuard
from urllib.parse import urlsplit

import httpx

from lockstep.cli.endings import Refused, TimedOut, Unreachable, WrongUse
from lockstep.cli.tokens import Token

GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
SCOPE: Final = "openid profile offline_access"
"""What is asked for when nothing else is set: who one is, and the means to stay signed in."""

_INTERVAL_S: Final = 5.0
_SHORTEST_PAUSE_S: Final = 0.1
_SLOWER_S: Final = 5.0
_CODE_LIFE_S: Final = 600.0
_ANSWER_TIMEOUT_S: Final = 20.0

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SignIn:
    """Where and as what one signs in.

    Attributes:
        issuer: the address of the issuer.
        client_id: this program's client there.
        audience: whom the token is to be for; empty if the issuer knows.
        scope: what is asked for; `SCOPE` when it is empty.
    """

    issuer: str
    client_id: str
    audience: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Code:
    """What a person has to do: open the address, and agree that it shows the same code."""

    address: str
    code: str
    complete_address: str


async def sign_in(wanted: SignIn, show: Callable[[Code], None]) -> Token:
    """Return a token of somebody who agreed in a browser.

    Args:
        wanted: where, and as what.
        show: shows the code to the person.

    Raises:
        WrongUse: the issuer's address may not be used.
        Refused: the person or the issuer said no, or the issuer has no device flow.
        Unreachable: the issuer does not answer.
        TimedOut: nobody agreed in time.
    """
    async with _web() as web:
        endpoints = await _discovered(web, wanted.issuer)
        asked = {"client_id": wanted.client_id, "scope": wanted.scope or SCOPE}
        if wanted.audience:
            asked["audience"] = wanted.audience
        begun = await _posted(web, endpoints.device, asked)
        if not all(_is_text(begun.get(name)) for name in ("device_code", "user_code", "verification_uri")):
            raise Refused(f"{wanted.issuer} began no sign-in: {_why(begun)}.")
        complete = begun.get("verification_uri_complete")
        show(Code(begun["verification_uri"], begun["user_code"], complete if _is_text(complete) else ""))
        answer = await _agreed(web, endpoints.token, wanted.client_id, begun)
        return _token(answer, Token("", endpoint=endpoints.token, client_id=wanted.client_id))


async def renewed(token: Token) -> Token:
    """Return a new token for one that has expired.

    Raises:
        Refused: the issuer does not renew it.
        Unreachable: the issuer does not answer.
    """
    asked = {"grant_type": "refresh_token", "refresh_token": token.refresh, "client_id": token.client_id}
    async with _web() as web:
        answer = await _posted(web, _safe(token.endpoint), asked)
    if not _is_text(answer.get("access_token")):
        raise Refused(f"Your sign-in has expired and was not renewed ({_why(answer)}). `lockstep login` signs you in.")
    return _token(answer, token)


@dataclass(frozen=True, slots=True)
class _Endpoints:
    device: str
    token: str


async def _discovered(web: httpx.AsyncClient, issuer: str) -> _Endpoints:
    address = f"{_safe(issuer).rstrip('/')}/.well-known/openid-configuration"
    document = _object(await _sent(web, "GET", address), address)
    if str(document.get("issuer", "")).rstrip("/") != issuer.rstrip("/"):
        raise Refused(f"{address} speaks for {document.get('issuer')!r}, and not for {issuer}.")
    device, token = document.get("device_authorization_endpoint"), document.get("token_endpoint")
    if not _is_text(device) or not _is_text(token):
        raise Refused(f"{issuer} offers no device flow; get a token from it, and use `lockstep login --token-stdin`.")
    return _Endpoints(_safe(device), _safe(token))


async def _agreed(web: httpx.AsyncClient, endpoint: str, client_id: str, begun: Json) -> Json:
    """Ask for the token until the person has agreed, as often as the issuer likes to be asked."""
    pause_s = max(_seconds(begun.get("interval"), _INTERVAL_S), _SHORTEST_PAUSE_S)
    ends_at = time.monotonic() + _seconds(begun.get("expires_in"), _CODE_LIFE_S)
    asked = {"grant_type": GRANT, "device_code": begun["device_code"], "client_id": client_id}
    while time.monotonic() + pause_s < ends_at:
        await asyncio.sleep(pause_s)
        answer = await _posted(web, endpoint, asked)
        if _is_text(answer.get("access_token")):
            return answer
        match answer.get("error"):
            case "authorization_pending":
                pass
            case "slow_down":
                pause_s += _SLOWER_S
            case "access_denied":
                raise Refused("The sign-in was declined in the browser.")
            case "expired_token":
                break
            case _:
                raise Refused(f"The issuer gave no token: {_why(answer)}.")
    raise TimedOut("Nobody agreed to the sign-in in time. `lockstep login` shows a new code.")


def _token(answer: Json, before: Token) -> Token:
    life_s, refresh = _seconds(answer.get("expires_in"), 0.0), answer.get("refresh_token")
    return replace(
        before,
        access=answer["access_token"],
        expires_at=time.time() + life_s if life_s else 0.0,
        refresh=refresh if _is_text(refresh) else before.refresh,
    )


def _web() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=_ANSWER_TIMEOUT_S, headers={"Accept": "application/json"})


async def _posted(web: httpx.AsyncClient, address: str, fields: Mapping[str, str]) -> Json:
    return _object(await _sent(web, "POST", address, fields), address)


async def _sent(
    web: httpx.AsyncClient, method: str, address: str, fields: Mapping[str, str] | None = None
) -> httpx.Response:
    try:
        return await web.request(method, address, data=fields)
    except httpx.HTTPError as error:
        host = urlsplit(address).netloc
        raise Unreachable(f"The issuer at {host} cannot be reached ({str(error) or type(error).__name__}).") from error


def _object(answer: httpx.Response, address: str) -> Json:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refused(f"What answers at {address} is no OpenID Connect issuer (HTTP {answer.status_code}).")
    return body


def _safe(address: str) -> str:
    """Let an address pass that nobody on the way can listen at.

    Raises:
        WrongUse: it is none.
    """
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise WrongUse(f"{address!r} is no address; https://login.example.org would be one.") from None
    if not host or parts.scheme not in {"https", "http"} or not address.isprintable():
        raise WrongUse(f"{address!r} is no address of an issuer; https://login.example.org would be one.")
    if parts.scheme == "http" and not _is_this_machine(host):
        raise WrongUse(f"{address} has to begin with https://, or anybody on the way could read your token.")
    return address


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value)


def _seconds(value: object, otherwise: float) -> float:
    try:
        seconds = float(str(value))
    except ValueError:
        return otherwise
    return seconds if 0 <= seconds < float("inf") else otherwise


def _why(answer: Json) -> str:
    said = answer.get("error_description") or answer.get("error") or "it did not say why"
    return str(said).rstrip(".")
