"""What every store promises of a history that is brought into it, as tests of one class; see `test_store_contract`."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lockstep.coordinator.core.announcing import Outcome, Receiver, ReceiverKind, tried_in_line
from lockstep.coordinator.core.callers import ALL
from lockstep.coordinator.core.errors import LeaseLost, NotFound
from lockstep.coordinator.core.graph import Entity
from lockstep.coordinator.core.history import History, Sorted
from lockstep.coordinator.core.model import EventType, Release, Task
from lockstep.coordinator.core.records import (
    Event,
    EventFilter,
    NewEvent,
    NewRelease,
    NoteFilter,
    PageOf,
    ReleaseFilter,
    ReleaseNote,
    Study,
    TaskFilter,
    TaskService,
    TaskView,
)
from lockstep.coordinator.core.versions import Version
from lockstep.coordinator.ports import Store
from lockstep.protocol.states import ReleaseState, TaskState
from tests.store.kinds import InMemory, OnPostgres, OnSqlite, Opens

NOW = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
THEN = datetime(2019, 5, 2, 13, 25, 31, 424458, tzinfo=UTC)
DAY = timedelta(days=1)
STUDY, OTHER = "SD_YNSSAPHE", "SD_46RR9ZR6"
SERVICE = TaskService("TS_00000001", "reports", "counts", "http://reports.example", "admin", THEN - DAY)
HOOK = Receiver("", ReceiverKind.WEBHOOK, "https://receiver.example.org/hook", NOW, secret="whsec_MDAwMA==")
FIRST, SECOND, FAILED = "RE_00000001", "RE_00000002", "RE_00000003"
TAKEN = Outcome(taken=True, status=200)


def study(kf_id: str, **fields: Any) -> Study:
    return replace(Study(kf_id, f"Study {kf_id}", visible=True, deleted=False, created_at=THEN - DAY), **fields)


def release(kf_id: str, version: Version, *studies: str, **fields: Any) -> Release:
    whole = Release(kf_id, f"Release {kf_id}", version, studies, THEN, THEN, state=ReleaseState.PUBLISHED)
    return replace(whole, **fields)


def task(kf_id: str, release_id: str, state: TaskState = TaskState.PUBLISHED) -> TaskView:
    return TaskView(Task(kf_id, SERVICE.kf_id, "", "", THEN, THEN, THEN, state, 100), release_id)


def event(number: int, release_id: str | None = FIRST, **fields: Any) -> Event:
    whole = Event(0, f"EV_0000000{number}", EventType.INFO, f"event {number}", THEN + number * DAY, release_id)
    return replace(whole, **fields)


def history() -> History:
    """Two published releases, the later public first, one that failed, and what hangs on them."""
    return History(
        studies=[study(STUDY), study(OTHER)],
        services=[SERVICE],
        releases=[
            release(FIRST, Version(3, 1, 0), STUDY, tags=("etl", "spring")),
            release(SECOND, Version(3, 2, 0), STUDY, OTHER, created_at=THEN + DAY),
            release(
                FAILED,
                Version(3, 2, 1),
                STUDY,
                created_at=THEN + 2 * DAY,
                state=ReleaseState.FAILED,
                ending=ReleaseState.FAILED,
            ),
        ],
        tasks=[
            task("TA_00000001", FIRST),
            task("TA_00000002", SECOND),
            task("TA_00000003", FAILED, TaskState.REJECTED),
        ],
        notes=[ReleaseNote("RN_00000001", "Forty *more*.", "admin", THEN, FIRST, STUDY)],
        moments={FIRST: THEN + 9 * DAY, SECOND: THEN + 3 * DAY, FAILED: THEN + 4 * DAY, "TA_00000001": THEN + 8 * DAY},
        uuids={FIRST: "1" * 32, "TA_00000001": "2" * 32, SERVICE.kf_id: "3" * 32, "RN_00000001": "4" * 32},
    )


def log() -> History:
    return History(
        events=[
            event(1, task_id="TA_00000001", task_service_id=SERVICE.kf_id),
            event(2, event_type=EventType.ERROR),
            event(3, None),
        ],
        uuids={"EV_00000001": "5" * 32},
    )


async def bring(store: Store, given: History, **options: bool) -> Sorted:
    return await store.bring(given, NOW, **options)


def with_store(body: Callable[[Any, Store], Awaitable[None]]) -> Callable[[Any, Path], None]:
    def test(self: "HistoryContract", tmp_path: Path) -> None:
        async def main() -> None:
            async with self.opened(tmp_path) as store:
                await body(self, store)

        asyncio.run(main())

    test.__name__, test.__doc__ = body.__name__, inspect.getdoc(body)
    return test


class HistoryContract(Opens):
    """The promises."""

    keeps_uuids = True

    @with_store
    async def test_what_is_brought_has_its_ids_and_times(self, store: Store) -> None:
        came = await bring(store, history())
        assert (len(came.new), came.updated, came.taken) == (10, set(), set())
        await bring(store, log())
        view = await store.release(FIRST)
        assert view.release.created_at == THEN
        assert (view.release.published_at, view.release.step_since) == (THEN + 9 * DAY, THEN + 9 * DAY)
        assert (view.release.version, view.release.tags) == (Version(3, 1, 0), ("etl", "spring"))
        assert [(each.kf_id, each.state_since, each.service_name) for each in view.tasks] == [
            ("TA_00000001", THEN + 8 * DAY, "reports")
        ]
        assert [note.kf_id for note in view.notes] == ["RN_00000001"]
        assert (await store.task("TA_00000002")).task.state_since == THEN + 3 * DAY, "that of its release"
        assert (await store.event("EV_00000002")).created_at == THEN + 2 * DAY
        assert await store.service(SERVICE.kf_id) == SERVICE

    @with_store
    async def test_it_is_found_by_whatever_things_are_found_by(self, store: Store) -> None:
        await bring(store, history())
        await bring(store, log())
        page = PageOf(10)
        assert [view.release.kf_id for view in (await store.releases(page)).rows] == [FAILED, SECOND, FIRST]
        for which, found in (
            (ReleaseFilter(study_id=OTHER), [SECOND]),
            (ReleaseFilter(tags=("spring",)), [FIRST]),
            (ReleaseFilter(states=[ReleaseState.FAILED]), [FAILED]),
            (ReleaseFilter(version=Version(3, 2, 0)), [SECOND]),
            (ReleaseFilter(created_before=THEN + DAY), [FIRST]),
            (ReleaseFilter(published_after=THEN + 3 * DAY), [FIRST]),
        ):
            assert [view.release.kf_id for view in (await store.releases(page, which)).rows] == found
        assert (await store.tasks(page, TaskFilter(task_service_id=SERVICE.kf_id))).count == 3
        assert (await store.notes(page, NoteFilter(study_id=STUDY))).count == 1
        assert (await store.events(page, EventFilter(task_id="TA_00000001"))).count == 1
        assert (await store.events(page, EventFilter(event_type=EventType.ERROR))).count == 1
        assert [each.kf_id for each in await store.events_after(FIRST, 0, 10)] == ["EV_00000001", "EV_00000002"]
        tallies = await store.tallies()
        names = ("releases:published", "releases:failed", "tasks:published", "tasks:rejected", "events:info")
        assert [tallies[name] for name in names] == [2, 1, 2, 1, 2]

    @with_store
    async def test_what_is_current_follows_the_times_of_publishing(self, store: Store) -> None:
        """The first release was made first and became public last."""
        await bring(store, history())
        assert [view.release.kf_id for view in await store.published(10)] == [FIRST, SECOND]
        assert [view.release.kf_id for view in await store.published(10, THEN + 5 * DAY)] == [SECOND]
        assert (await store.current_of(STUDY)).release.kf_id == FIRST
        assert (await store.current_of(OTHER)).release.kf_id == SECOND
        known = await store.study(STUDY)
        assert (known.version, known.last_pub_version) == (Version(3, 2, 1), Version(3, 2, 0))
        assert known.last_pub_date == THEN + DAY
        public = (await store.release(SECOND)).release
        assert (public.version, public.published_at) == (known.last_pub_version, known.last_published_at)

    @with_store
    async def test_brought_twice_it_is_there_once(self, store: Store) -> None:
        for given in (history(), log()):
            await bring(store, given)
        before = await store.tallies()
        for given in (history(), log()):
            again = await bring(store, given)
            assert (again.new, again.updated, again.taken) == (set(), set(), set())
        assert await store.tallies() == before
        assert (await store.releases(PageOf(10))).count == 3
        assert (await store.release(FIRST)).release.published_at == THEN + 9 * DAY

    @with_store
    async def test_what_has_changed_over_there_is_made_the_same(self, store: Store) -> None:
        await bring(store, history())
        await bring(store, log())
        given = history()
        first, second, failed = given.releases
        changed = replace(
            given,
            studies=[study(STUDY, name="Renamed", deleted=True), study(OTHER)],
            services=[replace(SERVICE, url="http://elsewhere.example", enabled=False)],
            releases=[replace(first, name="Better", tags=("summer",)), replace(second, studies=(OTHER,)), failed],
            tasks=[*given.tasks[:2], task("TA_00000003", FAILED, TaskState.CANCELED)],
            notes=[replace(given.notes[0], description="Fifty.")],
        )
        came = await bring(store, changed)
        ids = {STUDY, SERVICE.kf_id, FIRST, SECOND, "TA_00000003", "RN_00000001"}
        assert (came.new, came.updated) == (set(), ids)
        assert (await bring(store, History(events=[event(2, message="edited")]))).updated == {"EV_00000002"}
        page = PageOf(10)
        assert [v.release.name for v in (await store.releases(page, ReleaseFilter(tags=("summer",)))).rows] == [
            "Better"
        ]
        assert (await store.releases(page, ReleaseFilter(tags=("etl",)))).count == 0
        assert (await store.releases(page, ReleaseFilter(study_id=STUDY))).count == 2
        assert (await store.study(STUDY)).last_pub_version == Version(3, 1, 0)
        assert (await store.study(STUDY)).name == "Renamed"
        assert not (await store.study(STUDY)).deleted, "the data service knows that, and nobody else"
        assert (await store.current_of(OTHER)).release.kf_id == SECOND
        assert (await store.task("TA_00000001")).task.service_url == "http://elsewhere.example"
        assert (await store.note("RN_00000001")).description == "Fifty."
        assert (await store.event("EV_00000002")).event_type is EventType.INFO
        tallies = await store.tallies()
        assert [tallies[f"tasks:{state}"] for state in ("rejected", "canceled")] == [0, 1]
        assert [tallies[f"events:{kind}"] for kind in ("info", "error")] == [3, 0]
        assert (await store.event("EV_00000001")).task_id == "TA_00000001"

    @with_store
    async def test_an_id_that_something_else_has_here_is_left_to_it(self, store: Store) -> None:
        await bring(store, history())
        other = replace(history().releases[0], created_at=NOW, name="another one")
        note = ReleaseNote("RN_00000009", "of that one", "admin", NOW, FIRST, None)
        came = await bring(store, History(releases=[other], tasks=[task("TA_00000009", FIRST)], notes=[note]))
        assert (came.new, came.updated, came.taken) == (set(), set(), {FIRST})
        view = await store.release(FIRST)
        assert (view.release.name, len(view.tasks), len(view.notes)) == (f"Release {FIRST}", 1, 1)

    @with_store
    async def test_numbers_go_on_after_those_of_the_history(self, store: Store) -> None:
        await bring(store, history())
        numbers = await store.numbers()
        assert (numbers.given, numbers.published) == (Version(3, 2, 1), Version(3, 2, 0))
        view = await store.create_release(NewRelease("next", (STUDY,)), NOW)
        assert view.release.version == Version(3, 2, 2)
        assert [each.service_id for each in view.tasks] == [SERVICE.kf_id]
        assert (await store.study(STUDY)).version == Version(3, 2, 2)
        assert view.release.kf_id not in {FIRST, SECOND, FAILED}

    @with_store
    async def test_two_published_under_one_number_both_keep_it(self, store: Store) -> None:
        first, second, failed = history().releases
        candidate = replace(failed, version=Version(3, 1, 0))
        given = replace(history(), releases=[candidate, first, replace(second, version=first.version)])
        came = await bring(store, given)
        assert came.same_version == {SECOND: FIRST}
        assert [(await store.release(kf_id)).release.version for kf_id in (FIRST, SECOND)] == [first.version] * 2
        numbers = await store.numbers()
        assert (numbers.given, numbers.published) == (first.version, first.version)
        third = release("RE_00000004", first.version, STUDY)
        assert (await bring(store, History(releases=[third]))).same_version["RE_00000004"] in {FIRST, SECOND}

    @with_store
    async def test_no_engine_has_anything_to_do_with_it(self, store: Store) -> None:
        await bring(store, history())
        assert await store.next_look() is None
        assert await store.due(NOW + 999 * DAY, 10) == []

    @with_store
    async def test_a_service_that_is_gone_is_kept_for_its_tasks(self, store: Store) -> None:
        stub = replace(SERVICE, url="", description="", author="", enabled=False)
        given = replace(history(), services=[stub], gone=frozenset({SERVICE.kf_id}))
        assert SERVICE.kf_id in (await bring(store, given)).new
        assert (await store.services(PageOf(10))).count == 0
        assert (await store.task("TA_00000001")).task.service_name == "reports"
        again = await bring(store, given)
        assert (again.new, again.updated) == (set(), set())
        assert (await bring(store, History(services=[SERVICE]))).updated == {SERVICE.kf_id}
        assert (await store.service(SERVICE.kf_id)).url == SERVICE.url
        await store.delete_service(SERVICE.kf_id)
        assert (await bring(store, History(services=[replace(SERVICE, name="again")]))).updated == set()
        assert (await store.services(PageOf(10))).count == 0, "who deletes it here means it"

    @with_store
    async def test_a_rehearsal_says_the_same_and_stores_nothing(self, store: Store) -> None:
        rehearsed = await bring(store, history(), rehearse=True)
        assert (await store.releases(PageOf(10))).count == 0
        assert await bring(store, history()) == rehearsed
        assert (await bring(store, history(), rehearse=True)).new == set()

    @with_store
    async def test_history_is_announced_to_nobody(self, store: Store) -> None:
        """What a receiver is still owed reaches it all the same, and so does what happens next."""
        await bring(store, history())
        await store.add_event(NewEvent(EventType.INFO, "before it was there"), NOW)
        hook = await store.outbox.add_webhook(HOOK)
        for text in ("delivered", "owed", "owed too"):
            await store.add_event(NewEvent(EventType.INFO, text), NOW)
        batch = await store.outbox.claim(hook.kf_id, "me", NOW, until=NOW + DAY, alone=False)
        assert batch is not None
        receiver, tried = tried_in_line(batch.receiver, batch.line[0], TAKEN, NOW)
        await store.outbox.record(receiver, [tried])
        under_way = await store.outbox.claim(hook.kf_id, "me", NOW, until=NOW + DAY, alone=False)
        assert under_way is not None
        await bring(store, log())
        with pytest.raises(LeaseLost):
            await store.outbox.record(under_way.receiver, [])
        await store.add_event(NewEvent(EventType.INFO, "next"), NOW)
        batch = await store.outbox.claim(hook.kf_id, "me", NOW, until=NOW + DAY, alone=False)
        assert batch is not None
        assert [each.event.message for each in batch.aside] == ["owed", "owed too"]
        assert [each.event.message for each in batch.line] == ["next"]
        await bring(store, log())
        assert (await store.outbox.webhook(hook.kf_id)).cursor == batch.receiver.cursor, "nothing new, nothing passed"

    @with_store
    async def test_hidden_names_are_kept(self, store: Store) -> None:
        await bring(store, history())
        await bring(store, log())
        kept = {FIRST: (Entity.RELEASE, "1")}
        if self.keeps_uuids:
            kept |= {"TA_00000001": (Entity.TASK, "2"), SERVICE.kf_id: (Entity.SERVICE, "3")}
            kept |= {"RN_00000001": (Entity.NOTE, "4"), "EV_00000001": (Entity.EVENT, "5")}
        for kf_id, (entity, digit) in kept.items():
            assert (await store.look_up(entity, [kf_id], ALL))[kf_id].uuid == digit * 32
        assert len((await store.look_up(Entity.RELEASE, [SECOND], ALL))[SECOND].uuid) == 32

    @with_store
    async def test_what_is_linked_to_later_gets_its_link(self, store: Store) -> None:
        await bring(store, history())
        await bring(store, History(events=[event(1)]))
        linked = event(1, task_id="TA_00000001", task_service_id=SERVICE.kf_id)
        assert (await bring(store, History(events=[linked]))).updated == {"EV_00000001"}
        assert (await store.event("EV_00000001")).task_id == "TA_00000001"

    @with_store
    async def test_a_study_that_is_nowhere_has_no_current_release(self, store: Store) -> None:
        await bring(store, replace(history(), releases=history().releases[2:], tasks=[], notes=[], moments={}))
        with pytest.raises(NotFound):
            await store.current_of(STUDY)


class TestMemory(InMemory, HistoryContract):
    keeps_uuids = False


class TestSqlite(OnSqlite, HistoryContract):
    """On SQLite."""


class TestPostgres(OnPostgres, HistoryContract):
    """On Postgres."""
