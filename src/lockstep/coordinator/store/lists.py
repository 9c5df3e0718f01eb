"""What every list has in common: filters, an order, a page, a count, and who may see which releases.

A list is a statement of positions, walked along an index until the page is full. Where a filter leaves a number of
rows that nobody has tallied, they are counted, on an index, up to a bound; where a text is looked for, so many rows
are read and no more. Both bounds are told with the records (`COUNTED`, `SEARCHED`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    UnaryExpression,
    bindparam,
    exists,
    func,
    or_,
    select,
)

from lockstep.coordinator.core.callers import ALL, Sight
from lockstep.coordinator.core.records import COUNTED, COUNTED_ONE_BY_ONE, SEARCHED, PageOf
from lockstep.coordinator.store.promises import unknown_order
from lockstep.coordinator.store.tables import release, release_study, tally
from lockstep.protocol.states import ReleaseState

Listing = Select[*tuple[Any, ...]]
"""A statement that lists rows of some columns."""

LARGEST: Final = 2**63 - 1
"""The largest number that a database knows; no list and no log reaches it."""

_TALLY: Final = select(func.coalesce(func.sum(tally.c.n), 0)).where(
    tally.c.name.in_(bindparam("names", expanding=True))
)


def page_of(statement: Listing, page: PageOf) -> Listing:
    """Return the statement for part of an ordered list."""
    return statement.limit(min(page.limit, LARGEST)).offset(min(page.offset, LARGEST))


def counted(connection: Connection, rows: Listing, page: PageOf, sight: Sight = ALL) -> int:
    """Return how many rows a statement has, exactly up to a bound beyond the page."""
    bound = COUNTED if sight.everything else COUNTED_ONE_BY_ONE
    reach = min(page.limit + page.offset + bound, LARGEST)
    number = select(func.count()).select_from(rows.order_by(None).limit(reach).subquery())
    count: int = connection.execute(number).scalar_one()
    return count


def tallied(connection: Connection, *names: str) -> int:
    """Return the sum of some tallies."""
    total: int = connection.execute(_TALLY, {"names": names}).scalar_one()
    return int(total)


@dataclass(frozen=True, slots=True)
class Order:
    """The columns that a list is ordered by, the last of which tells every two rows apart, and which way round."""

    columns: Sequence[ColumnElement[Any]]
    down: bool

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


def ordered(rows: Listing, order: Order, search: Search | None = None) -> Listing:
    """Return rows of one column in an order; of a search, those found among the first of them."""
    if search is None:
        return rows.order_by(*order.by(order.columns))
    labels = [column.label(f"by{n}") for n, column in enumerate(order.columns)]
    first = rows.add_columns(search.text.label("text"), *labels).order_by(*order.by(order.columns))
    some = first.limit(SEARCHED).subquery("some")
    found = select(some.c[0]).where(some.c.text.icontains(search.part, autoescape=True))
    return found.order_by(*order.by([some.c[label.name] for label in labels]))


def equal(*pairs: tuple[ColumnElement[Any], object]) -> list[ColumnElement[bool]]:
    """Return the conditions that columns have the values that are given, None being none."""
    return [column == value for column, value in pairs if value is not None]


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
