"""Reports as items of DynamoDB, and back. Pure.

Besides what readers in the field know (`release_id`, `task_id`, `version`, `state`, `created_at`, a number per entity),
an item holds `unknown` and `sources`, `published_at` as long as it is public, and marks of who wrote it:

* `revision`: which change the item was last part of. Revisions of a release follow each other in the order of text,
  and no two are the same. A write that belongs to an earlier one than the item's own comes too late.
* `draft`: the revision in which the counts were written. The item of the release names the draft that is valid, and
  an item of a study with another one is not shown, or as not counted.
* `turn`, of a release only: the revision that made what is shown of it.

Numbers are whole, and DynamoDB's decimals are turned back into them here. An item may have 400 KB.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import uuid4

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from lockstep.dataservice.entities import REPORTED
from lockstep.reports.counting import Count, Known, Total, Unknown
from lockstep.reports.report import Heading, Mark, ReleaseSummary, ReportState, StudySummary

ITEM_LIMIT_BYTES: Final = 400 * 1024

Item = Mapping[str, Any]
"""An item in Python's own types."""

Encoded = dict[str, Any]
"""An item as it goes over the wire."""

_WORD_OF_OLD: Final = "data service"
"""The source of counts that were written before sources were: there was but one."""

_encode: Final = TypeSerializer().serialize
_decode: Final = TypeDeserializer().deserialize


class ItemTooLarge(Exception):
    """An item would have more bytes than DynamoDB takes."""


def encode(item: Item) -> Encoded:
    """Return an item as it goes over the wire; what is None is left out.

    Raises:
        ItemTooLarge: DynamoDB would not take it.
    """
    encoded = {name: _encode(value) for name, value in item.items() if value is not None}
    size = sum(_bytes(name) + _size(value) for name, value in encoded.items())
    if size > ITEM_LIMIT_BYTES:
        whose = item.get("study_id") or item.get("release_id")
        raise ItemTooLarge(
            f"the row of {whose} would have {size:,} bytes, and DynamoDB takes {ITEM_LIMIT_BYTES:,}; "
            "a release of fewer studies would fit"
        )
    return encoded


def decode(encoded: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item in Python's own types."""
    return {name: _whole(_decode(value)) for name, value in encoded.items()}


def new_revision(item: Item | None) -> str:
    """Return the revision that follows the one of an item."""
    number = int(item.get("revision", "0-").split("-")[0]) + 1 if item else 1
    return f"{number:09}-{uuid4().hex}"


def mark_of(item: Item | None) -> Mark | None:
    """Return the mark on the item of a release; one that only announces a change bears none."""
    return Mark(item["task_id"], _state(item["state"])) if item and "state" in item else None


def release_item(summary: ReleaseSummary, revision: str, study_ids: str | None) -> dict[str, Any]:
    """Return the item of a release; `study_ids` names its studies while their items may be missing."""
    unknown = {entity: total.gap for entity, total in summary.totals.items() if total.gap is not None}
    return {
        **_heading_to_item(summary.heading),
        "studies": summary.studies,
        **{entity: summary.totals[entity].number for entity in REPORTED},
        "unknown": unknown,
        "study_ids": study_ids,
        "revision": revision,
        "draft": revision,
    }


def release_summary(item: Item) -> ReleaseSummary:
    """Return the row that the item of a release holds."""
    unknown = item.get("unknown", {})
    totals = {entity: Total(item.get(entity), unknown.get(entity)) for entity in REPORTED}
    return ReleaseSummary(heading_of(item), item["studies"], totals)


def study_item(summary: StudySummary, revision: str) -> dict[str, Any]:
    """Return the item of a study in a release."""
    known = {entity: count for entity, count in summary.counts.items() if isinstance(count, Known)}
    sources: dict[str, set[str]] = {}
    for entity, count in known.items():
        sources.setdefault(count.source, set()).add(entity)
    return {
        **_heading_to_item(summary.heading),
        "study_id": summary.study_id,
        **{entity: count.number for entity, count in known.items()},
        "unknown": {
            entity: {"reason": count.reason, "withheld": count.withheld, "source": count.source}
            for entity, count in summary.counts.items()
            if isinstance(count, Unknown)
        },
        "sources": sources,
        "revision": revision,
        "draft": revision,
    }


def study_summary(heading: Heading, study_id: str, item: Item | None) -> StudySummary:
    """Return the row of a study under the heading of its release; without an item, it was not counted."""
    if item is None:
        return StudySummary(heading, study_id, {})
    source_of = {entity: source for source, entities in item.get("sources", {}).items() for entity in entities}
    unknown = item.get("unknown", {})
    counts: dict[str, Count] = {}
    for entity in REPORTED:
        if entity in unknown:
            counts[entity] = Unknown(**unknown[entity])
        elif entity in item:
            counts[entity] = Known(item[entity], source_of.get(entity, _WORD_OF_OLD))
    return StudySummary(heading, study_id, counts)


def task_item(heading: Heading) -> dict[str, Any]:
    """Return the item of a task; its time is in seconds since 1970."""
    return {
        "task_id": heading.task_id,
        "release_id": heading.release_id,
        "created_at": Decimal(str(heading.created_at.timestamp())),
        "state": heading.state.value,
    }


def heading_of(item: Item) -> Heading:
    """Return the heading that the item of a release holds."""
    return Heading(
        release_id=item["release_id"],
        task_id=item["task_id"],
        version=item.get("version"),
        state=_state(item["state"]),
        created_at=moment(item["created_at"]),
        published_at=moment(item["published_at"]) if item.get("published_at") else None,
    )


def time_text(moment: datetime) -> str:
    """Return a time so that the order of texts is the order of times."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def moment(text: str) -> datetime:
    """Return the time that a text means; without a zone, as older services wrote it, it is taken for UTC."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _heading_to_item(heading: Heading) -> dict[str, Any]:
    return {
        "release_id": heading.release_id,
        "task_id": heading.task_id,
        "version": heading.version,
        "state": heading.state.value,
        "created_at": time_text(heading.created_at),
        "published_at": time_text(heading.published_at) if heading.published_at else None,
    }


def _state(word: str) -> ReportState:
    """Return the state that a word means; older services wrote the release's state at the time of counting."""
    return ReportState(word) if word in set(ReportState) else ReportState.RUNNING


def _whole(value: Any) -> Any:  # noqa: ANN401 - whatever an item holds
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else value
    return {name: _whole(inner) for name, inner in value.items()} if isinstance(value, dict) else value


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _size(value: Mapping[str, Any]) -> int:
    """Return how many bytes DynamoDB counts for a value, or a few more."""
    ((kind, content),) = value.items()
    match kind:
        case "M":
            return 3 + sum(1 + _bytes(name) + _size(inner) for name, inner in content.items())
        case "SS":
            return sum(_bytes(text) for text in content)
        case "BOOL":
            return 1
        case _:
            return _bytes(content)
