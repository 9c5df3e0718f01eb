"""Lists of releases: by whatever one would ask for, and the published ones as the public sees them.

Which index a list is read off depends on what it is filtered by: the releases of a study and those with a tag have
tables of their own, several states are put together from the newest few of each, and the rest are columns.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, exists, select, union_all

from lockstep.coordinator.core.callers import ALL, PUBLIC, Sight
from lockstep.coordinator.core.records import Page, PageOf, ReleaseFilter, ReleaseView
from lockstep.coordinator.store.lists import (
    Listing,
    Order,
    Search,
    between,
    counted,
    equal,
    order_of,
    ordered,
    page_of,
    seen_release,
    tallied,
)
from lockstep.coordinator.store.promises import missing
from lockstep.coordinator.store.reading import notes_of, release_views
from lockstep.coordinator.store.rows import RELEASE_COLUMNS, to_release
from lockstep.coordinator.store.tables import release, release_study, release_tag, releases_in, study_published
from lockstep.protocol.states import ReleaseState

Orders = Mapping[str, Sequence[ColumnElement[Any]]]

_AT: Final = release.c.position
ORDERS: Final[Orders] = {
    "created_at": (_AT,),
    "name": (release.c.name, _AT),
    "author": (release.c.author, _AT),
    "version": (release.c.major, release.c.minor, release.c.patch, _AT),
    "state": (release.c.state, _AT),
    "published_at": (release.c.published_at, _AT),
}


def releases(connection: Connection, page: PageOf, which: ReleaseFilter, sight: Sight) -> Page[ReleaseView]:
    """Return a page of releases with their tasks and notes."""
    order = order_of(page, ORDERS)
    if sight == PUBLIC and which.states and ReleaseState.PUBLISHED not in which.states:
        return Page((), 0)
    if sight == PUBLIC and which == ReleaseFilter(which.states):
        which, sight = ReleaseFilter((ReleaseState.PUBLISHED,)), ALL
    if sight.everything and which == ReleaseFilter(which.states) and order.columns == (_AT,):
        positions = _of_states(page, order, which.states)
        count = tallied(connection, *map(releases_in, which.states or ReleaseState))
    else:
        rows, walked = _matching(which, order, sight)
        search = None if which.name_contains is None else Search(release.c.name, which.name_contains)
        found = ordered(rows, walked, search)
        positions, count = page_of(found, page), counted(connection, found, page, sight)
    listed = select(*RELEASE_COLUMNS).where(_AT.in_(positions)).order_by(*order.by(order.columns))
    return Page(tuple(release_views(connection, list(map(to_release, connection.execute(listed))))), count)


def published(connection: Connection, limit: int, until: datetime | None) -> list[ReleaseView]:
    """Return the releases that were published last, up to a time; with their notes and without their tasks."""
    listed = select(*RELEASE_COLUMNS).where(release.c.published_at.is_not(None))
    if until is not None:
        listed = listed.where(release.c.published_at <= until)
    return _public(connection, listed.order_by(release.c.published_at.desc(), _AT.desc()).limit(limit))


def current_of(connection: Connection, study_id: str) -> ReleaseView:
    """Return the release with which a study became public last; without its tasks.

    Raises:
        NotFound: there is no such study, or none.
    """
    last = (
        select(study_published.c.release_position)
        .where(study_published.c.study_id == study_id)
        .order_by(study_published.c.published_at.desc(), study_published.c.release_position.desc())
        .limit(1)
    )
    views = _public(connection, select(*RELEASE_COLUMNS).where(last.scalar_subquery() == _AT))
    if not views:
        raise missing("published release of study", study_id)
    return views[0]


def _public(connection: Connection, listed: Listing) -> list[ReleaseView]:
    rows = list(map(to_release, connection.execute(listed)))
    notes = notes_of(connection, [row.kf_id for row in rows])
    return [ReleaseView(row, (), tuple(notes[row.kf_id])) for row in rows]


def _matching(which: ReleaseFilter, order: Order, sight: Sight) -> tuple[Listing, Order]:
    """Return the positions of the releases that match, and the order by the columns that they are walked along."""
    conditions = _conditions(which, sight)
    at: ColumnElement[Any] = _AT
    if which.study_id is not None:
        at = release_study.c.release_position
        conditions.append(release_study.c.study_id == which.study_id)
    elif which.tags:
        at = release_tag.c.release_position
        conditions.append(release_tag.c.tag == which.tags[0])
    columns = [at if column is _AT else column for column in order.columns]
    if columns == [_AT] and (which.created_before or which.created_after):
        columns = [release.c.created_at, _AT]
    rows = select(at).where(*conditions)
    if at is not _AT and (len(conditions) > 1 or which.name_contains is not None or order.columns != (_AT,)):
        rows = rows.join(release, at == _AT)
    return rows, Order(columns, order.down)


def _conditions(which: ReleaseFilter, sight: Sight) -> list[ColumnElement[bool]]:
    """Return the conditions on a row of `release`; those on its study and its first tag are somebody else's."""
    numbers = (None, None, None) if which.version is None else astuple(which.version)
    conditions = [
        *equal((release.c.author, which.author), (release.c.name, which.name), (release.c.is_major, which.is_major)),
        *equal(*zip((release.c.major, release.c.minor, release.c.patch), numbers, strict=True)),
        *between(release.c.created_at, which.created_after, which.created_before),
        *between(release.c.published_at, which.published_after, which.published_before),
        *map(_tagged, which.tags if which.study_id is not None else which.tags[1:]),
    ]
    if which.states:
        conditions.append(release.c.state.in_(sorted(which.states)))
    if not sight.everything:
        conditions.append(seen_release(sight))
    return conditions


def _tagged(tag: str) -> ColumnElement[bool]:
    tagged = select(1).where(release_tag.c.release_position == _AT, release_tag.c.tag == tag)
    return exists(tagged.correlate(release))


def _of_states(page: PageOf, order: Order, states: Collection[ReleaseState]) -> Listing:
    """Return the positions of a page of releases; with several states, from the first few of each."""
    by_position = select(_AT).order_by(*order.by([_AT]))
    if not states:
        return page_of(by_position, page)
    parts = [by_position.where(release.c.state == state) for state in sorted(set(states))]
    if len(parts) == 1:
        return page_of(parts[0], page)
    reach = PageOf(page.limit + page.offset)
    first = union_all(*(select(page_of(part, reach).subquery()) for part in parts)).subquery()
    return page_of(select(first.c.position).order_by(*order.by([first.c.position])), page)
