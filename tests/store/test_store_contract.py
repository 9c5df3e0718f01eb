"""What every store promises, as tests of one class. A subclass, at the end, only says how its store is opened."""

import asyncio
import inspect
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockstep.coordinator.core.draft import Draft
from lockstep.coordinator.core.errors import Conflict, Invalid, NotFound, Unavailable
from lockstep.coordinator.core.model import (
    Change,
    Delivery,
    EventDraft,
    EventType,
    Lease,
    Release,
    Snapshot,
    Task,
)
from lockstep.coordinator.core.records import (
    EventFilter,
    NewEvent,
    NewRelease,
    Page,
    PageOf,
    ReleaseFilter,
    ReleaseView,
    ServiceFilter,
    Study,
    StudyFacts,
    SyncResult,
    TaskFilter,
    TaskService,
)
from lockstep.coordinator.core.requests import ask_to_publish
from lockstep.coordinator.core.versions import Version
from lockstep.coordinator.ports import Store
from lockstep.protocol.ids import Prefix, is_id
from lockstep.protocol.messages import Action
from lockstep.protocol.states import SETTLED_RELEASES, ReleaseState, TaskState
from tests.store.kinds import InMemory, OnPostgres, OnSqlite, Opens, RandomBits

NOW = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
SECOND = timedelta(seconds=1)
STUDIES = tuple(f"SD_0000000{digit}" for digit in range(1, 6))


class Crash(BaseException):
    """Something that is no `Exception` and must undo a transaction all the same."""


def seeded() -> RandomBits:
    return random.Random(20260304).getrandbits


def repeating(times: int) -> RandomBits:
    """Give every number so many times in a row, whatever its length."""
    calls, chance = count(), random.Random(7)
    last: dict[int, int] = {}

    def bits(length: int) -> int:
        if next(calls) % times == 0 or length not in last:
            last[length] = chance.getrandbits(length)
        return last[length]

    return bits


def with_store(body: Callable[[Any, Store], Awaitable[None]]) -> Callable[[Any, Path], None]:
    """Run an asynchronous test on an open store."""

    def test(self: "StoreContract", tmp_path: Path) -> None:
        async def main() -> None:
            async with self.opened(tmp_path, seeded()) as store:
                await body(self, store)

        asyncio.run(main())

    test.__name__, test.__doc__ = body.__name__, inspect.getdoc(body)
    return test


async def know(store: Store, *study_ids: str) -> None:
    await store.sync_studies([StudyFacts(study_id, f"Study {study_id}", True, NOW) for study_id in study_ids])


async def serve(store: Store, *names: str) -> list[TaskService]:
    return [
        await store.add_service(TaskService("", name, f"does {name}", f"http://{name}.example", "me", NOW + n * SECOND))
        for n, name in enumerate(names)
    ]


async def made(store: Store, *study_ids: str, at: datetime = NOW, name: str = "spring") -> ReleaseView:
    return await store.create_release(NewRelease(name, study_ids), at)


async def edit(store: Store, release_id: str, at: datetime = NOW, **changes: Any) -> None:
    """Change columns of a release, by no rule but the test's."""
    await store.change(release_id, lambda now: (Change(replace(now.release, **changes), at), None))


async def seen(store: Store, release_id: str) -> Snapshot:
    """Return the snapshot that a decision about a release is given."""
    return await store.change(release_id, lambda now: (Change(now.release, NOW), now))


async def stage(store: Store, release_id: str) -> None:
    await edit(store, release_id, state=ReleaseState.STAGED)


async def publish(store: Store, release_id: str, at: datetime = NOW) -> None:
    """Ask for a staged release without tasks to be published, by the rules of the core."""

    def decide(now: Snapshot) -> tuple[Change, None]:
        draft = Draft(now, at)
        ask_to_publish(draft)
        return draft.change(), None

    await store.change(release_id, decide)


async def publish_quickly(store: Store, release_id: str) -> None:
    await stage(store, release_id)
    await publish(store, release_id)


async def tell(store: Store, release_id: str, *drafts: EventDraft, at: datetime = NOW) -> None:
    await store.change(release_id, lambda now: (Change(now.release, at, events=drafts), None))


async def walk(page: Callable[[PageOf], Awaitable[Page[Any]]], limit: int) -> tuple[list[Any], set[int]]:
    """Return all rows of a list, page by page, and the counts that the pages gave."""
    rows: list[Any] = []
    counts = set()
    while True:
        part = await page(PageOf(limit, len(rows)))
        rows += part.rows
        counts.add(part.count)
        if not part.rows:
            return rows, counts


def names(page: Page[ReleaseView]) -> list[str]:
    return [view.release.name for view in page.rows]


