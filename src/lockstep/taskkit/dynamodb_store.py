"""Tasks in a table of DynamoDB, for the processes of one service on any number of machines.

The table has one key, `task_id`, and one index, `due`, of the tasks at work: an item has the attribute `due` for as
long as a function has to run for it, so that looking for work reads those few and not the history. The index may be
a moment behind; what it names is read again where it lies. A table that is not there is made, if that is allowed.

Every write names what it expects, and carries a mark of its own: where a connection broke and the write was repeated,
the condition fails on its own first attempt, and the mark tells that from somebody else's change.
"""

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lockstep.protocol.states import TaskState
from lockstep.taskkit.dynamodb_calls import Calls, NoTable, WrongState, connect
from lockstep.taskkit.lease import DEFAULT_LEASE_S
from lockstep.taskkit.store import StoredTask, StoreUnavailable
from lockstep.taskkit.task_document import from_document, to_document

INDEX: Final = "due"
READY_WITHIN_S: Final = 60.0

_TIMEOUT_S: Final = 3.0
_PATIENCE_S: Final = 3.0
"""Less than what a lease leaves to a holder that cannot beat."""

_PAUSE_S: Final = 0.2
_NEW: Final = "attribute_not_exists(task_id)"
_SEEN: Final = "#state = :state AND attempt = :attempt AND epoch = :epoch"
_NO_EPOCH: Final = -1
_DUE: Final = "yes"
_STAGED: Final = "staged"

Item = dict[str, Any]


class _TaskCalls(Calls):
    tables = "the tasks in DynamoDB"
    no_table = "the table is not there"


class DynamoDbStore:
    """Tasks in the table `table`, which many processes of one service may share, and no two services.

    Args:
        table: the table's name.
        endpoint_url: another address than that of AWS, such as a local DynamoDB.
        region: the AWS region; from where AWS programs find theirs if not given, and so are the credentials.
        lease_s: how long a process may stay silent before others take over its tasks, in seconds.
    """

    def __init__(
        self,
        table: str,
        *,
        endpoint_url: str | None = None,
        region: str | None = None,
        lease_s: float = DEFAULT_LEASE_S,
    ) -> None:
        self.table = table
        self.lease_s: float | None = lease_s
        self._place = {"endpoint_url": endpoint_url, "region": region}
        self._open: Calls | None = None

    def open(self) -> None:
        """Connect, and make the table unless it is there.

        Raises:
            StoreUnavailable: it cannot be used, or has another key.
        """
        if self._open is not None:
            return
        try:
            calls = _TaskCalls(connect(**self._place, timeout_s=_TIMEOUT_S), patience_s=_PATIENCE_S)
        except ValueError as error:
            raise StoreUnavailable(f"the tasks in DynamoDB cannot be used: {error}") from None
        self._make_ready(calls)
        self._open = calls

    def close(self) -> None:
        """Disconnect."""
        opened, self._open = self._open, None
        if opened is not None:
            opened.client.close()

    def get(self, task_id: str) -> StoredTask | None:
        """Return a task, or None when it is not known."""
        item = self._item(task_id)
        return None if item is None else from_document(item["task"]["S"])

    def add(self, task: StoredTask) -> bool:
        """Keep a new task; False when its id is taken."""
        return self._put(task, _NEW)

    def replace(self, seen: StoredTask, new: StoredTask) -> bool:
        """Put `new` in the place of `seen` unless its state, attempt or epoch changed."""
        expected = {f":{name}": value for name, value in _compared(seen).items()}
        if seen.task_id != new.task_id:
            return False
        return self._put(new, _SEEN, ExpressionAttributeNames={"#state": "state"}, ExpressionAttributeValues=expected)

    def due(self) -> Sequence[StoredTask]:
        """Return the tasks for which a function has to run."""
        return [task for task in self._indexed(_DUE) if task.is_due]

    def staged(self) -> Sequence[StoredTask]:
        """Return the tasks that wait for a decision."""
        return [task for task in self._indexed(_STAGED) if task.state is TaskState.STAGED]

    def _indexed(self, word: str) -> list[StoredTask]:
        keys = self._calls.query(
            TableName=self.table,
            IndexName=INDEX,
            KeyConditionExpression="due = :word",
            ExpressionAttributeValues={":word": {"S": word}},
        )
        found = [self.get(key["task_id"]["S"]) for key in keys]
        return [task for task in found if task is not None]

    @property
    def _calls(self) -> Calls:
        if self._open is None:
            raise StoreUnavailable(f"the tasks in the table {self.table} of DynamoDB are not open")
        return self._open

    def _item(self, task_id: str) -> Item | None:
        calls = self._calls
        key = {"task_id": {"S": task_id}}
        answer = calls.ask(calls.client.get_item, TableName=self.table, Key=key, ConsistentRead=True)
        return answer.get("Item")

    def _put(self, task: StoredTask, condition: str, **arguments: Any) -> bool:  # noqa: ANN401 - as the client's own
        calls, mark = self._calls, {"S": secrets.token_hex(8)}
        item: Item = {"task_id": {"S": task.task_id}, **_compared(task), "task": {"S": to_document(task)}, "mark": mark}
        if task.is_due or task.state is TaskState.STAGED:
            item["due"] = {"S": _DUE if task.is_due else _STAGED}
        try:
            calls.ask(
                calls.client.put_item, TableName=self.table, Item=item, ConditionExpression=condition, **arguments
            )
        except WrongState:
            there = self._item(task.task_id)
            return there is not None and there.get("mark") == mark
        return True

    def _make_ready(self, calls: Calls) -> None:
        """Make the table unless it is there, and wait until it can be used."""
        end = time.monotonic() + READY_WITHIN_S
        was_made = False
        while True:
            try:
                table = calls.ask(calls.client.describe_table, TableName=self.table)["Table"]
            except NoTable:
                if not was_made:
                    self._create(calls)
                    was_made = True
            else:
                self._check(table)
                indexes = table.get("GlobalSecondaryIndexes", [])
                if {table["TableStatus"], *(index["IndexStatus"] for index in indexes)} == {"ACTIVE"}:
                    return
            if time.monotonic() > end:
                raise StoreUnavailable(f"the table {self.table} of DynamoDB was not ready within {READY_WITHIN_S:g} s")
            time.sleep(_PAUSE_S)

    def _create(self, calls: Calls) -> None:
        try:
            calls.ask(
                calls.client.create_table,
                TableName=self.table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("task_id", "due")],
                KeySchema=[{"AttributeName": "task_id", "KeyType": "HASH"}],
                GlobalSecondaryIndexes=[
                    {
                        "IndexName": INDEX,
                        "KeySchema": [{"AttributeName": "due", "KeyType": "HASH"}],
                        "Projection": {"ProjectionType": "KEYS_ONLY"},
                    }
                ],
            )
        except WrongState:
            return  # another process made it just now

    def _check(self, table: Mapping[str, Any]) -> None:
        keys = [key["AttributeName"] for key in table["KeySchema"]]
        indexes = [index["IndexName"] for index in table.get("GlobalSecondaryIndexes", [])]
        if keys != ["task_id"] or INDEX not in indexes:
            raise StoreUnavailable(
                f"the table {self.table} of DynamoDB is not one for tasks, which has the key task_id and an index "
                f"{INDEX} on the attribute due; choose another name, and it is made"
            )


def _compared(task: StoredTask) -> Item:
    """Return what a change compares."""
    epoch = _NO_EPOCH if task.epoch is None else task.epoch
    return {"state": {"S": task.state.value}, "attempt": {"N": str(task.attempt)}, "epoch": {"N": str(epoch)}}
