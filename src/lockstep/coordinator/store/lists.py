"""What every list has in common: filters, an order, a page, a count, and who may see which releases.

A list is a statement of positions. Where a filter leaves a number of rows that nobody has tallied, they are counted, on
an index, up to a bound; where a text is looked for, so many rows are read and no more. Both bounds are told with the
records (`COUNTED`, `SEARCHED`). A few rows are then sorted; many are walked along the index of their order until the
page is full, which is soon, since they are many.

Which index is walked is decided here and not by the database, whose guesses change with what it has counted last: a
condition that is to be looked at only when a row has been found is put `aside`. Positions rise with the times of
creation, so that a list between two times is one between two positions, in any order that an index ends in.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BinaryExpression,
    Column,
    ColumnElement,
    Connection,
    Exists,
    FromClause,
    Select,
    UnaryExpression,
    bindparam,
    case,
    exists,
    false,
    func,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.sql import operators

from lockstep.coordinator.core.callers import ALL, Sight
from lockstep.coordinator.core.records import COUNTED, COUNTED_ONE_BY_ONE, SEARCHED, PageOf
from lockstep.coordinator.store.promises import unknown_order
from lockstep.coordinator.store.tables import release, release_study, tally
from lockstep.protocol.states import ReleaseState

Listing = Select[*tuple[Any, ...]]
"""A statement that lists rows of some columns."""

LARGEST: Final = 2**63 - 1
"""The largest number that a database knows; no list and no log reaches it."""

FEW: Final = 1_000
"""Rows that are rather sorted than looked for along the index of their order."""

_ASTRAY: Final = timedelta(hours=1)
"""How far the order of positions may be from that of times: clocks differ, and a transaction may take a while."""

_EARLIEST: Final = datetime.min.replace(tzinfo=UTC) + _ASTRAY
_LATEST: Final = datetime.max.replace(tzinfo=UTC) - _ASTRAY

_TALLY: Final = select(func.coalesce(func.sum(tally.c.n), 0)).where(
    tally.c.name.in_(bindparam("names", expanding=True))
)


def page_of(statement: Listing, page: PageOf) -> Listing:
    """Return the statement for part of an ordered list."""
    return statement.limit(min(page.limit, LARGEST)).offset(min(page.offset, LARGEST))


def counted(connection: Connection, rows: Listing, page: PageOf, sight: Sight = ALL) -> int:
    """Return how many rows a statement has, exactly up to a bound beyond the page."""
    number = select(func.count()).select_from(rows.order_by(None).limit(_reach(page, sight)).subquery())
    count: int = connection.execute(number).scalar_one()
    return count


def _reach(page: PageOf, sight: Sight) -> int:
    bound = COUNTED if sight.everything else COUNTED_ONE_BY_ONE
    return min(page.limit + page.offset + bound, LARGEST)


def tallied(connection: Connection, *names: str) -> int:
    """Return the sum of some tallies."""
    total: int = connection.execute(_TALLY, {"names": names}).scalar_one()
    return int(total)


@dataclass(frozen=True, slots=True)
class Order:
    """The columns that a list is ordered by, the last of which tells every two rows apart, and which way round."""

    columns: Sequence[ColumnElement[Any]]
    down: bool

    def walked(self, conditions: Iterable[ColumnElement[bool]]) -> list[ColumnElement[bool]]:
        """Return conditions so that rows are found along an index that has this order, the others put aside.

        Every column that is compared for equality has an index that goes on with the position. Whether another table
        has a row is never looked at first; put aside, Postgres would read that table whole.
        """
        first, *others = self.columns
        return [
            condition
            if isinstance(condition, Exists)
            or (
                isinstance(condition, BinaryExpression)
                and (condition.left is first or (not others and condition.operator is operators.eq))
            )
            else aside(condition)
            for condition in conditions
        ]

    def by(self, columns: Sequence[ColumnElement[Any]]) -> list[UnaryExpression[Any]]:
        """Return the order by columns that stand for these; no value is less than every value.

        Where there is always a value nothing is said of those without, or Postgres would not walk along its index.
        """
        return [
            self._directed(column, can_be_missing=getattr(own, "nullable", False))
            for column, own in zip(columns, self.columns, strict=True)
        ]

    def _directed(self, column: ColumnElement[Any], *, can_be_missing: bool) -> UnaryExpression[Any]:
        if not can_be_missing:
            return column.desc() if self.down else column.asc()
        return column.desc().nulls_last() if self.down else column.asc().nulls_first()


def order_of(page: PageOf, orders: Mapping[str, Sequence[ColumnElement[Any]]]) -> Order:
    """Return what a page is ordered by.

    Raises:
        Invalid: the list has no such order.
    """
    name = page.order.removeprefix("-")
    if name not in orders:
        raise unknown_order(page.order, orders)
    return Order(orders[name], down=page.order != name)


@dataclass(frozen=True, slots=True)
class Search:
    """A part of a text that is looked for in a column."""

    text: ColumnElement[Any]
    part: str


@dataclass(frozen=True, slots=True)
class Way:
    """A statement that finds rows of one column.

    Attributes:
        order: what they are ordered by.
        along: the same order of these rows as an index has it, where that is said in another way.
        straight: whether an index has these rows and no others, in their order.
    """

    rows: Listing
    order: Order
    along: Order | None = None
    straight: bool = False

    def directed(self) -> Listing:
        """Return the rows in their order."""
        along = self.along or self.order
        return self.rows.order_by(*along.by(along.columns))

    def labelled(self, *more: ColumnElement[Any]) -> "Way":
        """Return the rows with what they are ordered by beside them, and with more."""
        labels = [column.label(f"by{n}") for n, column in enumerate(self.order.columns)]
        return replace(self, rows=self.rows.add_columns(*labels, *more))

    def sorted(self, some: FromClause) -> Listing:
        """Return the first column of labelled rows in their order."""
        return select(some.c[0]).order_by(*self.order.by([some.c[f"by{n}"] for n, _ in enumerate(self.order.columns)]))


def searched(connection: Connection, way: Way, search: Search, page: PageOf, sight: Sight) -> tuple[Sequence[int], int]:
    """Return a page of the positions of those rows in whose text a part is found, and how many there are.

    The newest rows only are looked at, and each once, for the page and the number together.
    """
    newest = way.labelled(search.text.label("text")).rows.order_by(way.order.columns[-1].desc())
    some = newest.limit(SEARCHED).subquery("some")
    # SQLite compares letters in any case by itself, and takes twice as long when it is told to.
    contains = some.c.text.contains if connection.dialect.name == "sqlite" else some.c.text.icontains
    own = [column for column in some.c if column is not some.c.text]
    found = select(*own).where(contains(search.part, autoescape=True)).cte("found")
    number = select(func.count()).select_from(found).scalar_subquery()
    rows = connection.execute(page_of(way.sorted(found).add_columns(number), page)).all()
    if rows or (page.limit and not page.offset):
        count = rows[0][1] if rows else 0
    else:
        count = connection.execute(select(number)).scalar_one()
    return [position for position, _ in rows], min(count, _reach(page, sight))


def ordered(matching: Way, walked: Sequence[Way], page: PageOf, count: int) -> Listing:
    """Return a page of rows of one column.

    Args:
        matching: the rows, found by what they are filtered by.
        walked: the same rows, found along indexes that have their order; parts of them, one from each.
        page: which of them.
        count: how many there are, exactly as long as they are few.
    """
    if count < FEW and not walked[0].straight:
        return page_of(matching.sorted(matching.labelled().rows.limit(FEW).subquery("some")), page)
    if len(walked) == 1:
        return page_of(walked[0].directed(), page)
    reach = PageOf(page.limit + page.offset)
    firsts = (select(page_of(way.labelled().directed(), reach).subquery()) for way in walked)
    return page_of(matching.sorted(union_all(*firsts).subquery("some")), page)


def equal(*pairs: tuple[ColumnElement[Any], object]) -> list[ColumnElement[bool]]:
    """Return the conditions that columns have the values that are given, None being none."""
    return [column == value for column, value in pairs if value is not None]


def aside(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return a condition that rows are not found by, but looked at for when they have been found by another."""
    return func.coalesce(condition, false())


