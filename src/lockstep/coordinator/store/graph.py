"""Reading for those who follow links: each function is one statement, for however many parents it is asked.

The lists of many parents are read together, and of each no more than is wanted: for every parent the database walks an
index from one end of its list until it has enough, so that a study's newest release costs the same after ten releases
and after a hundred thousand. Postgres has a join for that (`LATERAL`); SQLite has the same in another form, a row whose
key is among those of a subquery. Only a part that is counted from the end of a list (`last`) has the list numbered.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Join,
    Select,
    and_,
    case,
    func,
    select,
    true,
)

from lockstep.coordinator.core.callers import Sight
from lockstep.coordinator.core.graph import Entity, Node, Piece, Span, Wanted
from lockstep.coordinator.core.records import Study, TaskView
from lockstep.coordinator.store.graph_conditions import (
    conditions_of,
    key_of,
    order_of,
    search_of,
    sight_conditions,
)
from lockstep.coordinator.store.rows import (
    EVENT_COLUMNS,
    NOTE_COLUMNS,
    RELEASE_COLUMNS,
    SERVICE_COLUMNS,
    TASK_COLUMNS,
    AnyRow,
    to_event,
    to_note,
    to_release,
    to_service,
    to_task,
)
from lockstep.coordinator.store.tables import event, release, release_note, release_study, study, task, task_service

Statement = Select[*tuple[Any, ...]]


def _cut(row: AnyRow, last: int) -> AnyRow:
    """Return a row without its last columns, which stand after those of its entity."""
    return cast("AnyRow", row[:-last])


_TABLES: Final = {
    Entity.RELEASE: release,
    Entity.STUDY: study,
    Entity.TASK: task,
    Entity.SERVICE: task_service,
    Entity.EVENT: event,
    Entity.NOTE: release_note,
}
_COLUMNS: Final[Mapping[Entity, tuple[ColumnElement[Any], ...]]] = {
    Entity.RELEASE: RELEASE_COLUMNS,
    Entity.STUDY: (study.c.kf_id, study.c.name, study.c.visible, study.c.deleted, study.c.created_at),
    Entity.TASK: (*TASK_COLUMNS, task.c.uuid),
    Entity.SERVICE: (*SERVICE_COLUMNS, task_service.c.uuid),
    Entity.EVENT: (*EVENT_COLUMNS, event.c.uuid),
    Entity.NOTE: (*NOTE_COLUMNS, release_note.c.uuid),
}
_NODES: Final[Mapping[Entity, Callable[[AnyRow], Node]]] = {
    Entity.RELEASE: lambda row: Node(to_release(row), row[-1]),
    Entity.STUDY: lambda row: Node(Study(*row)),
    Entity.TASK: lambda row: Node(TaskView(to_task(_cut(row, 1)), row[0]), row[-1]),
    Entity.SERVICE: lambda row: Node(to_service(_cut(row, 1)), row[-1]),
    Entity.EVENT: lambda row: Node(to_event(_cut(row, 1)), row[-1]),
    Entity.NOTE: lambda row: Node(to_note(_cut(row, 1)), row[-1]),
}
_LINK_COLUMNS: Final = {
    (Entity.TASK, Entity.RELEASE): "release_id",
    (Entity.TASK, Entity.SERVICE): "service_id",
    (Entity.EVENT, Entity.RELEASE): "release_id",
    (Entity.EVENT, Entity.SERVICE): "task_service_id",
    (Entity.EVENT, Entity.TASK): "task_id",
    (Entity.NOTE, Entity.RELEASE): "release_id",
    (Entity.NOTE, Entity.STUDY): "study_id",
}
"""The column of a child that holds its parent's id; studies and releases are linked by `release_study`."""


