"""The same readings as in `graph`, over rows in memory, which are few enough to be looked through one by one."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from lockstep.coordinator.core.callers import Sight
from lockstep.coordinator.core.graph import Comparison, Condition, Entity, Node, Piece, Record, Wanted
from lockstep.coordinator.core.model import Release
from lockstep.coordinator.core.records import Study, TaskService, TaskView
from lockstep.coordinator.core.versions import Version
from lockstep.coordinator.store.memory_tables import MemoryPart

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class MemoryBatches(MemoryPart):
    """The port `Batches`."""

    async def look_up(self, entity: Entity, kf_ids: Sequence[str], sight: Sight) -> Mapping[str, Node]:
        """Return those of some rows that are there and may be seen, by their ids; deleted services are among them."""
        rows = self._of(entity)
        if entity is Entity.SERVICE:
            rows = {**rows, **self._tables.deleted_services}
        found = ((kf_id, rows[kf_id]) for kf_id in kf_ids if kf_id in rows)
        return {kf_id: _node(kf_id, row) for kf_id, row in found if self._seen(row, sight)}

    async def listed(self, wanted: Wanted, sight: Sight) -> Piece:
        """Return part of a whole list."""
        return self._piece(wanted, sight, lambda _: True)

    async def listed_of(
        self, wanted: Wanted, parent_ids: Sequence[str], sight: Sight, limit: int
    ) -> Mapping[str, Piece]:
        """Return part of the list of each parent, and no more than `limit` rows of all of them together."""
        pieces: dict[str, Piece] = {}
        for parent_id in parent_ids:
            piece = self._piece(wanted, sight, self._belongs(wanted, parent_id))
            if piece.nodes and limit > 0:
                pieces[parent_id] = Piece(piece.nodes[:limit], piece.start, piece.more)
                limit -= len(piece.nodes)
        return pieces

    def _piece(self, wanted: Wanted, sight: Sight, belongs: Callable[[Any], bool]) -> Piece:
        rows = [
            (kf_id, row)
            for kf_id, row in self._in_order(wanted)
            if belongs(row) and self._seen(row, sight) and all(_holds(row, each) for each in wanted.conditions)
        ]
        places = wanted.span.places(len(rows), wanted.most)
        end = len(rows) if wanted.span.before is None else min(wanted.span.before, len(rows))
        nodes = tuple(_node(kf_id, row) for kf_id, row in rows[places.start : places.stop])
        return Piece(nodes, places.start, places.stop < end)

    def _belongs(self, wanted: Wanted, parent_id: str) -> Callable[[Any], bool]:
        """Return the test whether a row belongs to a parent."""
        if wanted.entity is Entity.STUDY:
            release = self._tables.releases.get(parent_id)
            return lambda row: release is not None and row.kf_id in release.studies
        if wanted.entity is Entity.RELEASE:
            return lambda row: parent_id in row.studies
        name = f"{wanted.of}_id"
        return lambda row: parent_id == _value(row, name)

    def _in_order(self, wanted: Wanted) -> list[tuple[str, Any]]:
        rows = list(self._of(wanted.entity).items())
        if wanted.entity is Entity.STUDY:
            rows.sort(key=lambda item: (item[1].created_at or _LONG_AGO, item[0]))
        return rows if wanted.oldest_first else rows[::-1]

    def _of(self, entity: Entity) -> Mapping[str, Any]:
        tables = self._tables
        if entity is Entity.TASK:
            tasks = ((task, release_id) for release_id, of in tables.tasks.items() for task in of.values())
            return {task.kf_id: TaskView(task, release_id) for task, release_id in tasks}
        rows: Mapping[Entity, Mapping[str, Any]] = {
            Entity.RELEASE: tables.releases,
            Entity.STUDY: tables.studies,
            Entity.SERVICE: tables.services,
            Entity.EVENT: tables.events,
            Entity.NOTE: tables.notes,
        }
        return rows[entity]

    def _seen(self, row: Record, sight: Sight) -> bool:
        if isinstance(row, TaskService):
            return True
        if isinstance(row, Study):
            return sight.everything or (row.visible and not row.deleted) or row.kf_id in sight.studies
        return self._tables.seen(row.kf_id if isinstance(row, Release) else row.release_id, sight)


def _node(kf_id: str, row: Record) -> Node:
    """Return a row with a uuid: a release's own, and one that follows from the id of the others, which keep none."""
    if isinstance(row, Study):
        return Node(row)
    return Node(row, row.uuid if isinstance(row, Release) else uuid.uuid5(uuid.NAMESPACE_OID, kf_id).hex)


def _value(row: Record, name: str) -> Any:  # noqa: ANN401 - whatever the field holds
    """Return a field of a row; a task's own are inside of its view, under the name that its table has for them."""
    if isinstance(row, TaskView) and name != "release_id":
        return getattr(row.task, name.replace("task_service_id", "service_id"))
    return getattr(row, name)


def _holds(row: Record, condition: Condition) -> bool:
    value: Any = condition.value
    if isinstance(value, Version):
        return bool(_value(row, "version") == value)
    field = _value(row, condition.field)
    if condition.test is Comparison.IS:
        return bool(field == value)
    if field is None:
        return False
    if condition.test is Comparison.CONTAINS:
        return value.lower() in field.lower()
    return bool(field < value if condition.test is Comparison.BEFORE else field > value)
