"""What can be chosen about a check. Every time is in seconds."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """How a service is checked.

    Attributes:
        token: the bearer token that requests carry, if the service wants one.
        expired_token: one that was good once.
        host: where the played coordinator listens.
        port: its port; 0 for any, which a service can be told in `urls` only.
        studies: studies to ask for, instead of made-up ones.
        dataservice_url: where those studies are.
        restart: restarts the service; without it nothing is known of level 2 and above.
        patience_s: how long the staging or publishing of one task may take.
        settle_s: how long a task is watched that must not change any more.
        retell_s: how long the service has for reporting a state again that nobody took.
        answer_limit_s: how long an answer may take before it counts as none.
        at_once_s: how long an answer may take that comes at once.
        limit_s: how long the whole check may take, cleaning up not included.
        jobs: scenes that are played at the same time.
        only: the scenes to be played, by name; all if empty.
        random_bits: where ids come from.
    """

    token: str | None = None
    expired_token: str | None = None
    host: str = "127.0.0.1"
    port: int = 0
    studies: tuple[str, ...] = ()
    dataservice_url: str | None = None
    restart: Callable[[], Awaitable[None]] | None = None
    patience_s: float = 10.0
    settle_s: float = 0.7
    retell_s: float = 4.0
    answer_limit_s: float = 5.0
    at_once_s: float = 1.0
    limit_s: float = 55.0
    jobs: int = 4
    only: frozenset[str] = frozenset()
    random_bits: Callable[[int], int] = secrets.randbits
