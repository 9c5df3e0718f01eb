"""What must hold for a row of a list, and in which order the list is; part of `graph`.

A text is looked for among the first rows that the other conditions leave, so that a word that nobody wrote does not
have the whole history read; and a list between two times is one between two positions, with which every index ends.
What few rows are, a warning, an error or a task that ended early, is said so that it is found along the index of those.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, exists, false, or_, select, true

from lockstep.coordinator.core.callers import Sight
from lockstep.coordinator.core.graph import Comparison, Condition, Entity, Wanted
from lockstep.coordinator.core.model import EventType
from lockstep.coordinator.core.records import SEARCHED
from lockstep.coordinator.core.versions import Version
from lockstep.coordinator.store.lists import aside, created
from lockstep.coordinator.store.tables import ended_early, out_of_the_ordinary, release, release_study, task
from lockstep.protocol.states import ENDED_EARLY, ReleaseState


def key_of(table: FromClause) -> ColumnElement[Any]:
    """Return the column that tells the rows of a table apart, in the order of their creation where it can."""
    key: ColumnElement[Any] = table.c.get("position", table.c.kf_id)
    return key


def order_of(wanted: Wanted, table: FromClause) -> tuple[ColumnElement[Any], ...]:
    """Return the order of a list. Keys rise with the times, so that both are the same order."""
    key = key_of(table)
    if wanted.entity is Entity.STUDY:
        created_at = table.c.created_at
        if wanted.oldest_first:
            return (created_at.asc().nulls_first(), key.asc())
        return (created_at.desc().nulls_last(), key.desc())
    return (key.asc() if wanted.oldest_first else key.desc(),)


def conditions_of(wanted: Wanted, table: FromClause, sight: Sight) -> list[ColumnElement[bool]]:
    """Return what must hold for a row to be in a list that somebody sees."""
    tests = [_test(wanted.entity, table, condition) for condition in wanted.conditions]
    return [*tests, *sight_conditions(wanted.entity, table, sight)]


def search_of(wanted: Wanted, table: FromClause, sight: Sight) -> list[ColumnElement[bool]]:
    """Return what keeps a search for a text to the first rows that the other conditions leave."""
    others = tuple(each for each in wanted.conditions if each.test is not Comparison.CONTAINS)
    if others == wanted.conditions:
        return []
    left = replace(wanted, conditions=others)
    order = order_of(left, table)
    first = select(key_of(table)).where(*conditions_of(left, table, sight)).order_by(*order).limit(SEARCHED)
    return [key_of(table).in_(first)]


def _test(entity: Entity, table: FromClause, condition: Condition) -> ColumnElement[bool]:
    value: Any = condition.value
    if isinstance(value, Version):
        return and_(table.c.major == value.major, table.c.minor == value.minor, table.c.patch == value.patch)
    column: ColumnElement[Any] = table.c[condition.field]
    compared: Mapping[Comparison, Callable[[], ColumnElement[bool]]] = {
        Comparison.IS: lambda: column == value,
        Comparison.CONTAINS: lambda: column.icontains(value, autoescape=True),
        Comparison.BEFORE: lambda: column < value,
        Comparison.AFTER: lambda: column > value,
    }
    holds = compared[condition.test]()
    if (entity, condition.field) == (Entity.EVENT, "task_id"):
        its_release = select(task.c.release_id).where(task.c.kf_id == value).scalar_subquery()
        return and_(holds, table.c.release_id == its_release)
    if (entity, condition.field) == (Entity.EVENT, "event_type") and value != EventType.INFO:
        return and_(holds, out_of_the_ordinary(table))
    if (entity, condition.field) == (Entity.TASK, "state") and value in ENDED_EARLY:
        return and_(holds, ended_early(table))
    if condition.field == "created_at" and "position" in table.c and entity is not Entity.SERVICE:
        after, before = (value, None) if condition.test is Comparison.AFTER else (None, value)
        return and_(aside(holds), *created(table.c.position, table, after, before))
    return holds


def sight_conditions(
    entity: Entity, table: FromClause, sight: Sight, *, deleted: bool = False
) -> list[ColumnElement[bool]]:
    """Return what must hold for a row to be seen; `deleted` lets services pass that are off the lists."""
    if entity is Entity.SERVICE:
        return [] if deleted else [table.c.deleted == false()]
    if sight.everything:
        return []
    if entity is Entity.STUDY:
        return [or_(and_(table.c.visible == true(), table.c.deleted == false()), table.c.kf_id.in_(sight.studies))]
    if entity is Entity.RELEASE:
        return [_release_seen(table, sight)]
    seen = release.alias("seen")
    return [exists().where(seen.c.kf_id == table.c.release_id, _release_seen(seen, sight))]


def _release_seen(table: FromClause, sight: Sight) -> ColumnElement[bool]:
    published: ColumnElement[bool] = table.c.state == ReleaseState.PUBLISHED
    if not sight.studies:
        return published
    ours = release_study.alias("ours")
    return or_(
        published, exists().where(ours.c.release_position == table.c.position, ours.c.study_id.in_(sight.studies))
    )
