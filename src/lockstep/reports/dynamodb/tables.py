"""The three tables that reports are kept in, and how they come to be.

Keys and indexes are those that readers in the field know. One index is new: it holds the rows that are public, by the
time of publishing, so that what of a study was published last is found at once. Making them may be repeated: what is
there already stays as it is and gets the indexes that it lacks, and a table with other keys is refused.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lockstep.reports.dynamodb.calls import Calls, NoTable, WrongState
from lockstep.taskkit import StoreUnavailable

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import GlobalSecondaryIndexTypeDef, TableDescriptionTypeDef

BY_TIME: Final = "CreatedAtIndex"
BY_PUBLISHING: Final = "PublishedAtIndex"
BY_TASK: Final = "global_task_id"

READY_WITHIN_S: Final = 600.0
"""How long a table or an index may take to be made; an index over a long history takes minutes."""

KNOWN_WITHIN_S: Final = 30.0

_PAUSE_S: Final = 0.5


class WrongTable(ValueError):
    """A table of the name that was chosen is there, and it is not one for reports."""


@dataclass(frozen=True, slots=True)
class Tables:
    """The names of the tables."""

    task: str = "release-reports"
    release_summary: str = "release-summary"
    study_summary: str = "study-summary"


@dataclass(frozen=True, slots=True)
class _Index:
    keys: tuple[str, str]
    projection: str

    def definition(self, name: str) -> "GlobalSecondaryIndexTypeDef":
        projection: Any = {"ProjectionType": self.projection}
        return {"IndexName": name, "KeySchema": _key_schema(self.keys), "Projection": projection}


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a table has to be; the first of its keys says on which shelf an item lies, the second where on it."""

    name: str
    keys: tuple[str, ...]
    indexes: Mapping[str, _Index]
    numbers: frozenset[str] = frozenset()

    def attributes(self) -> list[Any]:
        """Return the attributes that are keys of anything, each of which has to be declared."""
        names = dict.fromkeys([*self.keys, *(key for index in self.indexes.values() for key in index.keys)])
        return [{"AttributeName": name, "AttributeType": "N" if name in self.numbers else "S"} for name in names]


def create_tables(calls: Calls, tables: Tables) -> Iterator[str]:
    """Make the tables and indexes that are not there, and yield a sentence about each table when it is ready.

    Raises:
        WrongTable: a table of a chosen name has other keys.
        StoreUnavailable: DynamoDB refuses, cannot be reached, or took too long.
    """
    for plan in _plans(tables):
        made = _create(calls, plan)
        found = _ready(calls, plan)
        missing = [name for name in plan.indexes if name not in _indexes(found)]
        for name in missing:
            with suppress(WrongState):
                _add_index(calls, plan, name)
            _ready(calls, plan)
        if made:
            yield f"table {plan.name} is made"
        elif missing:
            yield f"table {plan.name} was there and got the index {' and '.join(missing)}"
        else:
            yield f"table {plan.name} was there already"


def _plans(tables: Tables) -> tuple[_Plan, ...]:
    by_task = {BY_TASK: _Index(("task_id", "created_at"), "KEYS_ONLY")}
    of_study = {
        BY_TIME: _Index(("study_id", "created_at"), "ALL"),
        BY_PUBLISHING: _Index(("study_id", "published_at"), "KEYS_ONLY"),
    }
    return (
        _Plan(tables.task, ("task_id",), by_task, numbers=frozenset({"created_at"})),
        _Plan(tables.release_summary, ("release_id",), {}),
        _Plan(tables.study_summary, ("release_id", "study_id"), of_study),
    )


def _key_schema(keys: tuple[str, ...]) -> list[Any]:
    return [{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)]


def _create(calls: Calls, plan: _Plan) -> bool:
    """Make a table; False when there is one of that name."""
    arguments: dict[str, Any] = {
        "TableName": plan.name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": _key_schema(plan.keys),
        "AttributeDefinitions": plan.attributes(),
    }
    if plan.indexes:
        arguments["GlobalSecondaryIndexes"] = [index.definition(name) for name, index in plan.indexes.items()]
    try:
        calls.ask(calls.client.create_table, **arguments)
    except WrongState:
        return False
    return True


def _add_index(calls: Calls, plan: _Plan, name: str) -> None:
    index: Any = {"Create": plan.indexes[name].definition(name)}
    calls.ask(
        calls.client.update_table,
        TableName=plan.name,
        AttributeDefinitions=plan.attributes(),
        GlobalSecondaryIndexUpdates=[index],
    )


def _ready(calls: Calls, plan: _Plan) -> "TableDescriptionTypeDef":
    """Wait until a table and its indexes can be used, and return what it is."""
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        found = _described(calls, plan)
        keys = {key["AttributeName"]: key["KeyType"] for key in found["KeySchema"]}
        wanted = {key["AttributeName"]: key["KeyType"] for key in _key_schema(plan.keys)}
        if keys != wanted:
            raise WrongTable(
                f"the table {plan.name} has the keys {', '.join(keys)}, and one for reports has "
                f"{', '.join(wanted)}; choose another name, or remove that table"
            )
        if found["TableStatus"] == "ACTIVE" and set(_indexes(found).values()) <= {"ACTIVE"}:
            return found
        if time.monotonic() > deadline:
            raise StoreUnavailable(f"the table {plan.name} was not ready within {READY_WITHIN_S:g} s; ask again later")
        time.sleep(_PAUSE_S)


def _described(calls: Calls, plan: _Plan) -> "TableDescriptionTypeDef":
    """Return what a table is; one that was made a moment ago may not be known everywhere yet."""
    deadline = time.monotonic() + KNOWN_WITHIN_S
    while True:
        try:
            return calls.ask(calls.client.describe_table, TableName=plan.name)["Table"]
        except NoTable:
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_S)


def _indexes(table: "TableDescriptionTypeDef") -> dict[str, str]:
    return {index["IndexName"]: index["IndexStatus"] for index in table.get("GlobalSecondaryIndexes", [])}
