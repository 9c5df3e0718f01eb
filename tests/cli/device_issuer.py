"""An OpenID Connect issuer with the device flow, as a process: RFC 8628 as Authlib implements it, on loopback.

`POST /device` with a user code and a name agrees to a sign-in as that person, or declines it when the name is `nobody`.
Access tokens are signed, for the audience that was asked for, and can be renewed.
"""

import sys
import time
from dataclasses import dataclass
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import RefreshTokenGrant
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint, DeviceCodeGrant, DeviceCredentialDict
from flask import Flask, jsonify, request
from joserfc import jwt
from joserfc.jwk import RSAKey

PORT, LIFE_S, ROLES = int(sys.argv[1]), int(sys.argv[2]), "https://kidsfirstdrc.org/roles"
ISSUER = f"http://127.0.0.1:{PORT}"
CLIENT = "lockstep-cli"
KEY = RSAKey.generate_key(2048, {"kid": "one"})


class Client:
    """The public client of the command line."""

    def get_client_id(self) -> str:
        return CLIENT

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "none"

    def check_grant_type(self, grant_type: str) -> bool:
        return True


@dataclass
class User:
    """Somebody who agreed."""

    name: str

    def get_user_id(self) -> str:
        return self.name


@dataclass
class Renewal:
    """What a token is renewed with."""

    user: User

    def check_client(self, client: Client) -> bool:
        return True

    def get_scope(self) -> str:
        return "openid"


CODES: dict[str, DeviceCredentialDict] = {}
ANSWERS: dict[str, tuple[User, bool]] = {}
RENEWALS: dict[str, Renewal] = {}


class Endpoint(DeviceAuthorizationEndpoint):  # type: ignore[misc] # Authlib has no types
    CLIENT_AUTH_METHODS = ("none",)
    INTERVAL = 1

    def get_verification_uri(self) -> str:
        return f"{ISSUER}/device"

    def save_device_credential(self, client_id: str, scope: str, data: dict[str, Any]) -> None:
        expires_at = time.time() + data["expires_in"]
        CODES[data["device_code"]] = DeviceCredentialDict(
            {**data, "client_id": client_id, "scope": scope, "expires_at": expires_at}
        )


class Device(DeviceCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)

    def query_device_credential(self, device_code: str) -> DeviceCredentialDict | None:
        return CODES.get(device_code)

    def query_user_grant(self, user_code: str) -> tuple[User, bool] | None:
        return ANSWERS.get(user_code)

    def should_slow_down(self, credential: DeviceCredentialDict) -> bool:
        before, credential["asked_at"] = credential.get("asked_at", 0.0), time.time()
        return bool(time.time() - before < 0.5)


class Renew(RefreshTokenGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Renewal | None:
        return RENEWALS.pop(refresh_token, None)

    def authenticate_user(self, refresh_token: Renewal) -> User:
        return refresh_token.user

    def revoke_old_credential(self, refresh_token: Renewal) -> None:
        """It is gone already."""


def make_token(user: User, **_asked: Any) -> str:
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": "lockstep", "sub": user.name, "nickname": user.name, ROLES: ["ADMIN"]}
    return jwt.encode({"alg": "RS256", "kid": "one"}, {**claims, "iat": now, "exp": now + LIFE_S}, KEY)


def save_token(token: dict[str, Any], asked: Any) -> None:
    if "refresh_token" in token:
        RENEWALS[token["refresh_token"]] = Renewal(asked.user)


app = Flask(__name__)
app.config["OAUTH2_ACCESS_TOKEN_GENERATOR"] = make_token
app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
lives = dict.fromkeys((Device.GRANT_TYPE, "refresh_token"), LIFE_S)
app.config["OAUTH2_TOKEN_EXPIRES_IN"] = lives
server = AuthorizationServer(app, lambda client_id: Client() if client_id == CLIENT else None, save_token)
server.register_grant(Device)
server.register_grant(Renew)
server.register_endpoint(Endpoint)


@app.get("/.well-known/openid-configuration")
def discovery() -> Any:
    return jsonify(
        issuer=ISSUER,
        jwks_uri=f"{ISSUER}/keys",
        authorization_endpoint=f"{ISSUER}/authorize",
        token_endpoint=f"{ISSUER}/token",
        device_authorization_endpoint=f"{ISSUER}/device/code",
    )


@app.get("/keys")
def keys() -> Any:
    return jsonify(keys=[KEY.as_dict(private=False)])


@app.post("/device/code")
def begin() -> Any:
    return server.create_endpoint_response(Endpoint.ENDPOINT_NAME)


@app.post("/device")
def agree() -> Any:
    name = request.form["name"]
    ANSWERS[request.form["user_code"]] = (User(name), name != "nobody")
    return jsonify(name=name)


@app.post("/token")
def token() -> Any:
    return server.create_token_response()


if __name__ == "__main__":
    app.run("127.0.0.1", PORT)
