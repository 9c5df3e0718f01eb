"""The items of the three tables, read and written one request at a time; what they mean is the store's business.

Every write names what it expects, and raises `WrongState` when that is not so. Every read that a decision rests on is
consistent. An index is not, so it only gives keys, and the items themselves are read where they lie.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lockstep.reports.dynamodb.calls import Calls
from lockstep.reports.dynamodb.rows import Encoded, Item, decode, encode, heading_of, task_item
from lockstep.reports.dynamodb.tables import BY_PUBLISHING, BY_TIME, Tables

_KEY_LIMIT_BYTES: Final = 1024
_NOT_OVERTAKEN: Final = "attribute_not_exists(revision) OR revision <= :revision"


@dataclass(frozen=True, slots=True)
class Found:
    """Items of releases by their ids, and items of studies by release and study."""

    releases: Mapping[str, Item]
    studies: Mapping[tuple[str, str], Item]


class ReportItems:
    """The items in the tables of these names."""

    def __init__(self, calls: Calls, tables: Tables) -> None:
        self._calls = calls
        self._tables = tables

    def release(self, release_id: str) -> dict[str, Any] | None:
        """Return the item of a release."""
        if not can_be_key(release_id):
            return None
        answer = self._calls.ask(
            self._calls.client.get_item,
            TableName=self._tables.release_summary,
            Key=encode({"release_id": release_id}),
            ConsistentRead=True,
        )
        return decode(answer["Item"]) if answer.get("Item") else None

    def studies(self, release_id: str) -> Iterator[dict[str, Any]]:
        """Yield the items of the studies of a release."""
        return map(decode, self._calls.query(**self._of_release(release_id)))

    def study_keys(self, release_id: str) -> Iterator[dict[str, Any]]:
        """Yield study and revision of these items, no more."""
        wanted = {"ProjectionExpression": "study_id, revision"}
        return map(decode, self._calls.query(**self._of_release(release_id), **wanted))

    def found(self, keys: Iterable[tuple[str, str]]) -> Found:
        """Return the items of some studies in some releases, and of these releases."""
        pairs = [pair for pair in keys if all(map(can_be_key, pair))]
        releases = dict.fromkeys(release_id for release_id, _ in pairs)
        items = self._calls.get_all(
            {
                self._tables.release_summary: [encode({"release_id": release_id}) for release_id in releases],
                self._tables.study_summary: [_study_key(*pair) for pair in pairs],
            }
        )
        studies = map(decode, items[self._tables.study_summary])
        return Found(
            {item["release_id"]: item for item in map(decode, items[self._tables.release_summary])},
            {(item["release_id"], item["study_id"]): item for item in studies},
        )

    def by_time(self, study_id: str, limit: int, after: Item | None) -> tuple[list[dict[str, Any]], Item | None]:
        """Return keys of items of a study, the newest first, and behind which of them the next ones come, if any."""
        start: dict[str, Any] = {"ExclusiveStartKey": encode(after)} if after else {}
        page = self._calls.ask(
            self._calls.client.query,
            TableName=self._tables.study_summary,
            IndexName=BY_TIME,
            ScanIndexForward=False,
            Limit=limit,
            KeyConditionExpression="study_id = :study_id",
            ExpressionAttributeValues=encode({":study_id": study_id}),
            ProjectionExpression="release_id",
            **start,
        )
        last = page.get("LastEvaluatedKey")
        return [decode(item) for item in page["Items"]], decode(last) if last else None

    def newest_public(self, study_id: str, before: str) -> dict[str, Any] | None:
        """Return release and time of the public item of a study that is the newest before a time."""
        page = self._calls.ask(
            self._calls.client.query,
            TableName=self._tables.study_summary,
            IndexName=BY_PUBLISHING,
            ScanIndexForward=False,
            Limit=1,
            KeyConditionExpression="study_id = :study_id AND published_at < :before",
            ExpressionAttributeValues=encode({":study_id": study_id, ":before": before}),
            ProjectionExpression="release_id, published_at",
        )
        return next(map(decode, page["Items"]), None)

    def claim(self, release_id: str, expected: str | None, revision: str) -> None:
        """Give the item of a release a new revision; `expected` is the one that it has, None for none."""
        is_expected = "attribute_not_exists(revision)" if expected is None else "revision = :expected"
        self._calls.ask(
            self._calls.client.update_item,
            TableName=self._tables.release_summary,
            Key=encode({"release_id": release_id}),
            UpdateExpression="SET revision = :revision",
            ConditionExpression=is_expected,
            ExpressionAttributeValues=encode({":revision": revision, ":expected": expected}),
        )

    def turn(self, release: Item, claimed: str) -> None:
        """Put the item of a release in the place of its claim, and that of its task with it: both or none."""
        put_release: Any = {
            "TableName": self._tables.release_summary,
            "Item": encode(release),
            "ConditionExpression": "revision = :claimed",
            "ExpressionAttributeValues": encode({":claimed": claimed}),
        }
        put_task: Any = {
            "TableName": self._tables.task,
            "Item": encode(task_item(heading_of(release))),
            "ConditionExpression": "attribute_not_exists(task_id) OR release_id = :release_id",
            "ExpressionAttributeValues": encode({":release_id": release["release_id"]}),
        }
        self._calls.ask(
            self._calls.client.transact_write_items, TransactItems=[{"Put": put_release}, {"Put": put_task}]
        )

    def put_study(self, item: Item) -> None:
        """Put the item of a study, unless it has been overtaken."""
        self._calls.ask(
            self._calls.client.put_item,
            TableName=self._tables.study_summary,
            Item=encode(item),
            ConditionExpression=_NOT_OVERTAKEN,
            ExpressionAttributeValues=encode({":revision": item["revision"]}),
        )

    def change_study(self, release_id: str, study_id: str, changes: Item) -> None:
        """Change attributes of the item of a study, unless it has been overtaken; what is None is removed."""
        removed = ", ".join(f"#{name}" for name, value in changes.items() if value is None)
        kept = ", ".join(f"#{name} = :{name}" for name, value in changes.items() if value is not None)
        self._calls.ask(
            self._calls.client.update_item,
            TableName=self._tables.study_summary,
            Key=_study_key(release_id, study_id),
            UpdateExpression=f"SET {kept}{f' REMOVE {removed}' if removed else ''}",
            ConditionExpression=f"attribute_exists(study_id) AND ({_NOT_OVERTAKEN})",
            ExpressionAttributeNames={f"#{name}": name for name in changes},
            ExpressionAttributeValues=encode({f":{name}": value for name, value in changes.items()}),
        )

    def remove_study(self, release_id: str, study_id: str, revision: str) -> None:
        """Remove the item of a study, unless it has been overtaken."""
        self._calls.ask(
            self._calls.client.delete_item,
            TableName=self._tables.study_summary,
            Key=_study_key(release_id, study_id),
            ConditionExpression=_NOT_OVERTAKEN,
            ExpressionAttributeValues=encode({":revision": revision}),
        )

    def _of_release(self, release_id: str) -> dict[str, Any]:
        return {
            "TableName": self._tables.study_summary,
            "ConsistentRead": True,
            "KeyConditionExpression": "release_id = :release_id",
            "ExpressionAttributeValues": encode({":release_id": release_id}),
        }


def can_be_key(text: str) -> bool:
    """Tell whether anything can lie under an id: DynamoDB refuses keys without a letter, and very long ones."""
    return 0 < len(text.encode("utf-8", "surrogatepass")) <= _KEY_LIMIT_BYTES


def _study_key(release_id: str, study_id: str) -> Encoded:
    return encode({"release_id": release_id, "study_id": study_id})