class StoreContract(Opens):
    """Every promise of the ports `Store` and `ReleaseStore`."""

    # Creating

    @pytest.mark.rule("C2")
    @with_store
    async def test_a_release_begins_with_a_task_for_every_enabled_service(self, store: Store) -> None:
        """Id, uuid, version and tasks come with it, it is due at once, and it is stored as it was returned."""
        await know(store, *STUDIES)
        first, off, gone, last = await serve(store, "first", "off", "gone", "last")
        await store.edit_service(off.kf_id, {"enabled": False})
        await store.delete_service(gone.kf_id)
        new = NewRelease("spring", STUDIES[2:0:-1], "all of it", "ann", ("a", "b"), True)

        view = await store.create_release(new, NOW)

        release, tasks = view.release, view.tasks
        assert (release.name, release.description, release.author) == ("spring", "all of it", "ann")
        assert (release.tags, release.is_major, release.studies) == (("a", "b"), True, STUDIES[2:0:-1])
        assert (release.state, release.version) == (ReleaseState.WAITING, Version(0, 0, 0))
        assert (release.created_at, release.step_since, release.look_at) == (NOW, NOW, NOW)
        assert is_id(release.kf_id, Prefix.RELEASE)
        assert [task.service_id for task in tasks] == [first.kf_id, last.kf_id]
        assert tasks[0] == Task(tasks[0].kf_id, first.kf_id, "first", "http://first.example", NOW, NOW, NOW)
        assert all(is_id(task.kf_id, Prefix.TASK) for task in tasks)
        await serve(store, "later")
        assert view == await store.release(release.kf_id)
        assert [release.kf_id] == await store.due(NOW, 10)

    @with_store
    async def test_a_uuid_is_thirty_two_digits_of_version_four(self, store: Store) -> None:
        uuids = [(await made(store)).release.uuid for _ in range(3)]
        assert len(set(uuids)) == 3
        for uuid in uuids:
            assert len(uuid) == 32
            assert int(uuid, 16) > 0
            assert (uuid[12], uuid[16] in "89ab") == ("4", True)

    @pytest.mark.rule("V1", "V2")
    @with_store
    async def test_candidates_are_numbered_upwards(self, store: Store) -> None:
        versions = [str((await made(store)).release.version) for _ in range(3)]
        assert versions == ["0.0.0", "0.0.1", "0.0.2"]

    @pytest.mark.rule("V2", "V4")
    @with_store
    async def test_a_candidate_follows_the_highest_version_ever_given(self, store: Store) -> None:
        """Also one that a failed publishing took."""
        older, newer = await made(store), await made(store)
        await publish_quickly(store, older.release.kf_id)
        await edit(store, newer.release.kf_id, state=ReleaseState.FAILED, ending=ReleaseState.FAILED)
        assert Version(0, 1, 1) == (await made(store)).release.version

    @with_store
    async def test_repeated_studies_count_once_in_their_first_order(self, store: Store) -> None:
        await know(store, *STUDIES)
        view = await made(store, STUDIES[3], STUDIES[0], STUDIES[3], STUDIES[0])
        assert view.release.studies == (STUDIES[3], STUDIES[0])
        assert view == await store.release(view.release.kf_id)

    @with_store
    async def test_unknown_studies_are_named_and_nothing_is_stored(self, store: Store) -> None:
        await know(store, *STUDIES)
        await serve(store, "one")
        with pytest.raises(Invalid) as caught:
            await made(store, "SD_NOWHERE1", STUDIES[0], "SD_NOWHERE2")
        assert caught.value.fields == {
            "studies": [
                'Invalid pk "SD_NOWHERE1" - object does not exist.',
                'Invalid pk "SD_NOWHERE2" - object does not exist.',
            ]
        }
        assert (await store.releases(PageOf())).count == 0
        assert (await store.tasks(PageOf(), TaskFilter())).count == 0
        assert Version(0, 0, 0) == (await made(store)).release.version

    # Changing

    @with_store
    async def test_every_field_of_a_release_is_kept(self, store: Store) -> None:
        """All that a decision may change is read back as it was stored, and set back again."""
        await know(store, *STUDIES)
        before = (await made(store, *STUDIES)).release
        other = (await made(store)).release.kf_id
        after = Release(
            kf_id=before.kf_id,
            name="Ünïcode ✓ 'quoted' \"twice\"",
            version=Version(7, 8, 9),
            studies=before.studies,
            created_at=before.created_at,
            step_since=NOW + SECOND,
            description="d" * 5000,
            author="bob",
            tags=("x", "y", "ü"),
            is_major=True,
            state=ReleaseState.PUBLISHED,
            publish_order=12,
            waits_for=other,
            ending=ReleaseState.CANCELED,
            published_at=NOW + 2 * SECOND,
            partially_published=True,
            look_at=NOW + 3 * SECOND,
            lease=Lease("worker 1", NOW + 4 * SECOND, 5),
            uuid=before.uuid,
        )
        same = {field.name for field in fields(Release) if getattr(before, field.name) == getattr(after, field.name)}
        assert same == {"kf_id", "studies", "created_at", "uuid"}

        await store.change(before.kf_id, lambda _: (Change(after, NOW), None))
        assert after == (await store.release(before.kf_id)).release

        reset = replace(before, version=Version(7, 9, 0))
        await store.change(before.kf_id, lambda _: (Change(reset, NOW), None))
        assert reset == (await store.release(before.kf_id)).release

    @with_store
    async def test_every_field_of_a_task_is_kept(self, store: Store) -> None:
        await serve(store, "one", "two")
        view = await made(store)
        before, other = view.tasks
        after = Task(
            kf_id=before.kf_id,
            service_id=before.service_id,
            service_name=before.service_name,
            service_url=before.service_url,
            created_at=before.created_at,
            state_since=NOW + SECOND,
            life_at=NOW + 2 * SECOND,
            state=TaskState.RUNNING,
            progress=42,
            told=Action.START,
            delivery=Delivery.DOUBTFUL,
            cancel=Delivery.SENT,
            flight_epoch=3,
            attempts=2,
            due_at=NOW + 3 * SECOND,
            last_error="no answer ✗",
            metrics={"documents": 12, "SD_00000001": {"participants": 3.5}, "words": "a\0✗", "none": None},
            preview="https://preview.example.org/✗",
        )
        same = {name for name in Task._fields if getattr(before, name) == getattr(after, name)}
        assert same == {"kf_id", "service_id", "service_name", "service_url", "created_at"}

        await store.change(view.release.kf_id, lambda now: (Change(now.release, NOW, (after,)), None))
        assert (after, other) == (await store.release(view.release.kf_id)).tasks

        await store.change_by_task(before.kf_id, lambda now: (Change(now.release, NOW, (before,)), None))
        assert (before, other) == (await store.release(view.release.kf_id)).tasks

    @with_store
    async def test_tasks_that_differ_in_different_fields_are_stored_together(self, store: Store) -> None:
        await serve(store, "one", "two", "three")
        view = await made(store)
        one, two, three = view.tasks
        changed = (one._replace(progress=7), two._replace(state=TaskState.PENDING, told=Action.INITIALIZE))
        await store.change(view.release.kf_id, lambda now: (Change(now.release, NOW, changed), None))
        assert (*changed, three) == (await store.release(view.release.kf_id)).tasks

    @with_store
    async def test_a_time_is_kept_to_the_microsecond(self, store: Store) -> None:
        release_id = (await made(store)).release.kf_id
        early = datetime(1969, 7, 20, 20, 17, 40, 1, tzinfo=UTC)
        await edit(store, release_id, look_at=early, step_since=NOW + timedelta(microseconds=1))
        stored = (await store.release(release_id)).release
        assert (stored.created_at, stored.look_at) == (NOW, early)
        assert stored.step_since - NOW == timedelta(microseconds=1)
        assert stored.created_at.utcoffset() == timedelta(0)

    @with_store
    async def test_events_get_ids_times_and_rising_positions(self, store: Store) -> None:
        await serve(store, "one")
        view = await made(store)
        release_id, task = view.release.kf_id, view.tasks[0]
        await tell(store, release_id, EventDraft(EventType.INFO, "first"))
        about = EventDraft(EventType.ERROR, "second", task.kf_id, task.service_id)
        await tell(store, release_id, about, EventDraft(EventType.WARNING, "third"), at=NOW + SECOND)

        events = await store.events_after(release_id, 0, 10)

        assert [event.message for event in events] == ["first", "second", "third"]
        assert [event.event_type for event in events] == [EventType.INFO, EventType.ERROR, EventType.WARNING]
        assert [event.created_at for event in events] == [NOW, NOW + SECOND, NOW + SECOND]
        assert (events[1].release_id, events[1].task_id) == (release_id, task.kf_id)
        assert (events[1].task_service_id, events[0].task_id) == (task.service_id, None)
        assert sorted({event.position for event in events}) == [event.position for event in events]
        assert all(is_id(event.kf_id, Prefix.EVENT) for event in events)
        assert [await store.event(event.kf_id) for event in events] == events

    @with_store
    async def test_a_decision_that_changes_nothing_stores_nothing(self, store: Store) -> None:
        await serve(store, "one")
        view = await made(store)
        same = await store.change(
            view.release.kf_id, lambda now: (Change(now.release, NOW + SECOND, view.tasks), "same")
        )
        assert same == "same"
        assert view == await store.release(view.release.kf_id)
        assert (await store.events(PageOf(), EventFilter())).count == 0

    @pytest.mark.parametrize("error", [Conflict("no"), asyncio.CancelledError(), Crash()])
    def test_a_decision_that_raises_stores_nothing(self, tmp_path: Path, error: BaseException) -> None:
        """The error is passed on as it is, and the next decision is taken as if nothing had been."""

        async def main() -> None:
            async with self.opened(tmp_path, seeded()) as store:
                await serve(store, "one")
                view = await made(store)

                def decide(_: Snapshot) -> tuple[Change, None]:
                    raise error

                for change in (
                    store.change(view.release.kf_id, decide),
                    store.change_by_task(view.tasks[0].kf_id, decide),
                ):
                    caught = (await asyncio.gather(change, return_exceptions=True))[0]
                    assert type(caught) is type(error)
                assert view == await store.release(view.release.kf_id)
                await edit(store, view.release.kf_id, name="autumn")
                assert (await store.release(view.release.kf_id)).release.name == "autumn"

        asyncio.run(main())

    def test_a_change_that_breaks_half_way_stores_nothing(self, tmp_path: Path) -> None:
        """Chance runs out after the first of two events: neither they nor the rest of the change is there."""
        numbers = random.Random(1)
        broken: list[bool] = []

        def bits(length: int) -> int:
            if broken and length == 40 and not broken.pop():
                raise OSError("out of chance")
            return numbers.getrandbits(length)

        async def main() -> None:
            async with self.opened(tmp_path, bits) as store:
                await serve(store, "one")
                view = await made(store)
                task = view.tasks[0]._replace(progress=50)
                events = (EventDraft(EventType.INFO, "one"), EventDraft(EventType.INFO, "two"))

                def decide(now: Snapshot) -> tuple[Change, None]:
                    broken[:] = [False, True]
                    return Change(replace(now.release, state=ReleaseState.INITIALIZING), NOW, (task,), events), None

                with pytest.raises(OSError, match="out of chance"):
                    await store.change(view.release.kf_id, decide)
                assert view == await store.release(view.release.kf_id)
                assert (await store.events(PageOf(), EventFilter())).count == 0
                assert (await store.releases(PageOf(), ReleaseFilter([ReleaseState.INITIALIZING]))).count == 0

        asyncio.run(main())

    @with_store
    async def test_changes_at_the_same_time_follow_one_another(self, store: Store) -> None:
        """Fifty that each add one add fifty, whichever way they come in."""
        await serve(store, "one")
        view = await made(store)

        def add_one(now: Snapshot) -> tuple[Change, None]:
            lease = replace(now.release.lease, epoch=now.release.lease.epoch + 1)
            task = next(iter(now.tasks.values()))
            event = EventDraft(EventType.INFO, f"{lease.epoch}")
            tasks = (task._replace(progress=task.progress + 1),)
            return Change(replace(now.release, lease=lease), NOW, tasks, (event,)), None

        await asyncio.gather(
            *(store.change(view.release.kf_id, add_one) for _ in range(25)),
            *(store.change_by_task(view.tasks[0].kf_id, add_one) for _ in range(25)),
        )

        after = await store.release(view.release.kf_id)
        assert (after.release.lease.epoch, after.tasks[0].progress) == (50, 50)
        messages = [event.message for event in await store.events_after(view.release.kf_id, 0, 100)]
        assert messages == [str(n) for n in range(1, 51)]

    @with_store
    async def test_what_does_not_exist_is_not_found(self, store: Store) -> None:
        def decide(_: Snapshot) -> tuple[Change, None]:
            raise AssertionError("decided about nothing")

        questions: dict[str, list[Awaitable[object]]] = {
            "RE_AAAAAAAA": [store.change("RE_AAAAAAAA", decide), store.release("RE_AAAAAAAA")],
            "TA_AAAAAAAA": [store.change_by_task("TA_AAAAAAAA", decide), store.task("TA_AAAAAAAA")],
            "EV_AAAAAAAA": [store.event("EV_AAAAAAAA")],
            "SD_AAAAAAAA": [store.study("SD_AAAAAAAA")],
            "TS_AAAAAAAA": [
                store.service("TS_AAAAAAAA"),
                store.edit_service("TS_AAAAAAAA", {"name": "x"}),
                store.edit_service("TS_AAAAAAAA", {}),
                store.delete_service("TS_AAAAAAAA"),
            ],
        }
        for kf_id, asked in questions.items():
            for question in asked:
                with pytest.raises(NotFound, match=f"There is no .*{kf_id}"):
                    await question

    @pytest.mark.parametrize("field", ["uuid", "studies", "created_at"])
    def test_a_decision_cannot_change_what_a_release_is(self, tmp_path: Path, field: str) -> None:
        async def main() -> None:
            async with self.opened(tmp_path, seeded()) as store:
                view = await made(store)
                other = {"uuid": "0" * 32, "studies": STUDIES, "created_at": NOW + SECOND}[field]
                with pytest.raises(ValueError, match="keeps its id, uuid, studies and time of creation"):
                    await edit(store, view.release.kf_id, NOW, **{field: other})
                assert view == await store.release(view.release.kf_id)

        asyncio.run(main())

    # One task of many

    @with_store
    async def test_a_report_about_one_task_sees_the_others_counted(self, store: Store) -> None:
        await serve(store, *"abcde")
        view = await made(store)
        other_release = await made(store)
        states = [TaskState.PENDING, TaskState.PENDING, TaskState.RUNNING, TaskState.PENDING]
        moved = tuple(task._replace(state=state) for task, state in zip(view.tasks, states, strict=False))
        await store.change(view.release.kf_id, lambda now: (Change(now.release, NOW, moved), None))

        for task_id, others in {
            view.tasks[0].kf_id: {TaskState.PENDING: 2, TaskState.RUNNING: 1, TaskState.WAITING: 1},
            view.tasks[2].kf_id: {TaskState.PENDING: 3, TaskState.WAITING: 1},
        }.items():
            now = await store.change_by_task(task_id, lambda now: (Change(now.release, NOW), now))
            assert others == now.others
            assert {task_id: (await store.task(task_id)).task} == now.tasks
            assert now.release == view.release
        assert other_release == await store.release(other_release.release.kf_id)

    @with_store
    async def test_a_task_follows_its_services_name_and_address(self, store: Store) -> None:
        """Also in decisions, so that a request goes to where the service is now; and a deleted one keeps them."""
        service = (await serve(store, "old"))[0]
        view = await made(store)
        await store.edit_service(service.kf_id, {"name": "new", "url": "http://new.example"})
        await store.delete_service(service.kf_id)
        task = view.tasks[0]._replace(service_name="new", service_url="http://new.example")
        assert (task,) == (await store.release(view.release.kf_id)).tasks
        assert {task.kf_id: task} == (await seen(store, view.release.kf_id)).tasks
        assert task == (await store.task(task.kf_id)).task

    # Publishing

    @with_store
    async def test_a_staged_release_sees_who_was_asked_before_it(self, store: Store) -> None:
        """Unsettled releases that share a study, in the order of asking, with what they share in its own order."""
        await know(store, *STUDIES)
        first = (await made(store, STUDIES[0], STUDIES[1])).release.kf_id
        apart = (await made(store, STUDIES[4])).release.kf_id
        second = (await made(store, *STUDIES[:3])).release.kf_id
        ended = (await made(store, *STUDIES)).release.kf_id
        unasked = (await made(store, *STUDIES)).release.kf_id
        this = (await made(store, STUDIES[2], STUDIES[1], STUDIES[0])).release.kf_id
        for order, release_id in ((4, first), (5, apart), (2, second), (1, ended), (7, this)):
            await edit(store, release_id, publish_order=order)
        await edit(store, ended, state=ReleaseState.CANCELED, ending=ReleaseState.CANCELED)
        await edit(store, first, state=ReleaseState.CANCELING, ending=ReleaseState.FAILED)
        await stage(store, second)
        await stage(store, unasked)
        await stage(store, this)

        now = await seen(store, this)

        ahead = [(entry.kf_id, entry.order, entry.shared) for entry in now.ahead]
        expected = [(second, 2, (STUDIES[2], STUDIES[1], STUDIES[0])), (first, 4, (STUDIES[1], STUDIES[0]))]
        assert expected == ahead
        assert (now.last_order, now.highest_published) == (7, None)

    @with_store
    async def test_a_staged_release_sees_the_highest_version_that_any_publishing_took(self, store: Store) -> None:
        releases = [(await made(store)).release.kf_id for _ in range(4)]
        await publish_quickly(store, releases[0])
        await edit(store, releases[1], is_major=True)
        await publish_quickly(store, releases[1])
        await stage(store, releases[2])
        await edit(store, releases[2], state=ReleaseState.PUBLISHING, publish_order=9, version=Version(1, 1, 0))
        await edit(store, releases[2], state=ReleaseState.FAILED, ending=ReleaseState.FAILED)
        await stage(store, releases[3])
        now = await seen(store, releases[3])
        assert (now.highest_published, now.last_order) == (Version(1, 1, 0), 9)

    @pytest.mark.rule("V3", "V5")
    @with_store
    async def test_requests_to_publish_at_the_same_time_are_put_in_an_order(self, store: Store) -> None:
        """Releases without tasks are published at once: their numbers rise in that order."""
        releases = [(await made(store)).release.kf_id for _ in range(8)]
        for release_id in releases:
            await stage(store, release_id)
        await asyncio.gather(*(publish(store, release_id) for release_id in releases))
        views = [(await store.release(release_id)).release for release_id in releases]
        assert {ReleaseState.PUBLISHED} == {release.state for release in views}
        ordered = sorted(views, key=lambda release: release.publish_order or 0)
        assert [release.publish_order for release in ordered] == list(range(1, 9))
        assert [str(release.version) for release in ordered] == [f"0.{n}.0" for n in range(1, 9)]

    @pytest.mark.rule("V4")
    @with_store
    async def test_a_version_that_was_given_is_not_given_again(self, store: Store) -> None:
        first, second = await made(store), await made(store)
        with pytest.raises(Unavailable, match="No free id or version"):
            await edit(store, second.release.kf_id, version=first.release.version, name="autumn")
        assert second == await store.release(second.release.kf_id)

    @pytest.mark.parametrize("end", sorted(SETTLED_RELEASES))
    def test_the_end_of_a_release_wakes_those_that_wait_for_it(self, tmp_path: Path, end: ReleaseState) -> None:
        async def main() -> None:
            async with self.opened(tmp_path, seeded()) as store:
                first, waits, other, over = [(await made(store)).release.kf_id for _ in range(4)]
                await edit(store, first, state=ReleaseState.PUBLISHING, publish_order=1, look_at=None)
                await edit(store, waits, state=ReleaseState.STAGED, waits_for=first, look_at=None)
                await edit(store, other, state=ReleaseState.STAGED, waits_for=waits, look_at=None)
                ended = {"state": ReleaseState.CANCELED, "ending": ReleaseState.CANCELED}
                await edit(store, over, NOW, **ended, waits_for=first, look_at=None)
                assert await store.due(NOW + SECOND, 10) == []

                ending = None if end is ReleaseState.PUBLISHED else end
                published_at = NOW if end is ReleaseState.PUBLISHED else None
                await edit(store, first, NOW + SECOND, state=end, ending=ending, published_at=published_at)

                assert [waits] == await store.due(NOW + SECOND, 10)
                assert (await store.release(waits)).release.look_at == NOW + SECOND
                await edit(store, waits, look_at=None)
                await edit(store, first, NOW + 2 * SECOND, partially_published=True)
                assert (await store.release(waits)).release.look_at is None, "an end comes once"
                assert await store.due(NOW + 2 * SECOND, 10) == [waits], "it is due until it has seen the end"
                await edit(store, waits, waits_for=None)
                assert await store.due(NOW + 2 * SECOND, 10) == []

        asyncio.run(main())

    # When to look

    @with_store
    async def test_the_longest_overdue_is_looked_at_first(self, store: Store) -> None:
        releases = [(await made(store)).release.kf_id for _ in range(5)]
        looks = (NOW + 2 * SECOND, NOW, None, NOW + 3 * SECOND, NOW + SECOND)
        for release_id, look_at in zip(releases, looks, strict=True):
            await edit(store, release_id, look_at=look_at)
        assert [releases[1], releases[4], releases[0]] == list(await store.due(NOW + 2 * SECOND, 10))
        assert [releases[1], releases[4]] == list(await store.due(NOW + 2 * SECOND, 2))
        assert list(await store.due(NOW - SECOND, 10)) == []
        assert await store.next_look() == NOW

    @with_store
    async def test_nothing_is_looked_at_when_nothing_is_due(self, store: Store) -> None:
        assert await store.next_look() is None
        await edit(store, (await made(store)).release.kf_id, look_at=None)
        assert await store.next_look() is None

    # Lists

    @with_store
    async def test_releases_are_listed_newest_created_first(self, store: Store) -> None:
        """Page by page, with their tasks, also when they were created in the same instant."""
        await serve(store, "one", "two")
        for n in range(7):
            await made(store, name=f"r{n}", at=NOW)
        page = await store.releases(PageOf(3, 2))
        assert (names(page), page.count) == (["r4", "r3", "r2"], 7)
        assert [len(view.tasks) for view in page.rows] == [2, 2, 2]
        assert page.rows[0] == await store.release(page.rows[0].release.kf_id)
        assert names(await store.releases(PageOf(3, 6))) == ["r0"]
        assert await store.releases(PageOf(3, 7)) == Page((), 7)
        assert await store.releases(PageOf(10**30, 10**30)) == Page((), 7)

    @with_store
    async def test_releases_are_filtered_by_state_and_by_study(self, store: Store) -> None:
        await know(store, *STUDIES)
        for n in range(6):
            view = await made(store, STUDIES[n % 2], STUDIES[4], name=f"r{n}")
            if n % 3:
                state = (ReleaseState.INITIALIZING, ReleaseState.RUNNING)[n % 3 - 1]
                await edit(store, view.release.kf_id, state=state)
        waiting, running = ReleaseState.WAITING, ReleaseState.RUNNING

        async def listed(limit: int = 10, offset: int = 0, **which: Any) -> tuple[list[str], int]:
            page = await store.releases(PageOf(limit, offset), ReleaseFilter(**which))
            return names(page), page.count

        assert await listed(states=[waiting]) == (["r3", "r0"], 2)
        assert await listed(states=[waiting, running]) == (["r5", "r3", "r2", "r0"], 4)
        assert await listed(2, 1, states=[waiting, running]) == (["r3", "r2"], 4)
        assert await listed(states=[ReleaseState.PUBLISHED]) == ([], 0)
        assert await listed(study_id=STUDIES[0]) == (["r4", "r2", "r0"], 3)
        assert await listed(1, 1, study_id=STUDIES[0]) == (["r2"], 3)
        assert await listed(study_id=STUDIES[4], states=[running]) == (["r5", "r2"], 2)
        assert await listed(study_id=STUDIES[2]) == ([], 0)
        assert await listed(study_id="SD_NOWHERE1") == ([], 0)

    @with_store
    async def test_tasks_are_listed_newest_first_and_filtered(self, store: Store) -> None:
        services = await serve(store, "one", "two")
        views = [await made(store) for _ in range(3)]
        tasks = [(task.kf_id, view.release.kf_id) for view in views for task in view.tasks][::-1]
        await store.change(
            views[1].release.kf_id,
            lambda now: (
                Change(now.release, NOW, tuple(task._replace(state=TaskState.PENDING) for task in now.tasks.values())),
                None,
            ),
        )

        async def listed(page: PageOf, **which: Any) -> tuple[list[tuple[str, str]], int]:
            part = await store.tasks(page, TaskFilter(**which))
            return [(view.task.kf_id, view.release_id) for view in part.rows], part.count

        page = PageOf()
        assert await listed(page) == (tasks, 6)
        assert await listed(PageOf(2, 1)) == (tasks[1:3], 6)
        assert await listed(page, release_id=views[1].release.kf_id) == (tasks[2:4], 2)
        assert await listed(page, task_service_id=services[0].kf_id) == (tasks[1::2], 3)
        assert await listed(page, state=TaskState.PENDING) == (tasks[2:4], 2)
        assert await listed(page, state=TaskState.PENDING, task_service_id=services[1].kf_id) == (tasks[2:3], 1)
        assert await listed(page, release_id=views[0].release.kf_id, state=TaskState.PENDING) == ([], 0)
        assert await listed(page, release_id="RE_NOWHERE1") == ([], 0)

    @with_store
    async def test_events_are_listed_newest_first_and_filtered(self, store: Store) -> None:
        services = await serve(store, "one", "two")
        views = [await made(store) for _ in range(2)]
        for n, view in enumerate(views):
            for task in view.tasks:
                await tell(store, view.release.kf_id, EventDraft(EventType.INFO, f"i{n}", task.kf_id, task.service_id))
            await tell(store, view.release.kf_id, EventDraft(EventType.WARNING, f"w{n}"))
        everything = [event for view in views for event in await store.events_after(view.release.kf_id, 0, 10)][::-1]

        async def listed(page: PageOf, **which: Any) -> tuple[list[Any], int]:
            part = await store.events(page, EventFilter(**which))
            return list(part.rows), part.count

        page = PageOf()
        assert await listed(page) == (everything, 6)
        assert await listed(PageOf(2, 3)) == (everything[3:5], 6)
        assert await listed(page, release_id=views[0].release.kf_id) == (everything[3:], 3)
        assert await listed(page, task_service_id=services[1].kf_id) == (everything[1::3], 2)
        assert await listed(page, task_id=views[0].tasks[0].kf_id) == (everything[5:], 1)
        assert await listed(page, event_type=EventType.WARNING) == (everything[::3], 2)
        task_id = views[1].tasks[0].kf_id
        assert await listed(page, release_id=views[0].release.kf_id, task_id=task_id) == ([], 0)
        assert await listed(page, release_id=views[1].release.kf_id, event_type=EventType.INFO) == (everything[1:3], 2)

    @with_store
    async def test_every_event_has_its_actor(self, store: Store) -> None:
        """The one who asked; the coordinator where nobody did; whoever wrote it down, of what happened elsewhere."""
        await know(store, STUDIES[0])
        release_id = (await store.create_release(NewRelease("x", STUDIES[:1]), NOW)).release.kf_id

        def note(before: Snapshot, actor: str) -> tuple[Change, None]:
            draft = Draft(before, NOW, actor)
            draft.note("one")
            return draft.change(), None

        await store.change(release_id, lambda before: note(before, "alice"))
        await tell(store, release_id, EventDraft(EventType.INFO, "two"))
        await store.add_event(NewEvent(EventType.INFO, "three", release_id, actor="bob"), NOW)
        events = await store.events_after(release_id, 0, 10)
        assert [(event.message, event.actor) for event in events] == [
            ("one", "alice"),
            ("two", "lockstep"),
            ("three", "bob"),
        ]
        assert (await store.event(events[0].kf_id)).actor == "alice"
        assert (await store.events(PageOf(1))).rows[0].actor == "bob"

    @with_store
    async def test_events_after_a_position_are_those_that_came_later(self, store: Store) -> None:
        first, other = (await made(store)).release.kf_id, (await made(store)).release.kf_id
        for n in range(5):
            await tell(store, first, EventDraft(EventType.INFO, f"{n}"))
            await tell(store, other, EventDraft(EventType.INFO, "other"))
        events = await store.events_after(first, 0, 10)
        assert [event.message for event in events] == ["0", "1", "2", "3", "4"]
        assert events[2:4] == await store.events_after(first, events[1].position, 2)
        assert await store.events_after(first, events[4].position, 10) == []
        assert await store.events_after(first, 10**30, 10) == []
        assert await store.events_after("RE_NOWHERE1", 0, 10) == []

    # Services

    @with_store
    async def test_a_service_is_stored_under_an_id_of_its_own(self, store: Store) -> None:
        given_ = TaskService("TS_MINE", "one", "does one", "http://one.example", "ann", NOW, False, 4)
        stored = await store.add_service(given_)
        assert is_id(stored.kf_id, Prefix.TASK_SERVICE)
        assert stored == replace(given_, kf_id=stored.kf_id)
        assert stored == await store.service(stored.kf_id)
        changes = {"name": "n", "description": "d", "url": "u", "author": "a", "enabled": True, "last_ok_status": 0}
        edited = await store.edit_service(stored.kf_id, changes)
        assert edited == TaskService(stored.kf_id, "n", "d", "u", "a", NOW, True, 0)
        assert edited == await store.service(stored.kf_id) == await store.edit_service(stored.kf_id, {})

    @pytest.mark.parametrize("field", ["kf_id", "created_at", "deleted", "uuid", "shoe_size"])
    def test_nothing_else_of_a_service_can_be_edited(self, tmp_path: Path, field: str) -> None:
        async def main() -> None:
            async with self.opened(tmp_path, seeded()) as store:
                service = (await serve(store, "one"))[0]
                with pytest.raises(ValueError, match=f"{field} of a task service cannot be changed"):
                    await store.edit_service(service.kf_id, {"name": "two", field: "x"})
                assert service == await store.service(service.kf_id)

        asyncio.run(main())

    @with_store
    async def test_services_are_listed_newest_first_without_the_deleted(self, store: Store) -> None:
        one, two, three, four = await serve(store, "one", "two", "three", "four")
        two = await store.edit_service(two.kf_id, {"enabled": False})
        await store.delete_service(three.kf_id)
        assert await store.services(PageOf()) == Page((four, two, one), 3)
        assert await store.services(PageOf(1, 1)) == Page((two,), 3)
        assert await store.services(PageOf(), ServiceFilter(enabled=True)) == Page((four, one), 2)
        assert await store.services(PageOf(), ServiceFilter(enabled=False)) == Page((two,), 1)
        for question in (
            store.service(three.kf_id),
            store.delete_service(three.kf_id),
            store.edit_service(three.kf_id, {"name": "back"}),
        ):
            with pytest.raises(NotFound):
                await question

    # Studies

    @with_store
    async def test_a_sync_makes_the_studies_the_same_as_those_given(self, store: Store) -> None:
        """New, changed, gone, still gone, and back again."""

        def facts(digit: int, name: str | None = "name", *, visible: bool = True) -> StudyFacts:
            return StudyFacts(STUDIES[digit], name, visible, NOW)

        result = await store.sync_studies([facts(2), facts(0, None), facts(1)])
        assert result == SyncResult((STUDIES[2], STUDIES[0], STUDIES[1]))
        assert await store.study(STUDIES[0]) == Study(STUDIES[0], STUDIES[0], True, False, NOW)

        result = await store.sync_studies([facts(3), facts(2, "other", visible=False)])
        assert result == SyncResult((STUDIES[3],), (STUDIES[0], STUDIES[1]))
        assert await store.study(STUDIES[2]) == Study(STUDIES[2], "other", False, False, NOW)
        assert await store.study(STUDIES[1]) == Study(STUDIES[1], "name", True, True, NOW)

        assert await store.sync_studies([facts(3), facts(2, "other", visible=False)]) == SyncResult()

        later = StudyFacts(STUDIES[1], "again", True, None)
        assert await store.sync_studies([facts(3), later]) == SyncResult((), (STUDIES[2],), (STUDIES[1],))
        assert await store.study(STUDIES[1]) == Study(STUDIES[1], "again", True, False, None)
        assert await store.known_studies([*STUDIES, "SD_NOWHERE1"]) == set(STUDIES[:4])
        assert await store.known_studies([]) == set()

    @with_store
    async def test_a_study_that_is_given_twice_is_one_study(self, store: Store) -> None:
        twice = [StudyFacts(STUDIES[0], "first", True, NOW), StudyFacts(STUDIES[0], "last", True, NOW)]
        assert await store.sync_studies(twice) == SyncResult((STUDIES[0],))
        assert await store.sync_studies(twice) == SyncResult()
        assert (await store.study(STUDIES[0])).name == "last"

    @with_store
    async def test_a_study_is_called_whatever_the_data_service_calls_it(self, store: Store) -> None:
        """Real names are longer than the 256 characters of the coordinator in the field; nothing limits them."""
        long = "Genomics of " * 500
        names = (long, "a\0b", "", None, "\0")
        await store.sync_studies([StudyFacts(*of, True, NOW) for of in zip(STUDIES, names, strict=True)])
        called = [(await store.study(study_id)).name for study_id in STUDIES]
        assert called == [long, "ab", *STUDIES[2:]]

    @with_store
    async def test_studies_are_listed_newest_created_first_those_of_unknown_age_last(self, store: Store) -> None:
        ages = (NOW, None, NOW + SECOND, NOW, None)
        await store.sync_studies([StudyFacts(kf_id, "n", True, at) for kf_id, at in zip(STUDIES, ages, strict=True)])
        page = await store.studies(PageOf())
        assert [study.kf_id for study in page.rows] == [STUDIES[n] for n in (2, 3, 0, 4, 1)]
        assert await store.studies(PageOf(2, 1)) == Page(page.rows[1:3], 5)

    @with_store
    async def test_thousands_of_studies_come_in_one_sync(self, store: Store) -> None:
        facts = [StudyFacts(f"SD_{n:08}", f"s{n}", n % 2 == 0, NOW + n * SECOND) for n in range(10_000)]
        assert len((await store.sync_studies(facts)).new) == 10_000
        assert SyncResult() == await store.sync_studies(facts)
        assert len(await store.known_studies([fact.kf_id for fact in facts])) == 10_000
        view = await made(store, *(fact.kf_id for fact in facts))
        assert view == await store.release(view.release.kf_id)
        assert len((await store.sync_studies([])).deleted) == 10_000
        page = await store.studies(PageOf(1))
        assert (page.count, page.rows[0].version) == (10_000, Version(0, 0, 0))

    @with_store
    async def test_a_study_knows_the_versions_of_its_newest_releases(self, store: Store) -> None:
        """The newest created, and the newest created of those published, whenever they were published."""
        await know(store, *STUDIES)
        both, one = STUDIES[0], STUDIES[1]
        first = (await made(store, both, one, at=NOW)).release.kf_id
        second = (await made(store, both, at=NOW + SECOND)).release.kf_id
        assert Study(both, f"Study {both}", True, False, NOW, Version(0, 0, 1)) == await store.study(both)

        await publish_quickly(store, second)
        assert (await store.study(both)).last_pub_version == Version(0, 1, 0)
        await publish_quickly(store, first)

        versions = (Version(0, 1, 0), Version(0, 1, 0))
        expected = Study(both, f"Study {both}", True, False, NOW, *versions, NOW + SECOND, NOW)
        assert expected == await store.study(both)
        versions = (Version(0, 2, 0), Version(0, 2, 0))
        expected = Study(one, f"Study {one}", True, False, NOW, *versions, NOW, NOW)
        assert expected == await store.study(one)
        listed = {study.kf_id: study for study in (await store.studies(PageOf())).rows}
        assert expected == listed[one]
        assert Study(STUDIES[2], f"Study {STUDIES[2]}", True, False, NOW) == listed[STUDIES[2]]

    # Ids

    def test_ids_that_are_taken_are_made_anew(self, tmp_path: Path) -> None:
        """A source of chance that gives every number three times makes no two rows the same."""

        async def main() -> None:
            async with self.opened(tmp_path, repeating(3)) as store:
                await serve(store, "one")
                views = [await made(store) for _ in range(4)]
                for view in views:
                    await tell(store, view.release.kf_id, EventDraft(EventType.INFO, "e"))
                await serve(store, "two")
                assert len({view.release.kf_id for view in views}) == 4
                assert len({view.tasks[0].kf_id for view in views}) == 4
                events = (await store.events(PageOf(), EventFilter())).rows
                assert len({event.kf_id for event in events}) == 4
                assert len({service.kf_id for service in (await store.services(PageOf())).rows}) == 2
                assert [str(view.release.version) for view in views] == ["0.0.0", "0.0.1", "0.0.2", "0.0.3"]

        asyncio.run(main())

    def test_a_broken_source_of_chance_is_named_and_nothing_is_stored(self, tmp_path: Path) -> None:
        async def main() -> None:
            async with self.opened(tmp_path, lambda _: 5) as store:
                await serve(store, "one")
                view = await made(store)
                await tell(store, view.release.kf_id, EventDraft(EventType.INFO, "e"))
                for refused in (
                    made(store),
                    serve(store, "two"),
                    tell(store, view.release.kf_id, EventDraft(EventType.INFO, "f")),
                ):
                    with pytest.raises(Unavailable, match="No free id or version was found in 10 attempts"):
                        await refused
                assert (await store.releases(PageOf())).count == 1
                assert (await store.services(PageOf())).count == 1
                assert (await store.events(PageOf(), EventFilter())).count == 1
                assert view == await store.release(view.release.kf_id)

        asyncio.run(main())

    # Counts

    @given(seed=st.integers(0, 2**32), steps=st.integers(1, 20))
    @settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    def test_counts_are_those_of_the_rows_after_anything(
        self, tmp_path_factory: pytest.TempPathFactory, seed: int, steps: int
    ) -> None:
        async def main() -> None:
            async with self.opened(tmp_path_factory.mktemp("store"), seeded()) as store:
                await know(store, *STUDIES)
                await anything(store, random.Random(seed), steps)
                await counts_are_right(store)

        asyncio.run(main())

    @with_store
    async def test_a_store_that_is_open_answers(self, store: Store) -> None:
        await store.check()


