"""A real OpenID Connect provider on a port of its own, which signs whoever a test names in."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from lockstep.stack.processes import free_ports
from tests.patience import PATIENCE_S, takes_connections, wait_until

CALLBACK = "http://localhost/callback"
ROLES = "https://kidsfirstdrc.org/roles"
GROUPS = "https://kidsfirstdrc.org/groups"


@dataclass(frozen=True)
class Provider:
    """A provider that runs; its ID tokens are signed with RS256 for the client that asked."""

    url: str
    port: int

    def token(self, sub: str, audience: str = "lockstep", claims: Mapping[str, Any] | None = None) -> str:
        """Sign somebody in by the authorization code flow; return their ID token."""
        with httpx.Client(base_url=self.url, timeout=PATIENCE_S) as web:
            if claims:
                assert web.put(f"/users/{sub}", json=claims).status_code == 204
            asked = {
                "client_id": audience,
                "redirect_uri": CALLBACK,
                "response_type": "code",
                "scope": "openid profile email",
            }
            agreed = web.post("/oauth2/authorize", params=asked, data={"sub": sub})
            code = parse_qs(urlsplit(agreed.headers["location"]).query)["code"][0]
            exchange = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
            answer = web.post("/oauth2/token", data=exchange, auth=(audience, "any"))
            token: str = answer.json()["id_token"]
            return token

    def keys(self) -> Mapping[str, Any]:
        """Return the published keys."""
        found: Mapping[str, Any] = httpx.get(f"{self.url}/jwks", timeout=PATIENCE_S).json()
        return found


@contextmanager
def provider(port: int = 0, *, max_age_s: int = 3600) -> Iterator[Provider]:
    """Run a provider in a process of its own; with a port that one had before, it comes back with a new key."""
    port = port or free_ports(1)[0]
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--token-max-age", str(max_age_s)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: _listens(port, process))
        yield Provider(f"http://127.0.0.1:{port}", port)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _listens(port: int, process: "subprocess.Popen[bytes]") -> bool:
    assert process.poll() is None, "the provider ended"
    return takes_connections(port)
