"""Lists of releases: by whatever one would ask for, and the published ones as the public sees them.

Which index a list is read off depends on what it is filtered by: the releases of a study and those with a tag have
tables of their own, several states are put together from the newest few of each, and the rest are columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, exists, select, type_coerce

from lockstep.coordinator.core.callers import ALL, PUBLIC, Sight
from lockstep.coordinator.core.records import Page, PageOf, ReleaseFilter, ReleaseView
from lockstep.coordinator.store.lists import (
    Listing,
    Order,
    Search,
    Way,
    between,
    counted,
    created,
    equal,
    order_of,
    ordered,
    searched,
    seen_release,
    tallied,
    truly_created,
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
    if _published_between(which) or (sight == PUBLIC and which.states):
        if which.states and ReleaseState.PUBLISHED not in which.states:
            return Page((), 0)
        which = replace(which, states=(ReleaseState.PUBLISHED,))
    order = _order(page, which)
    if sight == PUBLIC and which == ReleaseFilter(which.states):
        which, sight = ReleaseFilter((ReleaseState.PUBLISHED,)), ALL
    matching = _matching(which, order, sight)
    positions: Listing | Sequence[int]
    if which.name_contains is not None:
        search = Search(release.c.name, which.name_contains)
        positions, count = searched(connection, matching, search, page, sight)
    else:
        if sight.everything and which == ReleaseFilter(which.states):
            count = tallied(connection, *map(releases_in, set(which.states or ReleaseState)))
        else:
            count = counted(connection, matching.rows, page, sight)
        positions = ordered(matching, _walked(which, order, sight), page, count)
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


def _published_between(which: ReleaseFilter) -> bool:
    return which.published_after is not None or which.published_before is not None


def _order(page: PageOf, which: ReleaseFilter) -> Order:
    """Return the order of a list; what was not published has no time by which it could be ordered."""
    order = order_of(page, ORDERS)
    if order.columns == ORDERS["published_at"] and which.states and ReleaseState.PUBLISHED not in which.states:
        return Order((_AT,), order.down)
    return order


def _link(which: ReleaseFilter) -> tuple[ColumnElement[Any], list[ColumnElement[bool]], ReleaseFilter]:
    """Return the column that positions are read off, what holds in its table, and the filter without it."""
    if which.study_id is not None:
        held = release_study.c
        return held.release_position, [held.study_id == which.study_id], replace(which, study_id=None)
    if which.tags:
        tagged = release_tag.c
        return tagged.release_position, [tagged.tag == which.tags[0]], replace(which, tags=which.tags[1:])
    return _AT, [], which


def _matching(which: ReleaseFilter, order: Order, sight: Sight) -> Way:
    """Return the positions of the releases that match, found by what they are filtered by."""
    at, linked, left = _link(which)
    exact, others = _conditions(left, sight)
    since, until = which.created_after, which.created_before
    times = between(release.c.created_at, since, until)
    if linked or exact or others:
        times = [*truly_created(at, release, since, until), *created(at, release, since, until)]
    rows = select(at).where(*linked, *exact, *others, *times)
    alone = order.columns == (_AT,) and not (exact or others or times) and which.name_contains is None
    columns = tuple(at if column is _AT else column for column in order.columns)
    return Way(rows if at is _AT or alone else rows.join(release, at == _AT), Order(columns, order.down))


def _walked(which: ReleaseFilter, order: Order, sight: Sight) -> list[Way]:
    """Return the walks that bring the releases that match in an order; one for each state, where that has an index."""
    by_position = Order((_AT,), order.down)
    divided = order.columns in (ORDERS["created_at"], ORDERS["state"])
    each_state = divided and (len(set(which.states)) > 1 or order.columns != (_AT,))
    states = sorted(set(which.states or ReleaseState)) if each_state else []
    at, linked, left = _link(which) if divided and not each_state else (_AT, [], which)
    exact, others = _conditions(replace(left, states=()) if states else left, sight)
    times = between(release.c.created_at, which.created_after, which.created_before)
    # Who was published before a time was created before it.
    until = [each for each in (which.created_before, which.published_before) if each is not None]
    places = created(at, release, which.created_after, min(until, default=None)) if divided else []
    beside = (by_position if divided else order).walked([*exact, *others, *times])
    rows = select(at).where(*linked, *places, *beside)
    if at is not _AT and (beside or places):
        rows = rows.join(release, at == _AT)
    if states:
        return [Way(rows.where(release.c.state == state), order) for state in states]
    if order.columns == ORDERS["published_at"]:
        return _published_apart(rows, order, which)
    straight = len(linked) + len(beside) == (divided and len(linked) + len(exact) == 1)
    return [Way(rows, order if at is _AT else Order((at,), order.down), straight=straight)]


def _published_apart(rows: Listing, order: Order, which: ReleaseFilter) -> list[Way]:
    """Return one walk along the times at which releases were published, and one along those that were not.

    Without a word about those that have no time, Postgres finds that its index has the order.
    """
    at = release.c.published_at
    after, before = which.created_after, which.created_before
    public = rows.where(at.is_not(None), *between(at, after, None))  # what is published later than it is created
    ways = [Way(public, order, Order((type_coerce(at, at.type), _AT), order.down))]
    if _published_between(which) or set(which.states) == {ReleaseState.PUBLISHED}:
        return ways
    others = rows.where(at.is_(None), *created(_AT, release, after, before))
    return [*ways, Way(others, order, Order((_AT,), order.down))]


def _conditions(which: ReleaseFilter, sight: Sight) -> tuple[list[ColumnElement[bool]], list[ColumnElement[bool]]]:
    """Return the conditions on a row of `release`, those on what its columns are first; none on its creation."""
    numbers = (None, None, None) if which.version is None else astuple(which.version)
    exact = [
        *equal((release.c.author, which.author), (release.c.name, which.name), (release.c.is_major, which.is_major)),
        *equal(*zip((release.c.major, release.c.minor, release.c.patch), numbers, strict=True)),
    ]
    others = [
        *between(release.c.published_at, which.published_after, which.published_before),
        *map(_tagged, which.tags),
    ]
    if which.study_id is not None:
        others.append(_holding(which.study_id))
    states = () if _published_between(which) else set(which.states)  # who has a time of publishing is published
    if len(states) == 1:
        exact.append(release.c.state == next(iter(states)))
    elif states:
        others.append(release.c.state.in_(sorted(states)))
    if not sight.everything:
        others.append(seen_release(sight))
    return exact, others


def _tagged(tag: str) -> ColumnElement[bool]:
    tagged = select(1).where(release_tag.c.release_position == _AT, release_tag.c.tag == tag)
    return exists(tagged.correlate(release))


def _holding(study_id: str) -> ColumnElement[bool]:
    held = select(1).where(release_study.c.release_position == _AT, release_study.c.study_id == study_id)
    return exists(held.correlate(release))
