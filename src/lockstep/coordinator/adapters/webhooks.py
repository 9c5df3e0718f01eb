"""Webhooks over HTTP: one event as one signed request, by the Standard Webhooks scheme, and what came of it.

The id of the message is that of the event, the same at every try and redelivery, so that a receiver can leave out
what it has already. Redirects are not followed: the address was checked, and where it leads to was not. An answer is
read up to a bound and thrown away; only its status counts.
"""

import json
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import aiohttp

from lockstep.coordinator.adapters.addresses import ANY_PRIVATE, AddressGuard
from lockstep.coordinator.adapters.http_client import HttpClient
from lockstep.coordinator.core.announcing import Outcome, Receiver
from lockstep.coordinator.core.records import Event
from lockstep.coordinator.ports import Clock

if TYPE_CHECKING:
    from standardwebhooks import Webhook

_ANSWER_LIMIT_BYTES: Final = 64 * 1024
_CAUSE_CHARS: Final = 300
_TAKEN: Final = range(200, 300)


class HttpWebhooks(HttpClient):
    """The port `Carrier` for webhooks; an asynchronous context manager that holds the connections.

    Args:
        clock: the time that is signed with each message.
        timeout_s: how long one request may take, from connecting to the end of the answer.
        guard: which addresses are called.
    """

    def __init__(self, clock: Clock, timeout_s: float = 15, guard: AddressGuard = ANY_PRIVATE) -> None:
        super().__init__(timeout_s, {"Content-Type": "application/json"}, guard.connector)
        self._clock = clock

    async def carry(self, receiver: Receiver, event: Event) -> Outcome:
        """Post an event to a webhook."""
        now = self._clock.now()
        body = message(event)
        headers = signed(receiver.secrets(now), event.kf_id, now, body)
        try:
            async with self._session.post(
                receiver.target, data=body.encode(), headers=headers, allow_redirects=False
            ) as answer:
                await answer.content.read(_ANSWER_LIMIT_BYTES)
                return _outcome(answer.status, answer.headers.get("Retry-After"))
        except TimeoutError:
            return Outcome(taken=False, error=f"no answer within {self._timeout_s:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Outcome(taken=False, error=" ".join(str(error).split())[:_CAUSE_CHARS] or type(error).__name__)


def message(event: Event) -> str:
    """Return what a webhook is told of an event."""
    created_at = event.created_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    told = {
        "type": f"event.{event.event_type}",
        "timestamp": created_at,
        "data": {
            "kf_id": event.kf_id,
            "event_type": event.event_type,
            "message": event.message,
            "task_service": event.task_service_id,
            "task": event.task_id,
            "release": event.release_id,
            "actor": event.actor,
            "created_at": created_at,
        },
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def signed(secrets: tuple[str, ...], message_id: str, now: datetime, body: str) -> dict[str, str]:
    """Return the headers that sign a message, with each of some secrets."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(_signer(secret).sign(message_id, now, body) for secret in secrets),
    }


@lru_cache(maxsize=100)
def _signer(secret: str) -> "Webhook":
    from standardwebhooks import Webhook  # noqa: PLC0415 - only where there are webhooks

    return Webhook(secret)


def _outcome(status: int, retry_after: str | None) -> Outcome:
    if status in _TAKEN:
        return Outcome(taken=True, status=status)
    asked_for_s = float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else None
    return Outcome(taken=False, status=status, error=f"HTTP {status}", retry_after_s=asked_for_s)
