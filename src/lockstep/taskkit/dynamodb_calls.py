"""Requests to DynamoDB: each is repeated while that can help, and its errors come back in our words.

DynamoDB throttles by design: a partition takes a thousand writes per second, and a new table warms up. So a request
that was throttled, that met a passing fault or that nobody answered is repeated, after pauses that double and differ
by chance. boto3's own repeating is switched off, so that there is one patience and not two. What no repeating mends
ends in `StoreUnavailable`, with a sentence that names no address and no account.

A write that was not made because its condition does not hold ends in `WrongState`. After a broken connection that may
be the write's own doing: whoever asked has to look at what is there now.

Importing this module loads boto3, which the extra `aws` brings; so it is imported only where DynamoDB is used.
"""

import math
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Final, ParamSpec, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoRegionError
from botocore.exceptions import ConnectionError as NoConnection
from botocore.parsers import ResponseParserError

from lockstep.taskkit.store import StoreUnavailable

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient

P = ParamSpec("P")
R = TypeVar("R")

ATTEMPTS: Final = 10
PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 5.0

_CONNECTIONS: Final = 64
_CONNECT_TIMEOUT_S: Final = 3.0
_TIMEOUT_S: Final = 10.0
_SERVER_ERRORS: Final = 500
_ANSWERS: Final = "application/x-amz-json"

_WRONG_STATE: Final = frozenset({"ConditionalCheckFailedException", "ConditionalCheckFailed", "ResourceInUseException"})
_PASSING: Final = frozenset(
    {
        "InternalServerError",
        "ItemCollectionSizeLimitExceededException",
        "LimitExceededException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingError",
        "ThrottlingException",
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
        "None",
    }
)
_NO_TABLE: Final = "ResourceNotFoundException"
_OUT_OF_REACH: Final = "nothing can be reached where DynamoDB should be"
_REMEDIES: Final = {
    "AccessDeniedException": "this program may not use the tables; its role or user needs the right to",
    "UnrecognizedClientException": "the AWS credentials are not known there",
    "InvalidSignatureException": "the AWS credentials are wrong",
    "ExpiredTokenException": "the AWS credentials have expired",
    "NoCredentialsError": "no AWS credentials are set; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY would set them",
    "EndpointConnectionError": _OUT_OF_REACH,
    "ConnectTimeoutError": _OUT_OF_REACH,
}


class WrongState(Exception):
    """A write was not made, because what is there is not what it expects."""


class NoTable(StoreUnavailable):
    """A table is not there."""


def connect(
    *, endpoint_url: str | None = None, region: str | None = None, timeout_s: float = _TIMEOUT_S
) -> "DynamoDBClient":
    """Open a client; credentials, and the region unless one is given, come from where AWS programs find theirs.

    An answer may take `timeout_s`.

    Raises:
        ValueError: no region is set, or the address is none.
    """
    config = Config(
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=timeout_s,
        max_pool_connections=_CONNECTIONS,
        retries={"total_max_attempts": 1},
    )
    session = boto3.session.Session(region_name=region or os.environ.get("AWS_REGION"))
    try:
        return session.client("dynamodb", endpoint_url=endpoint_url, config=config)
    except NoRegionError:
        raise ValueError("no AWS region is set; AWS_REGION=us-east-1 would set one") from None


class Calls:
    """What asks DynamoDB.

    Args:
        client: a client as `connect` opens it.
        attempts: how often a request is made at most.
        pause_s: the longest that the first pause may take; it doubles with each further one.
        patience_s: after how long no further attempt is made, in seconds.
    """

    tables: ClassVar = "the tables in DynamoDB"
    no_table: ClassVar = "a table is not there"

    def __init__(
        self,
        client: "DynamoDBClient",
        *,
        attempts: int = ATTEMPTS,
        pause_s: float = PAUSE_S,
        patience_s: float = math.inf,
    ) -> None:
        self.client = client
        self._patience_s = patience_s
        self._attempts = attempts
        self._pause_s = pause_s

    def ask(self, operation: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what an operation of the client returns.

        Raises:
            WrongState: the condition of a write does not hold.
            StoreUnavailable: it was refused, or asked in vain as often as patience allows.
        """
        end = time.monotonic() + self._patience_s
        for attempt in count(1):
            try:
                return _of_dynamodb(operation(*args, **kwargs))
            except (BotoCoreError, ClientError, ResponseParserError) as error:
                codes = _codes(error)
                if codes & _WRONG_STATE:
                    raise WrongState(str(error)) from error
                is_enough = attempt >= self._attempts or time.monotonic() > end
                if is_enough or not _is_passing(error, codes):
                    kind = NoTable if _NO_TABLE in codes else StoreUnavailable
                    raise kind(f"{self.tables} cannot be used: {self._reason(error, codes)}") from error
            self._pause(attempt)
        raise AssertionError

    def query(self, **arguments: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - as the client's own
        """Yield the items that a query finds, over all of its pages.

        Raises:
            StoreUnavailable: a page could not be had.
        """
        following: dict[str, Any] = {}
        while True:
            page = self.ask(self.client.query, **arguments, **following)
            yield from page["Items"]
            if not page.get("LastEvaluatedKey"):
                return
            following = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def _reason(self, error: Exception, codes: set[str]) -> str:
        if _NO_TABLE in codes:
            return self.no_table
        names = (codes - {"None"}) or {type(error).__name__}
        return next((remedy for name, remedy in _REMEDIES.items() if name in names), None) or ", ".join(sorted(names))

    def _pause(self, attempt: int) -> None:
        longest_s = min(LONGEST_PAUSE_S, self._pause_s * 2 ** (attempt - 1))
        time.sleep(random.uniform(0, longest_s))  # noqa: S311 - chance against crowds, not against guessing


def _of_dynamodb(answer: R) -> R:
    """Let an answer of DynamoDB pass; boto3 takes any page with status 200 for an answer without content.

    Raises:
        ResponseParserError: it is something else.
    """
    metadata: Any = answer.get("ResponseMetadata", {}) if isinstance(answer, Mapping) else {}
    if not metadata.get("HTTPHeaders", {}).get("content-type", "").startswith(_ANSWERS):
        raise ResponseParserError("not an answer of DynamoDB")
    return answer


def _codes(error: Exception) -> set[str]:
    """Return the codes of an error; a transaction that was canceled has one for each of its writes."""
    if not isinstance(error, ClientError):
        return set()
    reasons: Any = error.response.get("CancellationReasons", [])
    return {reason.get("Code", "None") for reason in reasons} or {error.response["Error"].get("Code", "")}


def _is_passing(error: Exception, codes: set[str]) -> bool:
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= _SERVER_ERRORS or codes <= _PASSING
    return isinstance(error, NoConnection | HTTPClientError | ResponseParserError)