async def anything(store: Store, chance: random.Random, steps: int) -> None:
    """Do things to a store, some of which are refused."""
    for _ in range(steps):
        releases = (await store.releases(PageOf(100))).rows
        unsettled = [view for view in releases if view.release.state not in SETTLED_RELEASES]
        services = (await store.services(PageOf(100))).rows
        step = chance.choice(("serve", "delete", "create", "create", "move", "move", "tell", "refused"))
        if step == "serve":
            await serve(store, "s")
        elif step == "delete" and services:
            await store.delete_service(chance.choice(services).kf_id)
        elif step == "create":
            await made(store, *chance.sample(STUDIES, chance.randrange(3)))
        elif step == "move" and unsettled:
            await _move(store, chance.choice(unsettled), chance)
        elif step == "tell" and releases:
            drafts = [EventDraft(chance.choice(list(EventType)), "e") for _ in range(chance.randrange(4))]
            await tell(store, chance.choice(releases).release.kf_id, *drafts)
        elif step == "refused":
            with pytest.raises(Invalid):
                await made(store, "SD_NOWHERE1")


async def _move(store: Store, view: ReleaseView, chance: random.Random) -> None:
    state, order = chance.choice(list(ReleaseState)), chance.getrandbits(40)
    await store.change(
        view.release.kf_id,
        lambda now: (
            Change(
                replace(
                    now.release,
                    state=state,
                    publish_order=now.release.publish_order or order,
                    published_at=NOW if state is ReleaseState.PUBLISHED else None,
                    ending=ReleaseState.FAILED,
                ),
                NOW,
                tuple(task._replace(state=chance.choice(list(TaskState))) for task in now.tasks.values()),
            ),
            None,
        ),
    )