def created(
    at: ColumnElement[int], table: FromClause, after: datetime | None, before: datetime | None
) -> list[ColumnElement[bool]]:
    """Return the conditions that the positions of rows are about those of times; a little wider, never narrower."""
    conditions = []
    if after is not None:
        earlier = select(table.c.position).where(table.c.created_at <= max(after, _EARLIEST) - _ASTRAY)
        last = earlier.order_by(table.c.created_at.desc(), table.c.position.desc()).limit(1).scalar_subquery()
        conditions.append(at > func.coalesce(last, 0))
    if before is not None:
        later = select(table.c.position).where(table.c.created_at >= min(before, _LATEST) + _ASTRAY)
        first = later.order_by(table.c.created_at, table.c.position).limit(1).scalar_subquery()
        conditions.append(at < func.coalesce(first, LARGEST))
    return conditions


def truly_created(
    at: ColumnElement[int], table: FromClause, after: datetime | None, before: datetime | None
) -> list[ColumnElement[bool]]:
    """Return the conditions that rows were created between two times, looking at a row only where that is in doubt.

    Near the two ends, that is: by all other positions it is certain, so that rows are counted without being read.
    """
    conditions: list[ColumnElement[bool]] = []
    if after is not None:
        later = select(table.c.position).where(table.c.created_at > min(after, _LATEST) + _ASTRAY)
        first = later.order_by(table.c.created_at, table.c.position).limit(1).scalar_subquery()
        conditions.append(case((at >= first, true()), else_=table.c.created_at > after))
    if before is not None:
        earlier = select(table.c.position).where(table.c.created_at < max(before, _EARLIEST) - _ASTRAY)
        last = earlier.order_by(table.c.created_at.desc(), table.c.position.desc()).limit(1).scalar_subquery()
        conditions.append(case((at <= last, true()), else_=table.c.created_at < before))
    return conditions


def between(column: ColumnElement[Any], after: object, before: object) -> list[ColumnElement[bool]]:
    """Return the conditions that a column is after one value and before another, None being no bound."""
    conditions = [] if after is None else [column > after]
    return conditions if before is None else [*conditions, column < before]


def seen_release(sight: Sight) -> ColumnElement[bool]:
    """Return the condition that a row of `release` may be seen."""
    # Most releases are published, so that the index on states helps nobody to find one: it is kept out of use.
    published = release.c.state.concat("") == ReleaseState.PUBLISHED
    if not sight.studies:
        return published
    held = select(1).where(
        release_study.c.release_position == release.c.position, release_study.c.study_id.in_(sorted(sight.studies))
    )
    return or_(published, exists(held.correlate(release)))


def hangs_on_seen(release_id: Column[Any], sight: Sight) -> list[ColumnElement[bool]]:
    """Return the conditions that the release that a row hangs on may be seen; none when everything may."""
    if sight.everything:
        return []
    return [exists(select(1).where(release.c.kf_id == release_id, seen_release(sight)))]
