"""Callback tokens: with one, a task service that has no token of its own can report on one task and no other.

A token names its task and is sealed with the deployment's secret, so that every process can make it, whenever a task
is initialized or initialized again, and check it without a look at the database, where there is nothing of it to
steal. It does as much as its task lasts: what is settled takes no reports.
"""

import base64
import hmac
from typing import Final

from lockstep.protocol.ids import Prefix, is_id

PREFIX: Final = "lockstep-callback"
_LIMIT_CHARS: Final = 200


class CallbackTokens:
    """Makes and checks callback tokens with one secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def issue(self, task_id: str) -> str:
        """Return the token of a task; the same one every time."""
        seal = hmac.digest(self._secret, f"{PREFIX}.{task_id}".encode(), "sha256")
        return f"{PREFIX}.{task_id}.{base64.urlsafe_b64encode(seal).rstrip(b'=').decode()}"

    def task_of(self, token: str) -> str | None:
        """Return the task that a token is for; None if it is no such token, or not of our making."""
        prefix, _, rest = token[:_LIMIT_CHARS].partition(".")
        task_id = rest.partition(".")[0]
        if prefix != PREFIX or not is_id(task_id, Prefix.TASK):
            return None
        return task_id if hmac.compare_digest(token.encode(), self.issue(task_id).encode()) else None
