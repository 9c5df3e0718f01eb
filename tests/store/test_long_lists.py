"""Lists of more rows than are sorted: right in every order, and found along an index on both databases."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Connection, event, insert, update

from lockstep.coordinator.core.callers import PUBLIC, Sight
from lockstep.coordinator.core.model import EventType
from lockstep.coordinator.core.records import EventFilter, NoteFilter, PageOf, ReleaseFilter, TaskFilter
from lockstep.coordinator.store import memory_lists, tables
from lockstep.coordinator.store.lists import FEW
from lockstep.coordinator.store.opening import open_store
from lockstep.coordinator.store.sql import SqlStore
from lockstep.protocol.states import ReleaseState, TaskState
from tests.store.test_list_costs import costs_history
from tests.store.test_sqlite import shell, url
from tests.store.test_store_contract import NOW, STUDIES, know, serve

LONG = FEW + 300
PUBLISHED, FAILED, CANCELED = ReleaseState.PUBLISHED, ReleaseState.FAILED, ReleaseState.CANCELED
PART = (7, 301)
MINE = Sight(studies=frozenset(STUDIES[:1]))


def at(n: int) -> datetime:
    """Return when the n-th release was created: more than an hour after the one before."""
    return NOW + timedelta(hours=2 * n)


RELEASES = {
    "all": ReleaseFilter(),
    "author": ReleaseFilter(author="me"),
    "nobody": ReleaseFilter(author="nobody"),
    "minor": ReleaseFilter(is_major=False),
    "tag": ReleaseFilter(tags=("a",)),
    "study": ReleaseFilter(study_id=STUDIES[0]),
    "study and tag": ReleaseFilter(study_id=STUDIES[0], tags=("a",)),
    "state": ReleaseFilter([PUBLISHED]),
    "ended": ReleaseFilter([FAILED, CANCELED]),
    "two states": ReleaseFilter([PUBLISHED, FAILED]),
    "two states by somebody": ReleaseFilter([PUBLISHED, FAILED], author="me"),
    "state of a study": ReleaseFilter([PUBLISHED], STUDIES[0]),
    "two states of a study": ReleaseFilter([PUBLISHED, FAILED], STUDIES[0]),
    "created after": ReleaseFilter(created_after=at(20)),
    "created before": ReleaseFilter(created_before=at(LONG - 20)),
    "created long before": ReleaseFilter(created_before=at(20)),
    "created after in a state": ReleaseFilter([PUBLISHED], created_after=at(10)),
    "created before by somebody": ReleaseFilter(author="me", created_before=at(LONG - 20)),
    "created before with a tag": ReleaseFilter(tags=("a",), created_before=at(LONG - 20)),
    "published after": ReleaseFilter(published_after=at(20)),
    "published before": ReleaseFilter(published_before=at(LONG)),
    "published before of a study": ReleaseFilter(study_id=STUDIES[0], published_before=at(LONG)),
    "published, also by its time": ReleaseFilter([PUBLISHED, FAILED], published_before=at(LONG)),
}
TASKS = {
    "all": TaskFilter(),
    "all at a service": TaskFilter(task_service_id="TS_00000001"),
    "published at a service": TaskFilter(task_service_id="TS_00000001", state=TaskState.PUBLISHED),
    "running at a service": TaskFilter(task_service_id="TS_00000001", state=TaskState.RUNNING),
    "failed at a service": TaskFilter(task_service_id="TS_00000001", state=TaskState.FAILED),
    "state": TaskFilter(state=TaskState.PUBLISHED),
    "created after": TaskFilter(created_after=at(20)),
    "created before in a state": TaskFilter(state=TaskState.PUBLISHED, created_before=at(LONG - 20)),
    "created before": TaskFilter(created_before=at(LONG - 20)),
    "created before at a service": TaskFilter(task_service_id="TS_00000001", created_before=at(LONG - 20)),
}
EVENTS = {
    "all": EventFilter(),
    "all at a service": EventFilter(task_service_id="TS_00000001"),
    "type at a service": EventFilter(task_service_id="TS_00000001", event_type=EventType.INFO),
    "errors at a service": EventFilter(task_service_id="TS_00000001", event_type=EventType.ERROR),
    "errors of a service before": EventFilter(
        task_service_id="TS_00000001", event_type=EventType.ERROR, created_before=at(5)
    ),
    "word": EventFilter(message_contains="M1"),
    "type": EventFilter(event_type=EventType.INFO),
    "created after": EventFilter(created_after=at(20)),
    "created before": EventFilter(created_before=at(LONG - 20)),
    "created before of a type": EventFilter(event_type=EventType.INFO, created_before=at(LONG - 20)),
}
NOTES = {
    "all": NoteFilter(),
    "study": NoteFilter(study_id=STUDIES[0]),
    "author": NoteFilter(author="me"),
    "created after": NoteFilter(created_after=at(20)),
    "created before by somebody": NoteFilter(author="me", created_before=at(LONG - 20)),
}
FILTERS: dict[str, dict[str, Any]] = {"releases": RELEASES, "tasks": TASKS, "events": EVENTS, "notes": NOTES}
ORDERS = {
    "releases": memory_lists.RELEASE_ORDERS,
    "tasks": memory_lists.TASK_ORDERS,
    "events": memory_lists.EVENT_ORDERS,
    "notes": memory_lists.NOTE_ORDERS,
}
MATCHES: dict[str, Callable[[Any, Any], bool]] = {
    "releases": memory_lists.release_matches,
    "tasks": memory_lists.task_matches,
    "events": memory_lists.event_matches,
    "notes": memory_lists.note_matches,
}
CASES = [
    (kind, which, sign + order)
    for kind in FILTERS
    for which in FILTERS[kind]
    for order in ORDERS[kind]
    for sign in ("", "-")
]


def lengthen(connection: Connection, service_ids: Sequence[str]) -> None:
    """Write a history, every fifth release of which ended badly, with a task, an event and a note each.

    Every fifth task and event is of the second service, which always fails, the others are of the first.
    """
    numbers = range(1, LONG + 1)
    connection.execute(insert(tables.release), [_release(n) for n in numbers])
    for table, rows in (
        (tables.release_study, [{"study_id": STUDIES[0], "release_position": n} for n in numbers]),
        (tables.release_tag, [{"tag": "a", "release_position": n} for n in numbers]),
        (tables.task, [_task(n, service_ids[n % 5 == 0]) for n in numbers]),
        (tables.event, [_event(n, service_ids[n % 5 == 0]) for n in numbers]),
        (tables.release_note, [_note(n) for n in numbers]),
    ):
        connection.execute(insert(table), rows)
    tallies = {
        **{tables.releases_in(state): sum(_state(n) is state for n in numbers) for state in ReleaseState},
        **{tables.tasks_in(state): sum(_task_state(n) is state for n in numbers) for state in TaskState},
        **{tables.events_of(kind): sum(_event_type(n) is kind for n in numbers) for kind in EventType},
    }
    for name, n in tallies.items():
        connection.execute(update(tables.tally).where(tables.tally.c.name == name).values(n=n))


def _state(n: int) -> ReleaseState:
    return PUBLISHED if n % 5 else (FAILED, CANCELED)[n % 2]


def _names(prefix: str, n: int) -> dict[str, Any]:
    return {"position": n, "kf_id": f"{prefix}_{n:08d}", "uuid": f"{n:032x}"}


def _release(n: int) -> dict[str, Any]:
    state = _state(n)
    return {
        **_names("RE", n),
        "name": f"r{n * 7 % 50:03d}",
        "description": "",
        "author": "me" if n % 100 else "you",
        "tags": ["a"],
        "studies": [STUDIES[0]],
        "is_major": n % 100 == 0,
        "state": state,
        "major": n % 3,
        "minor": n,
        "patch": 0,
        "created_at": at(n),
        "step_since": at(n),
        "publish_order": n,
        "ending": None if state is PUBLISHED else state,
        "published_at": at(n + n % 4) if state is PUBLISHED else None,
        "partially_published": False,
        "lease_epoch": 0,
    }


def _task(n: int, service_id: str) -> dict[str, Any]:
    return {
        **_names("TA", n),
        "release_id": f"RE_{n:08d}",
        "service_id": service_id,
        "created_at": at(n),
        "state_since": at(n),
        "life_at": at(n),
        "state": _task_state(n),
        "progress": 0,
        "delivery": "none",
        "cancel": "none",
        "attempts": 0,
        "last_error": "",
    }


def _task_state(n: int) -> TaskState:
    return TaskState.FAILED if _fails(n) else TaskState.RUNNING if n <= 15 else TaskState.PUBLISHED


def _event_type(n: int) -> EventType:
    return EventType.ERROR if _fails(n) else EventType.INFO


def _fails(n: int) -> bool:
    return n <= 10 or n % 5 == 0


def _event(n: int, service_id: str) -> dict[str, Any]:
    about = {"release_id": f"RE_{n:08d}", "task_service_id": service_id, "task_id": f"TA_{n:08d}"}
    return {**_names("EV", n), "event_type": _event_type(n), "message": f"m{n}", "created_at": at(n), **about}


def _note(n: int) -> dict[str, Any]:
    about = {"release_id": f"RE_{n:08d}", "study_id": STUDIES[0]}
    return {**_names("RN", n), "description": "", "author": "me" if n % 100 else "you", "created_at": at(n), **about}


@asynccontextmanager
async def long_history(address: str) -> AsyncIterator[tuple[SqlStore, str]]:
    async with open_store(address) as store:
        await know(store, *STUDIES)
        service_ids = [service.kf_id for service in await serve(store, "one", "two")]
        await store._database.write(partial(lengthen, service_ids=service_ids))
        yield store, service_ids[0]


@contextmanager
def heard(store: SqlStore) -> Iterator[list[tuple[str, Any]]]:
    """Collect what is read."""
    statements: list[tuple[str, Any]] = []

    def hear(_connection: Any, _cursor: Any, sql: str, values: Any, _context: Any, _many: bool) -> None:
        if sql.startswith("SELECT"):
            statements.append((sql, values))

    engine: Any = getattr(store._database, "_reader")  # noqa: B009 - not every database has one
    engine = getattr(engine, "sync_engine", engine)
    event.listen(engine, "before_cursor_execute", hear)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", hear)


def asked(kind: str, which: str, service_id: str) -> Any:
    found = FILTERS[kind][which]
    at_service = getattr(found, "task_service_id", None) is not None
    return replace(found, task_service_id=service_id) if at_service else found


def _row(row: Any) -> Any:
    return getattr(row, "release", row)


async def agree(store: SqlStore, service_id: str) -> None:
    """See that every page has the rows that it would have if all were looked at one by one."""
    whole = {
        kind: [_row(row) for row in (await getattr(store, kind)(PageOf(LONG, order="created_at"))).rows]
        for kind in FILTERS
    }
    for kind, which, order in CASES:
        wanted = asked(kind, which, service_id)
        page = PageOf(*PART, order)
        found = await getattr(store, kind)(page, wanted)
        expected = memory_lists.listed(whole[kind], page, ORDERS[kind], partial(MATCHES[kind], wanted))
        assert [_row(row) for row in found.rows] == list(expected.rows), (kind, which, order)
        assert found.count == expected.count, (kind, which, order)


async def statements_of_all(store: SqlStore, service_id: str) -> dict[str, tuple[Any, Any]]:
    """Return every statement by which pages are found, with its values, and by whom they are asked for."""
    found: dict[str, tuple[Any, Any]] = {}
    for kind, which, order in CASES:
        for sight in (None, PUBLIC, MINE) if order == "-created_at" else (None,):
            seen = {} if sight is None else {"sight": sight}
            with heard(store) as statements:
                await getattr(store, kind)(PageOf(order=order), asked(kind, which, service_id), **seen)
            found |= {sql: (values, (kind, which, order, sight)) for sql, values in statements}
    return found


def test_on_sqlite_long_lists_are_right_and_read_along_an_index(tmp_path: Path) -> None:
    async def main() -> dict[str, tuple[Any, Any]]:
        async with long_history(url(tmp_path / "a.db")) as (store, service_id):
            await agree(store, service_id)
            return await statements_of_all(store, service_id)

    statements = asyncio.run(main())
    with shell(tmp_path / "a.db") as connection:
        for analysed in (False, True):
            if analysed:
                connection.execute("ANALYZE")
            for sql, (values, case) in statements.items():
                plan = [line for *_, line in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
                assert [line for line in plan if costs_history(line, sql)] == [], (case, sql, plan)
                assert not looks_at_all_services(str(plan), *case), (case, sql, plan)


@pytest.mark.timeout(120)
def test_on_postgres_long_lists_are_right_and_can_be_read_along_an_index(postgres_database: str) -> None:
    """A short table is rather read whole; so reading whole and sorting are forbidden, and still not needed."""

    async def main() -> None:
        async with long_history(postgres_database) as (store, service_id):
            await agree(store, service_id)
            statements = await statements_of_all(store, service_id)
        connection = await asyncpg.connect(postgres_database)
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("SET enable_seqscan = off; SET enable_sort = off")
        for sql, (values, case) in statements.items():
            ((told,),) = await connection.fetch(f"EXPLAIN (FORMAT JSON) {sql}", *values)
            assert list(wasteful(json.loads(told)[0]["Plan"])) == [], (case, sql, told)
            # Of a short list that is cut off, Postgres may find either index the shorter; not of a count.
            assert "count(" not in sql or not looks_at_all_services(told, *case), (case, sql, told)
        await connection.close()

    asyncio.run(main())


def looks_at_all_services(plan: str, kind: str, which: str, order: str, sight: Sight | None) -> bool:
    """Tell whether what is one service's is looked for among what all services have.

    What is in flight may be, since it is little; and what is seen of it by the way, where releases are looked at first.
    """
    index = {"events": "ix_event_event_type_position", "tasks": "ix_task_state_position"}.get(kind, "")
    in_flight = kind == "tasks" and (which == "running at a service" or "state" in order)
    return "at a service" in which and sight is None and not in_flight and index in plan


GROWING: Sequence[str] = ("release", "task", "event", "release_note", "release_study", "release_tag")


def wasteful(plan: dict[str, Any]) -> Iterator[str]:
    """Tell of steps of a plan that read or sort whatever there is; what a limit has cut off may be sorted."""
    if plan["Node Type"] == "Seq Scan" and plan["Relation Name"] in GROWING:
        yield f"reads {plan['Relation Name']} whole"
    below = plan.get("Plans", [])
    if "Sort" in plan["Node Type"] and not any(map(limited, below)):
        yield f"sorts by {plan['Sort Key']}"
    for part in below:
        yield from wasteful(part)


def limited(plan: dict[str, Any]) -> bool:
    return plan["Node Type"] == "Limit" or any(map(limited, plan.get("Plans", [])))