def look_up(connection: Connection, entity: Entity, kf_ids: Sequence[str], sight: Sight) -> Mapping[str, Node]:
    """Return those of some rows that are there and may be seen, by their ids; deleted services are among them."""
    table = _TABLES[entity]
    statement = _rows_of(entity).where(table.c.kf_id.in_(kf_ids), *sight_conditions(entity, table, sight, deleted=True))
    return {_id(entity, row): _NODES[entity](row) for row in connection.execute(statement)}


def listed(connection: Connection, wanted: Wanted, sight: Sight) -> Piece:
    """Return part of a whole list."""
    table, span = _TABLES[wanted.entity], wanted.span
    holds = [*search_of(wanted, table, sight), *conditions_of(wanted, table, sight)]
    statement = _rows_of(wanted.entity).where(*holds).order_by(*order_of(wanted, table))
    if span.last is None:
        return _piece(wanted, connection.execute(_part(statement, span, wanted.most)).all())
    total = connection.execute(select(func.count()).select_from(table).where(*holds)).scalar_one()
    places = span.places(total, wanted.most)
    rows = connection.execute(statement.offset(places.start).limit(len(places))).all()
    end = total if span.before is None else min(span.before, total)
    return Piece(tuple(map(_NODES[wanted.entity], rows)), places.start, places.stop < end)


def listed_of(
    connection: Connection, wanted: Wanted, parent_ids: Sequence[str], sight: Sight, limit: int
) -> Mapping[str, Piece]:
    """Return part of the list of each parent, and no more than `limit` rows of all of them together."""
    pick = _numbered if wanted.span.last is not None else _walked
    statement = pick(connection, wanted, parent_ids, sight).order_by(*order_of(wanted, _TABLES[wanted.entity]))
    rows_of: defaultdict[str, list[AnyRow]] = defaultdict(list)
    for row in connection.execute(statement.limit(limit)):
        rows_of[row[-1]].append(row)
    return {parent_id: _piece_of(wanted, rows) for parent_id, rows in rows_of.items()}


def _walked(connection: Connection, wanted: Wanted, parent_ids: Sequence[str], sight: Sight) -> Statement:
    """Return the statement that walks each parent's list from its start."""
    parent, child = _parent(wanted), _TABLES[wanted.entity]
    keys = _part(_keys(wanted, parent, sight), wanted.span, wanted.most).correlate(parent)
    if connection.dialect.name == "sqlite":
        source: FromClause = parent.join(child, key_of(child).in_(keys))
    else:
        near = keys.lateral("near")
        source = parent.join(near, true()).join(child, key_of(child) == near.c.key)
    columns = (*_COLUMNS[wanted.entity], parent.c.kf_id.label("parent"))
    return select(*columns).select_from(_whole(wanted.entity, source)).where(parent.c.kf_id.in_(parent_ids))


def _numbered(_: Connection, wanted: Wanted, parent_ids: Sequence[str], sight: Sight) -> Statement:
    """Return the statement that numbers each parent's list, to count from its end; the place is the last but one."""
    parent, child, span = _parent(wanted), _TABLES[wanted.entity], wanted.span
    keys = _keys(wanted, parent, sight)
    order = keys._order_by_clauses  # noqa: SLF001 - SQLAlchemy has no other way to ask
    place = func.row_number().over(partition_by=parent.c.kf_id, order_by=order) - 1
    total = func.count().over(partition_by=parent.c.kf_id)
    numbered = (
        keys.order_by(None)
        .add_columns(place.label("place"), total.label("total"), parent.c.kf_id.label("parent"))
        .where(parent.c.kf_id.in_(parent_ids))
        .subquery("numbered")
    )
    low, high = _bounds(numbered.c.total, span, wanted.most)
    source = child.join(numbered, key_of(child) == numbered.c.key)
    columns = (*_COLUMNS[wanted.entity], numbered.c.total, numbered.c.place, numbered.c.parent)
    here = and_(numbered.c.place >= low, numbered.c.place < high)
    return select(*columns).select_from(_whole(wanted.entity, source)).where(here)


