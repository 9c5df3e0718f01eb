"""What each filter and each order costs on SQLite: no list reads or sorts the whole history to show a page of it."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from lockstep.coordinator.core.callers import PUBLIC, Sight
from lockstep.coordinator.core.model import EventType
from lockstep.coordinator.core.records import (
    EventFilter,
    NewNote,
    NewRelease,
    NoteFilter,
    PageOf,
    ReleaseFilter,
    TaskFilter,
)
from lockstep.coordinator.core.versions import Version
from lockstep.coordinator.store.opening import open_store
from lockstep.coordinator.store.sql import SqlStore
from lockstep.protocol.states import ReleaseState, TaskState
from tests.store.test_sqlite import listened, shell, url
from tests.store.test_store_contract import NOW, STUDIES, know, serve

MINE = Sight(studies=frozenset(STUDIES[:2]))
SHORT = ("tally", "task_service", "study", "anon_", "some", "found", "newest", "published", "CONSTANT", "(subquery")
"""Tables that do not grow with history, and parts of a statement that are bounded: the last two are an empty list."""

RELEASES = {
    "author": ReleaseFilter(author="me"),
    "name": ReleaseFilter(name="r"),
    "version": ReleaseFilter(version=Version(0, 0, 0)),
    "is_major": ReleaseFilter(is_major=True),
    "tag": ReleaseFilter(tags=("a",)),
    "study": ReleaseFilter(study_id=STUDIES[0]),
    "study and state": ReleaseFilter([ReleaseState.WAITING], STUDIES[0]),
    "created": ReleaseFilter(created_after=NOW),
    "name_contains": ReleaseFilter(name_contains="r"),
    "state": ReleaseFilter([ReleaseState.WAITING]),
    "all": ReleaseFilter(),
}
TASKS = {
    "release": TaskFilter("RE_00000001"),
    "service": TaskFilter(None, "TS_00000001"),
    "state": TaskFilter(state=TaskState.WAITING),
    "id": TaskFilter(kf_id="TA_00000001"),
    "created": TaskFilter(created_before=NOW),
    "all": TaskFilter(),
}
EVENTS = {
    "release": EventFilter("RE_00000001"),
    "service": EventFilter(None, "TS_00000001"),
    "task": EventFilter(task_id="TA_00000001"),
    "type": EventFilter(event_type=EventType.INFO),
    "created": EventFilter(created_before=NOW),
    "message": EventFilter(message_contains="x"),
    "all": EventFilter(),
}
NOTES = {
    "release": NoteFilter("RE_00000001"),
    "study": NoteFilter(study_id=STUDIES[0]),
    "author": NoteFilter(author="me"),
    "id": NoteFilter(kf_id="RN_00000001"),
    "created": NoteFilter(created_after=NOW),
    "text": NoteFilter(description_contains="x"),
    "all": NoteFilter(),
}
ORDERS = {
    "releases": ("name", "-author", "version", "-state", "-published_at", "created_at"),
    "tasks": ("-state", "created_at"),
    "events": ("event_type", "created_at"),
    "notes": ("-author", "created_at"),
}
FILTERS: dict[str, dict[str, Any]] = {"releases": RELEASES, "tasks": TASKS, "events": EVENTS, "notes": NOTES}
CASES = [
    *(
        (kind, which, "-created_at", sight)
        for kind in FILTERS
        for which in FILTERS[kind]
        for sight in (None, PUBLIC, MINE)
    ),
    *((kind, "all", order, None) for kind in ORDERS for order in ORDERS[kind]),
]


async def some_of_each(store: SqlStore) -> None:
    await know(store, *STUDIES)
    await serve(store, "one", "two")
    view = await store.create_release(NewRelease("r", STUDIES[:1], tags=("a",)), NOW)
    await store.add_note(NewNote("n", view.release.kf_id), NOW)


@pytest.mark.parametrize(("kind", "which", "order", "sight"), CASES)
def test_no_filter_and_no_order_reads_the_whole_history(
    tmp_path: Path, kind: str, which: str, order: str, sight: Sight | None
) -> None:
    async def main() -> None:
        async with open_store(url(tmp_path / "a.db")) as store:
            await some_of_each(store)
            listed, seen = getattr(store, kind), {} if sight is None else {"sight": sight}
            with listened(store) as heard:
                await listed(PageOf(order=order), FILTERS[kind][which], **seen)
        assert heard or sight is PUBLIC
        with shell(tmp_path / "a.db") as connection:
            for sql, values in heard:
                plan = [line for *_, line in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
                assert [line for line in plan if costs_history(line, sql)] == [], (sql, plan)

    asyncio.run(main())


def costs_history(line: str, sql: str) -> bool:
    """Tell whether a line of a plan takes longer, the more there is.

    A table may be walked along an index until a page is full. What was chosen for a page, or for a search, may be
    sorted; the first lines of a statement choose, what comes after is chosen.
    """
    if line.startswith("SCAN "):
        return not line.split()[1].startswith(SHORT) and "LIMIT" not in sql
    chosen = re.search(r" IN \(SELECT|UNION ALL|AS some| IN \(\?", sql)
    return "TEMP B-TREE" in line and not chosen


def test_published_ones_are_read_off_the_end_of_their_index(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_store(url(tmp_path / "a.db")) as store:
            await some_of_each(store)
            with listened(store) as heard:
                await store.published(1)
                await store.published(1, NOW)
        with shell(tmp_path / "a.db") as connection:
            plans = [
                [line for *_, line in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)] for sql, values in heard
            ]
        searched = [plan for plan in plans if "release_note" not in str(plan)]
        assert len(searched) == 2
        for plan in searched:
            assert "ix_release_published_at_position" in str(plan)
            assert "TEMP B-TREE" not in str(plan)

    asyncio.run(main())
