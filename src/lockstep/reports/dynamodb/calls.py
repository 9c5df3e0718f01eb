"""Requests to DynamoDB for reports: many keys at once, and many requests at once.

How one request is repeated, and what its errors are called, is the task kit's business (`dynamodb_calls`).
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import count
from threading import Lock
from typing import Any, Final, TypeVar

from lockstep.taskkit import StoreUnavailable, dynamodb_calls
from lockstep.taskkit.dynamodb_calls import NoTable, WrongState, connect
from lockstep.taskkit.threads import start_thread

__all__ = ["BATCH_GET_LIMIT", "Calls", "NoTable", "WrongState", "connect", "in_parallel"]

T = TypeVar("T")

Keys = Mapping[str, Sequence[Mapping[str, Any]]]
"""Keys of items by the name of their table."""

THREADS: Final = 16
"""Requests at the same time: enough to come near to what one partition takes."""

BATCH_GET_LIMIT: Final = 100
"""Items that one request may ask for."""


class Calls(dynamodb_calls.Calls):
    """What asks DynamoDB for reports."""

    tables = "the tables of the reports in DynamoDB"
    no_table = "a table is not there; `lockstep reports create-tables` makes what is missing"

    def get_all(self, keys: Keys) -> dict[str, list[dict[str, Any]]]:
        """Return the items of some keys that are there, by table, as they are at this moment.

        Raises:
            StoreUnavailable: not all could be had.
        """
        found: dict[str, list[dict[str, Any]]] = {table: [] for table in keys}
        for batch in _batches(keys):
            left: Any = {table: {"Keys": some, "ConsistentRead": True} for table, some in batch.items()}
            for attempt in count(1):
                answer = self.ask(self.client.batch_get_item, RequestItems=left)
                for table, items in answer["Responses"].items():
                    found[table] += items
                left = answer.get("UnprocessedKeys")
                if not left:
                    break
                if attempt >= self._attempts:
                    raise StoreUnavailable("the reports cannot be read: DynamoDB left keys unprocessed again and again")
                self._pause(attempt)
        return found


def in_parallel(work: Callable[[T], object], items: Collection[T]) -> None:
    """Do some work with each of many items, in a few threads, and stop at the first error.

    Raises:
        Exception: the first that was raised.
    """
    remaining, lock = iter(items), Lock()
    errors: list[Exception] = []

    def keep_working() -> None:
        while not errors:
            with lock:
                item = next(remaining, None)
            if item is None:
                return
            try:
                work(item)
            except Exception as error:  # noqa: BLE001 - raised below
                errors.append(error)

    numbers = range(min(THREADS, len(items)))
    for thread in [start_thread(keep_working, f"lockstep dynamodb {number}") for number in numbers]:
        thread.join()
    if errors:
        raise errors[0]


def _batches(keys: Keys) -> Iterator[dict[str, list[Mapping[str, Any]]]]:
    """Cut keys into requests of a size that DynamoDB takes."""
    every = [(table, key) for table, some in keys.items() for key in some]
    for start in range(0, len(every), BATCH_GET_LIMIT):
        batch: dict[str, list[Mapping[str, Any]]] = {}
        for table, key in every[start : start + BATCH_GET_LIMIT]:
            batch.setdefault(table, []).append(key)
        yield batch
