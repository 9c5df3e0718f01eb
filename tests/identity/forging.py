"""What it takes to forge a token: the parts of a good one, and the public key of its issuer as if it were a secret."""

import base64
import hmac
import json
from typing import Any


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return claims


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed_as_hs256(good: str, kid: str, secret: bytes) -> str:
    """Return a token with the claims of a good one, signed by a secret that verifiers might take for the key."""
    said = f"{encoded({'alg': 'HS256', 'kid': kid})}.{encoded(claims_of(good))}"
    mac = hmac.digest(secret, said.encode(), "sha256")
    return f"{said}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
