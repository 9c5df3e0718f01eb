"""A topic of Amazon's Simple Notification Service: one event as one message, in the form that its subscribers know.

A message is JSON with the key `default`, whose text is JSON again, with five keys in a fixed order. The library is
loaded when the first message is sent, and calls run on a thread. Trying again is the courier's business, so the
library is told to try once.
"""

import asyncio
import json
from functools import cached_property
from typing import TYPE_CHECKING, Final

from lockstep.coordinator.core.announcing import Outcome, Receiver
from lockstep.coordinator.core.records import Event

if TYPE_CHECKING:
    from types_boto3_sns import SNSClient

_CAUSE_CHARS: Final = 300
_REGION_PART: Final = 3


class SnsTopic:
    """The port `Carrier` for the one topic of a deployment.

    Args:
        arn: the topic.
        timeout_s: how long connecting may take, and then each wait for an answer.
        endpoint_url: where the service is, if it is not where Amazon has it; empty otherwise.
    """

    def __init__(self, arn: str, timeout_s: float = 15, endpoint_url: str = "") -> None:
        self._arn = arn
        self._timeout_s = timeout_s
        self._endpoint_url = endpoint_url or None

    async def carry(self, receiver: Receiver, event: Event) -> Outcome:  # noqa: ARG002 - the one topic
        """Publish an event to the topic."""
        return await asyncio.to_thread(self._publish, message(event))

    def _publish(self, text: str) -> Outcome:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - only where there is a topic

        try:
            self._client.publish(TopicArn=self._arn, Message=text, MessageStructure="json")
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return Outcome(taken=False, status=status, error=_shown(error))
        except BotoCoreError as error:
            return Outcome(taken=False, error=_shown(error))
        return Outcome(taken=True, status=200)

    @cached_property
    def _client(self) -> "SNSClient":
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415

        once = Config(retries={"total_max_attempts": 1}, connect_timeout=self._timeout_s, read_timeout=self._timeout_s)
        session = boto3.session.Session(region_name=region_of(self._arn))
        return session.client("sns", endpoint_url=self._endpoint_url, config=once)


def message(event: Event) -> str:
    """Return what a topic is told of an event."""
    told = {
        "event_type": event.event_type,
        "message": event.message,
        "task_service": event.task_service_id,
        "task": event.task_id,
        "release": event.release_id,
    }
    return json.dumps({"default": json.dumps(told)})


def region_of(arn: str) -> str:
    """Return the region that a topic is in, by its name `arn:aws:sns:REGION:ACCOUNT:TOPIC`."""
    return arn.split(":")[_REGION_PART]


def _shown(error: Exception) -> str:
    return " ".join(str(error).split())[:_CAUSE_CHARS]
