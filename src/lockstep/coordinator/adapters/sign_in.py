"""Signing in with a browser: the authorization code flow of OpenID Connect, with PKCE, state and nonce.

What must be remembered between the way to the issuer and the way back stays in the browser, sealed, so that any
process of the coordinator can take it up and nobody can put together a way back of their own: it can neither be read
nor changed, holds for some minutes, and names the one answer that it fits.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from lockstep.coordinator.adapters.identity import OidcIdentity
from lockstep.coordinator.adapters.oidc import Claims, Issuer
from lockstep.coordinator.core.callers import Caller, Kind
from lockstep.coordinator.core.errors import Unauthorized, Unavailable
from lockstep.coordinator.core.users import Profile

PATIENCE_S: Final = 600
"""How long somebody may take to sign in at the issuer, in seconds."""

SCOPE: Final = "openid profile email"

_OK: Final = 200
_VERIFIER_BYTES: Final = 48
_WORD_BYTES: Final = 24
_SHOWN_CHARS: Final = 100
_SEALED: Final = {"alg": "dir", "enc": "A256GCM"}


class OidcSignIn:
    """The port `SignIn` on one issuer.

    Args:
        issuer: where people sign in.
        identity: who can tell whom claims are about.
        client_id, client_secret: what the issuer knows us by; the secret may be empty.
        secret: the deployment's secret.
    """

    def __init__(self, issuer: Issuer, identity: OidcIdentity, client_id: str, client_secret: str, secret: str) -> None:
        self._issuer = issuer
        self._identity = identity
        self._client = (client_id, client_secret)
        self._key = OctKey.import_key(hashlib.sha256(f"sign-in {secret}".encode()).digest())

    async def begin(self, callback_url: str, after: str) -> tuple[str, str]:
        """Return where to send the browser, and what it is to keep meanwhile; see `SignIn.begin`."""
        address = await self._issuer.endpoint("authorization_endpoint")
        verifier = secrets.token_urlsafe(_VERIFIER_BYTES)
        kept: dict[str, str | float] = {
            "state": secrets.token_urlsafe(_WORD_BYTES),
            "nonce": secrets.token_urlsafe(_WORD_BYTES),
            "verifier": verifier,
            "callback": callback_url,
            "after": after,
            "until": time.time() + PATIENCE_S,
        }
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": self._client[0],
            "redirect_uri": callback_url,
            "scope": SCOPE,
            "state": kept["state"],
            "nonce": kept["nonce"],
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in address else "?"
        return f"{address}{joint}{urlencode(asked)}", jwe.encrypt_compact(_SEALED, json.dumps(kept), self._key)

    async def finish(self, kept: str, given: Mapping[str, str]) -> tuple[Caller, Profile, str]:
        """Return who has signed in, their profile, and where they were going; see `SignIn.finish`."""
        begun = self._opened(kept)
        if not hmac.compare_digest(given.get("state", "").encode(), str(begun["state"]).encode()):
            raise Unauthorized("This answer is to another sign-in. Sign in again.")
        if error := given.get("error"):
            raise Unauthorized(f"The issuer did not sign you in: {ascii(error)[:_SHOWN_CHARS]}.")
        form = {
            "grant_type": "authorization_code",
            "code": given.get("code", ""),
            "redirect_uri": str(begun["callback"]),
            "code_verifier": str(begun["verifier"]),
        }
        status, said = await self._issuer.exchange(form, *self._client)
        if status != _OK:
            raise Unauthorized("The issuer did not take its own code back. Sign in again.")
        caller, profile = await self._whose(said, str(begun["nonce"]))
        if caller.kind is not Kind.PERSON:
            raise Unauthorized("Only people sign in here.")
        return caller, profile, str(begun["after"])

    async def farewell(self, back_url: str) -> str:
        """Return where to send the browser to be signed out of the issuer too, and back from there; may be empty."""
        try:
            address = await self._issuer.endpoint("end_session_endpoint")
        except Unavailable:
            return ""
        asked = {"client_id": self._client[0], "post_logout_redirect_uri": back_url}
        return f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}"

    async def _whose(self, said: Claims, nonce: str) -> tuple[Caller, Profile]:
        """Return whom the ID token is about; roles and groups may be in the access token instead."""
        id_token, access_token = (said.get(name) for name in ("id_token", "access_token"))
        if not isinstance(id_token, str):
            raise Unauthorized("The issuer did not say who you are.")
        caller, profile = self._identity.of_claims(await self._issuer.claims(id_token, self._client[0], nonce=nonce))
        if isinstance(access_token, str) and access_token != id_token:
            if not caller.roles and not caller.groups:
                caller = await self._with_roles(caller, access_token)
            if not profile.username:
                told = await self._identity.profile(access_token)
                profile = told if told is not None and told.sub == profile.sub else profile
        return caller, profile

    async def _with_roles(self, caller: Caller, access_token: str) -> Caller:
        try:
            other, _ = await self._identity.of_token(access_token)
        except Unauthorized:
            return caller
        same = other.kind is Kind.PERSON and other.subject == caller.subject
        return replace(caller, roles=other.roles, groups=other.groups) if same else caller

    def _opened(self, kept: str) -> Mapping[str, Any]:
        try:
            opened = jwe.decrypt_compact(kept, self._key, algorithms=list(_SEALED.values()))
            begun: Mapping[str, Any] = json.loads(opened.plaintext or b"{}")
        except (JoseError, ValueError, TypeError):
            raise Unauthorized("This browser has not begun to sign in here. Sign in again.") from None
        if time.time() > begun["until"]:
            raise Unauthorized("It took too long to sign in. Sign in again.")
        return begun
