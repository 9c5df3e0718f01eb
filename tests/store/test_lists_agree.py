"""Any filter, order and page, for anybody: the store on SQLite lists what the one in memory lists."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockstep.coordinator.core.callers import ALL, PUBLIC, Sight
from lockstep.coordinator.core.model import Change, EventDraft, EventType
from lockstep.coordinator.core.records import (
    EVENT_ORDERS,
    NOTE_ORDERS,
    RELEASE_ORDERS,
    TASK_ORDERS,
    EventFilter,
    NewNote,
    NewRelease,
    NoteFilter,
    Page,
    PageOf,
    ReleaseFilter,
    TaskFilter,
)
from lockstep.coordinator.core.versions import Version
from lockstep.coordinator.ports import Store
from lockstep.coordinator.store.memory import MemoryStore
from lockstep.coordinator.store.opening import open_store
from lockstep.protocol.states import ReleaseState, TaskState
from tests.store.test_store_contract import NOW, SECOND, STUDIES, know, serve

EXAMPLES = 150
STATES = (ReleaseState.WAITING, ReleaseState.PUBLISHED, ReleaseState.CANCELED)
TIMES = st.none() | st.integers(-1, 13).map(lambda n: NOW + n * SECOND)
WORDS = ("Winter", "winter 50%", "Spring_", "Über", "")


async def furnish(store: Store) -> None:
    """Fill a store with releases of every sort, the same in every store."""
    await know(store, *STUDIES)
    await serve(store, "one", "two")
    for n in range(12):
        studies = STUDIES[n % 3 : n % 3 + 1 + n % 2]
        tags = (("a",), ("a", "b"), ())[n % 3]
        new = NewRelease(WORDS[n % 4] or "x", studies, author=("ann", "bob")[n % 2], tags=tags, is_major=n % 5 == 0)
        view = await store.create_release(new, NOW + n * SECOND)
        state, at = STATES[n % 3], NOW + (12 - n) * SECOND
        ends: dict[ReleaseState, dict[str, Any]] = {
            ReleaseState.WAITING: {},
            ReleaseState.PUBLISHED: {"published_at": at, "publish_order": n + 1, "version": Version(0, n + 1, 0)},
            ReleaseState.CANCELED: {"ending": ReleaseState.CANCELED},
        }
        await _end(store, view.release.kf_id, n, {"state": state, **ends[state]})
        if n % 2:
            study_id = studies[0] if n % 4 == 1 else None
            note = NewNote(WORDS[n % 4], view.release.kf_id, study_id, ("ann", "bob")[n % 3 % 2])
            await store.add_note(note, NOW + n * SECOND)


async def _end(store: Store, release_id: str, n: int, fields: dict[str, Any]) -> None:
    def decide(now: Any) -> tuple[Change, None]:
        task, *_ = now.tasks.values()
        changed = task._replace(state=list(TaskState)[n % 3], progress=n)
        kind = list(EventType)[n % 3]
        drafts = (EventDraft(kind, WORDS[n % 4], task.kf_id, task.service_id), EventDraft(EventType.INFO, f"e{n}"))
        return Change(replace(now.release, **fields), NOW + n * timedelta(seconds=1), (changed,), drafts), None

    await store.change(release_id, decide)


def orders(names: Sequence[str]) -> st.SearchStrategy[str]:
    return st.sampled_from([sign + name for name in names for sign in ("", "-")])


SIGHTS = st.sampled_from([ALL, PUBLIC, Sight(studies=frozenset(STUDIES[:1])), Sight(studies=frozenset(STUDIES[1:3]))])
TEXTS = st.none() | st.sampled_from(["WIN", "50%", "g_", "ü", "Ü", "e1", "%", "\\"])
AUTHORS = st.sampled_from([None, None, "ann", "bob", "eve"])
RELEASES = st.builds(
    ReleaseFilter,
    states=st.lists(st.sampled_from(STATES), max_size=2, unique=True),
    study_id=st.none() | st.sampled_from(STUDIES),
    author=AUTHORS,
    name=st.sampled_from([None, None, None, "Winter"]),
    name_contains=TEXTS,
    version=st.none() | st.sampled_from([Version(0, 2, 0), Version(0, 0, 0)]),
    is_major=st.none() | st.booleans(),
    tags=st.sampled_from([(), (), ("a",), ("b", "a")]),
    created_before=TIMES,
    created_after=TIMES,
    published_before=TIMES,
    published_after=TIMES,
)
TASKS = st.builds(
    TaskFilter, state=st.none() | st.sampled_from(list(TaskState)[:3]), created_before=TIMES, created_after=TIMES
)
EVENTS = st.builds(
    EventFilter,
    event_type=st.none() | st.sampled_from(EventType),
    message_contains=TEXTS,
    created_before=TIMES,
    created_after=TIMES,
)
NOTES = st.builds(
    NoteFilter,
    study_id=st.none() | st.sampled_from(STUDIES),
    author=AUTHORS,
    description_contains=TEXTS,
    created_before=TIMES,
    created_after=TIMES,
)
QUESTIONS = st.one_of(
    st.tuples(st.just("releases"), RELEASES, orders(RELEASE_ORDERS)),
    st.tuples(st.just("tasks"), TASKS, orders(TASK_ORDERS)),
    st.tuples(st.just("events"), EVENTS, orders(EVENT_ORDERS)),
    st.tuples(st.just("notes"), NOTES, orders(NOTE_ORDERS)),
)


def told(page: Page[Any]) -> tuple[list[object], int]:
    """Return what a page holds, by what is the same in both stores: their ids are not."""
    return [_told(row) for row in page.rows], page.count


def _told(row: Any) -> object:
    if hasattr(row, "release"):
        return str(row.release.version)
    if hasattr(row, "task"):
        return row.task.service_name, row.task.created_at
    return getattr(row, "message", None) or row.description, row.created_at


def test_stores_list_the_same(tmp_path: Path) -> None:
    asked: list[bool] = []

    async def main() -> None:
        memory = MemoryStore()
        await furnish(memory)
        async with open_store(f"sqlite:///{tmp_path}/a.db") as sqlite:
            await furnish(sqlite)

            questions: list[tuple[Any, PageOf, Sight]] = []

            @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
            @given(QUESTIONS, SIGHTS, st.integers(1, 30), st.integers(0, 5))
            def ask(question: tuple[str, Any, str], sight: Sight, limit: int, offset: int) -> None:
                *kind_and_which, order = question
                questions.append((kind_and_which, PageOf(limit, offset, order), sight))

            ask()
            for (kind, which), page, sight in questions:
                expected, actual = [await getattr(store, kind)(page, which, sight) for store in (memory, sqlite)]
                assert told(actual) == told(expected), (kind, which, page, sight)
                asked.append(bool(expected.rows))

    asyncio.run(main())
    assert sum(asked) > EXAMPLES / 10
