"""An issuer that publishes whatever a test lets it, over HTTP, and counts who asks: for what a real one does not do."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.conftest import Serve

AnyKey = RSAKey | ECKey


@dataclass
class PublishedIssuer:
    """What it publishes now; `url` is known once it is served."""

    keys: Sequence[AnyKey]
    url: str = ""
    name: str = ""
    status: int = 200
    fetched: int = 0
    userinfo: dict[str, Any] = field(default_factory=dict)
    asked_of: list[str] = field(default_factory=list)
    client_methods: list[str] = field(default_factory=list)
    token_answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    token_forms: list[dict[str, str]] = field(default_factory=list)
    token_headers: list[dict[str, str]] = field(default_factory=list)

    def token(self, key: AnyKey, algorithm: str = "RS256", **claims: Any) -> str:
        """Return a token that would hold, but for the claims given."""
        now = int(time.time())
        whole = {"iss": self.name or self.url, "aud": "lockstep", "sub": "alice", "exp": now + 600, **claims}
        header = {"alg": algorithm, **({"kid": key.kid} if key.kid else {})}
        return jwt.encode(header, {name: value for name, value in whole.items() if value is not None}, key, [algorithm])

    async def discovery(self, _: Request) -> Response:
        found = {
            "issuer": self.name or self.url,
            "jwks_uri": f"{self.url}/keys",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint_auth_methods_supported": self.client_methods,
        }
        return JSONResponse(found, self.status)

    async def published_keys(self, _: Request) -> Response:
        self.fetched += 1
        return JSONResponse({"keys": [key.as_dict(private=False) for key in self.keys]}, self.status)

    async def tell_of_user(self, request: Request) -> Response:
        self.asked_of.append(request.headers.get("authorization", ""))
        return JSONResponse(self.userinfo, 200 if self.userinfo else 401)

    async def give_token(self, request: Request) -> Response:
        self.token_forms.append({name: str(value) for name, value in (await request.form()).items()})
        self.token_headers.append(dict(request.headers))
        status, body = self.token_answers.pop(0) if self.token_answers else (500, {})
        return JSONResponse(body, status)


@asynccontextmanager
async def published(serve: Serve, *keys: AnyKey, name: str = "") -> AsyncIterator[PublishedIssuer]:
    """Serve an issuer with some keys, which calls itself by a name, its address if it has none."""
    issuer = PublishedIssuer(keys, name=name)
    app = Starlette(
        routes=[
            Route("/.well-known/openid-configuration", issuer.discovery),
            Route("/keys", issuer.published_keys),
            Route("/userinfo", issuer.tell_of_user),
            Route("/token", issuer.give_token, methods=["POST"]),
        ]
    )
    async with serve(app) as issuer.url:
        yield issuer


def rsa(kid: str | None = None) -> RSAKey:
    """Return a new key."""
    return RSAKey.generate_key(2048, {"kid": kid} if kid else None, auto_kid=False)