def _bounds(total: ColumnElement[int], span: Span, most: int) -> tuple[ColumnElement[int], ColumnElement[int]]:
    """Return the first place of a part and the one after its last, as `Span.places` has them, in SQL."""

    def least(left: ColumnElement[int], right: ColumnElement[int] | int) -> ColumnElement[int]:
        return case((left < right, left), else_=right)

    high = total if span.before is None else least(total, span.before)
    if span.first is not None:
        high = least(high, span.low + span.first)
    from_end = high - (span.last or 0)
    low = case((from_end > span.low, from_end), else_=span.low)
    return low, least(high, low + most)


def _keys(wanted: Wanted, parent: FromClause, sight: Sight) -> Statement:
    """Return the statement for the keys of one parent's list, in order; what is the parent's is compared with it."""
    child = _TABLES[wanted.entity].alias("child")
    link, order = _linked(wanted, child, parent)
    holds = conditions_of(wanted, child, sight)
    return select(key_of(child).label("key")).select_from(link[0]).where(*link[1:], *holds).order_by(*order)


def _linked(wanted: Wanted, child: FromClause, parent: FromClause) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return what to read from, the conditions that link child and parent, and the order."""
    order = order_of(wanted, child)
    held = release_study.alias("held")
    if (wanted.entity, wanted.of) == (Entity.STUDY, Entity.RELEASE):
        source = held.join(child, held.c.study_id == child.c.kf_id)
        return (source, held.c.release_position == parent.c.position), order
    if (wanted.entity, wanted.of) == (Entity.RELEASE, Entity.STUDY):
        source = held.join(child, held.c.release_position == child.c.position)
        place = held.c.release_position
        return (source, held.c.study_id == parent.c.kf_id), (place if wanted.oldest_first else place.desc(),)
    links = [child.c[_LINK_COLUMNS[wanted.entity, Entity(wanted.of or "")]] == parent.c.kf_id]
    if (wanted.entity, wanted.of) == (Entity.EVENT, Entity.TASK):
        links.append(child.c.release_id == parent.c.release_id)  # by whose index the events are found
    return (child, *links), order


def _parent(wanted: Wanted) -> FromClause:
    return _TABLES[Entity(wanted.of or "")].alias("parent")


def _rows_of(entity: Entity) -> Statement:
    return select(*_COLUMNS[entity]).select_from(_whole(entity, _TABLES[entity]))


def _whole(entity: Entity, source: FromClause) -> FromClause | Join:
    """Return what the columns of an entity are read from: a task brings the name and address of its service."""
    return source.join(task_service, task.c.service_id == task_service.c.kf_id) if entity is Entity.TASK else source


def _part(statement: Statement, span: Span, most: int) -> Statement:
    """Return the statement for a part that is counted from the start, and one row more that tells whether there is."""
    high = span.high(most)
    beyond = span.before is None or high < span.before
    return statement.offset(span.low).limit(high - span.low + beyond)


def _piece(wanted: Wanted, rows: Sequence[AnyRow]) -> Piece:
    room = wanted.span.high(wanted.most) - wanted.span.low
    return Piece(tuple(map(_NODES[wanted.entity], rows[:room])), wanted.span.low, len(rows) > room)


def _piece_of(wanted: Wanted, rows: Sequence[AnyRow]) -> Piece:
    if wanted.span.last is None:
        return _piece(wanted, [_cut(row, 1) for row in rows])
    *_, total, start, _ = rows[0]
    end = total if wanted.span.before is None else min(wanted.span.before, total)
    return Piece(tuple(_NODES[wanted.entity](_cut(row, 3)) for row in rows), start, start + len(rows) < end)


def _id(entity: Entity, row: AnyRow) -> str:
    places = {Entity.STUDY: 0, Entity.SERVICE: 0, Entity.NOTE: 0}
    return str(row[places.get(entity, 1)])
