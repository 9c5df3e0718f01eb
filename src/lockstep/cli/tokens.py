"""The tokens of those who signed in, by the coordinator that they are for; a token is shown to no other.

They are kept in a file of mode 0600. A token that is about to expire is exchanged for a new one when the issuer gave
the means for it (`refresh_token`). No command prints them.
"""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from lockstep.cli.endings import Refused
from lockstep.cli.kept_files import keep, read_secret
from lockstep.cli.profiles import folder

TOKEN_VARIABLE: Final = "LOCKSTEP_TOKEN"  # noqa: S105 - where it is, not what it is
"""The environment variable with the token; not an option, since others can see the options of a program that runs."""

_MARGIN_S: Final = 30.0
"""A token that expires sooner than this is taken for expired: the way takes time, and clocks differ."""


@dataclass(frozen=True, slots=True)
class Token:
    """What somebody signed in with.

    Attributes:
        access: what is shown to the coordinator.
        expires_at: in seconds since 1970; 0 when nobody said.
        refresh: what it can be renewed with; empty when it cannot.
        endpoint: where it is renewed.
        client_id: whose it is at the issuer.
    """

    access: str
    expires_at: float = 0.0
    refresh: str = ""
    endpoint: str = ""
    client_id: str = ""

    def __repr__(self) -> str:
        return "Token(…)"

    @property
    def is_fresh(self) -> bool:
        """Whether it can still be shown."""
        return not self.expires_at or time.time() + _MARGIN_S < self.expires_at


def token_file() -> Path:
    """Return the file of the tokens."""
    return folder() / "tokens.json"


def kept_token(server: str) -> Token | None:
    """Return what is kept for a coordinator; None when nobody signed in there.

    Raises:
        Refused: the file of the tokens cannot be used.
    """
    kept = _read().get(_origin(server))
    return Token(**kept) if kept else None


def keep_token(server: str, token: Token) -> None:
    """Keep a token for a coordinator."""
    _write({**_read(), _origin(server): asdict(token)})


def forget_token(server: str) -> bool:
    """Forget the token for a coordinator; tell whether there was one."""
    kept = _read()
    gone = kept.pop(_origin(server), None)
    if gone is not None:
        _write(kept)
    return gone is not None


async def token_for(server: str) -> str:
    """Return what is shown to a coordinator: the environment's token, or the one that is kept; "" when there is none.

    Raises:
        Refused: the one that is kept has expired and cannot be renewed.
    """
    if TOKEN_VARIABLE in os.environ:
        return os.environ[TOKEN_VARIABLE]
    token = kept_token(server)
    if token is None or token.is_fresh:
        return token.access if token else ""
    if not token.refresh:
        raise Refused(f"Your sign-in at {server} has expired. `lockstep login` signs you in again.")
    from lockstep.cli.device import renewed

    token = await renewed(token)
    keep_token(server, token)
    return token.access


def _read() -> dict[str, dict[str, Any]]:
    path = token_file()
    text = read_secret(path)
    try:
        kept = json.loads(text) if text else {}
        if not all(Token(**fields) for fields in kept.values()):
            raise ValueError  # noqa: TRY301 - told like the rest of what can be wrong
    except (ValueError, TypeError, AttributeError) as error:
        raise Refused(f"{path} holds no tokens; remove it, and sign in again with `lockstep login`.") from error
    return dict(kept)


def _write(kept: Mapping[str, object]) -> None:
    keep(token_file(), json.dumps(kept, indent=2) + "\n")


def _origin(server: str) -> str:
    parts = urlsplit(server.rstrip("/"))
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path}"