async def counts_are_right(store: Store) -> None:
    """Compare the count of every list with the rows that it has when it is read to its end."""
    states: list[Sequence[ReleaseState]] = [(), *((state,) for state in ReleaseState), tuple(ReleaseState)[2:6]]
    for which in states:
        rows, counts = await walk(partial(store.releases, which=ReleaseFilter(which)), 3)
        assert {len(rows)} == counts
        assert len({view.release.kf_id for view in rows}) == len(rows)
        assert not which or {view.release.state for view in rows} <= set(which)
    for task_filter in (TaskFilter(), *(TaskFilter(state=state) for state in TaskState)):
        rows, counts = await walk(partial(store.tasks, which=task_filter), 7)
        assert {len(rows)} == counts
        assert len({view.task.kf_id for view in rows}) == len(rows)
    for event_filter in (EventFilter(), *(EventFilter(event_type=kind) for kind in EventType)):
        rows, counts = await walk(partial(store.events, which=event_filter), 7)
        assert {len(rows)} == counts
        assert [event.position for event in rows] == sorted({event.position for event in rows}, reverse=True)


class TestMemoryStore(InMemory, StoreContract):
    """In memory."""


class TestSqliteStore(OnSqlite, StoreContract):
    """On SQLite."""


class TestPostgresStore(OnPostgres, StoreContract):
    """On Postgres."""
