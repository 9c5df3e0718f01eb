"""Whom a task service obeys: a coordinator that shows a token of the issuer that the service trusts.

What an identity consists of, and where the environment has it; `guard` checks tokens against it. Without an identity a
service takes orders from whoever reaches it, and so lets itself be reached from its own machine only (`check_host`),
unless somebody says that they mean it. Where another server runs the service, what it listens on is its own business.
"""

import logging
import os
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

ISSUER_VARIABLE: Final = "LOCKSTEP_TASKS_ISSUER"
"""The issuer whose tokens count; without it, a service has no identity."""

AUDIENCE_VARIABLE: Final = "LOCKSTEP_TASKS_AUDIENCE"
CALLERS_VARIABLE: Final = "LOCKSTEP_TASKS_CALLERS"
"""Clients or subjects, with commas between them."""

ALGORITHM_VARIABLE: Final = "LOCKSTEP_TASKS_ALGORITHM"
INSECURE_VARIABLE: Final = "LOCKSTEP_INSECURE"
"""`true`: serve other machines without an identity all the same, or take an issuer's keys without HTTPS."""

_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_log = logging.getLogger("lockstep.taskkit")


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose orders a service takes.

    Attributes:
        issuer: the address of the OpenID Connect issuer, below which its discovery document is.
        audience: whom the coordinator's token is for: the coordinator's `LOCKSTEP_OIDC_SERVICES_AUDIENCE`.
        callers: the clients or subjects that are the coordinator, as the token's `sub`, `azp` or `client_id` has them.
        algorithm: the only one that tokens may be signed with.

    Raises:
        ValueError: one of them is missing, or the issuer's keys would come without HTTPS.
    """

    issuer: str
    audience: str
    callers: tuple[str, ...]
    algorithm: str = "RS256"

    def __post_init__(self) -> None:
        for variable, is_there in ((AUDIENCE_VARIABLE, self.audience), (CALLERS_VARIABLE, all(self.callers or ("",)))):
            if not is_there:
                raise ValueError(f"a service with an issuer needs an audience and callers too: set {variable}")
        parts = urlsplit(self.issuer)
        if not parts.hostname or parts.scheme not in {"http", "https"}:
            raise ValueError(f"{self.issuer!r} is no issuer; an address such as https://login.example.org would be")
        if parts.scheme != "https" and not _is_loopback(parts.hostname) and not _is_insecure():
            raise ValueError(
                f"anybody on the way could replace the keys of {self.issuer}: it must begin with https://, or "
                f"{INSECURE_VARIABLE}=true says that this is meant"
            )


def identity_of_environment() -> Identity | None:
    """Return the identity that the environment names; None when it names no issuer.

    Raises:
        ValueError: it names part of one.
    """
    issuer = os.environ.get(ISSUER_VARIABLE, "")
    if not issuer:
        return None
    callers = tuple(filter(None, (name.strip() for name in os.environ.get(CALLERS_VARIABLE, "").split(","))))
    algorithm = os.environ.get(ALGORITHM_VARIABLE) or "RS256"
    return Identity(issuer, os.environ.get(AUDIENCE_VARIABLE, ""), callers, algorithm)


def check_host(host: str, identity: Identity | None) -> None:
    """Let a service listen at an address, if those who reach it there are asked who they are.

    Raises:
        ValueError: they would not be.
    """
    if identity is not None or _is_loopback(host):
        return
    if not _is_insecure():
        raise ValueError(
            f"other machines can reach {host}, and without an identity anyone there could publish: listen on "
            f"127.0.0.1, set {ISSUER_VARIABLE} and what belongs to it, or {INSECURE_VARIABLE}=true to serve them all "
            "the same"
        )
    _log.warning("this service has no identity, and whoever reaches it at %s can have it publish", host)


def _is_insecure() -> bool:
    return os.environ.get(INSECURE_VARIABLE, "").lower() in _TRUE


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return host.lower() == "localhost"
