"""Topics and their subscribers: SNS with an SQS queue that is subscribed, over HTTP."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3

REGION = "eu-west-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "played", "AWS_SECRET_ACCESS_KEY": "played"}


@contextmanager
def sns_server() -> Iterator[str]:
    command = [sys.executable, str(Path(__file__).with_name("sns_server.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


class Topic:
    """A topic with a queue that is subscribed to it, as the Slack notifier is."""

    def __init__(self, url: str) -> None:
        session = boto3.session.Session("played", "played", region_name=REGION)
        self._sqs = session.client("sqs", endpoint_url=url)
        sns = session.client("sns", endpoint_url=url)
        name = f"releases-{uuid4().hex[:8]}"
        self.arn = sns.create_topic(Name=name)["TopicArn"]
        self._queue = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        asked = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])
        sns.subscribe(TopicArn=self.arn, Protocol="sqs", Endpoint=asked["Attributes"]["QueueArn"])

    def arrived(self) -> list[str]:
        """Take what has arrived: the text of each message, as a subscriber reads it."""
        texts: list[str] = []
        while True:
            answer: Any = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10)
            messages = answer.get("Messages", [])
            if not messages:
                return texts
            for message in messages:
                texts.append(json.loads(message["Body"])["Message"])
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
