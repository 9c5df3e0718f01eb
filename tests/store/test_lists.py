"""What every store promises of its lists, of what people write, and of what the public sees."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from lockstep.coordinator.core.callers import ALL, PUBLIC, Sight
from lockstep.coordinator.core.errors import Changed, Invalid, KeyReused, NotFound
from lockstep.coordinator.core.model import Change, EventDraft, EventType, Snapshot
from lockstep.coordinator.core.records import (
    EventFilter,
    NewEvent,
    NewNote,
    NewRelease,
    NoteFilter,
    Page,
    PageOf,
    ReleaseFilter,
    ReleaseView,
    RequestKey,
    ServiceFilter,
    StudyFilter,
    TaskFilter,
)
from lockstep.coordinator.core.versions import Version
from lockstep.coordinator.ports import Store
from lockstep.protocol.states import ReleaseState
from tests.store.kinds import InMemory, OnPostgres, OnSqlite, Opens
from tests.store.test_store_contract import (
    NOW,
    SECOND,
    STUDIES,
    know,
    made,
    names,
    publish,
    serve,
    stage,
    tell,
    with_store,
)

MINE = Sight(studies=frozenset({STUDIES[0]}))


async def start(store: Store, name: str, *studies: str, at: int = 0, **fields: Any) -> str:
    """Create a release so many seconds from now."""
    view = await store.create_release(NewRelease(name, studies or STUDIES[:1], **fields), NOW + at * SECOND)
    return view.release.kf_id


async def bring_out(store: Store, release_id: str, at: int = 0) -> None:
    await stage(store, release_id)
    await publish(store, release_id, NOW + at * SECOND)


async def refused(error: type[Exception], call: Awaitable[Any]) -> str:
    with pytest.raises(error) as raised:
        await call
    return str(raised.value)


class ListsContract(Opens):
    """The promises. A subclass only says how its store is opened."""

    @with_store
    async def test_releases_are_found_by_each_of_their_fields(self, store: Store) -> None:
        await know(store, *STUDIES)
        first = await start(store, "Spring 50%", STUDIES[0], author="ann", tags=("a", "b"), at=1)
        await start(store, "Summer 500", STUDIES[0], STUDIES[1], author="bob", tags=("b",), is_major=True, at=2)
        await start(store, "spring_tide", STUDIES[1], author="ann", at=3)
        await bring_out(store, first, at=10)

        async def listed(**which: Any) -> list[str]:
            page = await store.releases(PageOf(), ReleaseFilter(**which))
            assert page.count == len(page.rows)
            return names(page)

        assert await listed(author="ann") == ["spring_tide", "Spring 50%"]
        assert await listed(author="an") == []
        assert await listed(name="Summer 500") == ["Summer 500"]
        assert await listed(name_contains="SPRING") == ["spring_tide", "Spring 50%"]
        assert await listed(name_contains="50%") == ["Spring 50%"]
        assert await listed(name_contains="g_t") == ["spring_tide"]
        assert await listed(name_contains="\\") == []
        assert await listed(version=Version(0, 0, 1)) == ["Summer 500"]
        assert await listed(version=Version(0, 1, 0)) == ["Spring 50%"]
        assert await listed(is_major=True) == ["Summer 500"]
        assert await listed(is_major=False) == ["spring_tide", "Spring 50%"]
        assert await listed(tags=("b",)) == ["Summer 500", "Spring 50%"]
        assert await listed(tags=("b", "a")) == ["Spring 50%"]
        assert await listed(tags=("b",), study_id=STUDIES[1]) == ["Summer 500"]
        assert await listed(created_after=NOW + SECOND) == ["spring_tide", "Summer 500"]
        assert await listed(created_before=NOW + 2 * SECOND) == ["Spring 50%"]
        assert await listed(created_after=NOW + SECOND, created_before=NOW + 3 * SECOND) == ["Summer 500"]
        assert await listed(published_after=NOW + 9 * SECOND) == ["Spring 50%"]
        assert await listed(published_before=NOW + 10 * SECOND) == []
        assert await listed(states=[ReleaseState.WAITING], author="ann", name_contains="tide") == ["spring_tide"]
        twice = [ReleaseState.WAITING, ReleaseState.PUBLISHED, ReleaseState.WAITING]
        page = await store.releases(PageOf(2), ReleaseFilter(twice))
        assert (names(page), page.count) == (["spring_tide", "Summer 500"], 3)

    @with_store
    async def test_releases_are_ordered_both_ways_and_equal_ones_by_age(self, store: Store) -> None:
        await know(store, *STUDIES)
        ids = [await start(store, name, author="me", at=n) for n, name in enumerate(("b", "a", "c", "a"))]
        await bring_out(store, ids[2], at=20)
        await bring_out(store, ids[0], at=21)

        async def versions(order: str, **which: Any) -> list[str]:
            pages = [await store.releases(PageOf(3, at, order), ReleaseFilter(**which)) for at in (0, 3)]
            return [str(view.release.version) for page in pages for view in page.rows]

        assert await versions("name") == ["0.0.1", "0.0.3", "0.2.0", "0.1.0"]
        assert await versions("-name") == ["0.1.0", "0.2.0", "0.0.3", "0.0.1"]
        assert await versions("created_at") == ["0.2.0", "0.0.1", "0.1.0", "0.0.3"]
        assert await versions("-created_at") == ["0.0.3", "0.1.0", "0.0.1", "0.2.0"]
        assert await versions("author") == await versions("created_at")
        assert await versions("version") == ["0.0.1", "0.0.3", "0.1.0", "0.2.0"]
        assert await versions("-published_at") == ["0.2.0", "0.1.0", "0.0.3", "0.0.1"]
        assert await versions("published_at") == ["0.0.1", "0.0.3", "0.1.0", "0.2.0"]
        assert await versions("-state") == ["0.0.3", "0.0.1", "0.1.0", "0.2.0"]
        assert await versions("-name", name_contains="a", states=[ReleaseState.WAITING]) == ["0.0.3", "0.0.1"]
        assert await versions("created_at", states=[ReleaseState.WAITING]) == ["0.0.1", "0.0.3"]
        waiting_or_published = [ReleaseState.WAITING, ReleaseState.PUBLISHED]
        assert await versions("created_at", states=waiting_or_published) == await versions("created_at")
        assert await versions("created_at", study_id=STUDIES[0], created_after=NOW) == ["0.0.1", "0.1.0", "0.0.3"]

    @with_store
    async def test_an_order_that_a_list_does_not_have_is_refused(self, store: Store) -> None:
        lists: Sequence[Callable[[PageOf], Awaitable[Page[Any]]]] = (
            store.releases,
            store.tasks,
            store.events,
            store.notes,
            store.services,
            store.studies,
        )
        for listed in lists:
            assert "'-rank' is no order of this list" in await refused(Invalid, listed(PageOf(order="-rank")))
            assert (await listed(PageOf(order="created_at"))).rows == ()

    @with_store
    async def test_everybody_sees_what_is_published_and_what_is_theirs(self, store: Store) -> None:
        """Each row once, though a release holds several of a caller's studies; with what hangs on it."""
        await know(store, *STUDIES)
        await serve(store, "one")
        public, mine, other = [
            await made(store, *studies, name=name)
            for name, studies in (("public", STUDIES[1:3]), ("mine", STUDIES[:2]), ("other", STUDIES[1:]))
        ]
        notes = {
            view.release.name: await store.add_note(NewNote("n", view.release.kf_id), NOW)
            for view in (public, mine, other)
        }
        await publish_with_tasks(store, public)
        for view in (mine, other):
            await tell(store, view.release.kf_id, EventDraft(EventType.INFO, "e", view.tasks[0].kf_id))
        await store.add_event(NewEvent(EventType.INFO, "of nothing"), NOW)
        of = {view.release.kf_id: view.release.name for view in (public, mine, other)}
        both = Sight(studies=frozenset(STUDIES[:2]))
        for sight, seen in ((PUBLIC, ["public"]), (MINE, ["mine", "public"]), (both, ["other", "mine", "public"])):
            assert names(await store.releases(PageOf(), sight=sight)) == seen
            assert (await store.releases(PageOf(1), sight=sight)).count == len(seen)
            tasks = await store.tasks(PageOf(), sight=sight)
            assert [of[row.release_id] for row in tasks.rows] == seen
            events = await store.events(PageOf(50), sight=sight)
            assert list(dict.fromkeys(of[row.release_id or ""] for row in events.rows)) == seen
            assert len({row.kf_id for row in events.rows}) == events.count == len(events.rows)
            listed = await store.notes(PageOf(), sight=sight)
            assert ([of[row.release_id] for row in listed.rows], listed.count) == (seen, len(seen))
            for view in (public, mine, other):
                await self._single_reads(store, view, notes[view.release.name].kf_id, sight, seen)
        assert names(await store.releases(PageOf(), sight=ALL)) == ["other", "mine", "public"]
        assert (await store.events(PageOf(1), sight=ALL)).rows[0].message == "of nothing"

    async def _single_reads(
        self, store: Store, view: ReleaseView, note_id: str, sight: Sight, seen: Sequence[str]
    ) -> None:
        (event, *_) = await store.events_after(view.release.kf_id, 0, 1)
        reads: Sequence[Callable[[], Awaitable[Any]]] = (
            lambda: store.release(view.release.kf_id, sight),
            lambda: store.task(view.tasks[0].kf_id, sight),
            lambda: store.event(event.kf_id, sight),
            lambda: store.note(note_id, sight),
        )
        for read in reads:
            if view.release.name in seen:
                assert await read()
            else:
                assert await refused(NotFound, read())

    @with_store
    async def test_a_sight_narrows_a_filter_and_no_filter_widens_a_sight(self, store: Store) -> None:
        await know(store, *STUDIES)
        await made(store, STUDIES[0], name="mine")
        hidden = await made(store, STUDIES[1], name="hidden")

        async def listed(sight: Sight, **which: Any) -> tuple[list[str], int]:
            page = await store.releases(PageOf(), ReleaseFilter(**which), sight)
            return names(page), page.count

        assert await listed(PUBLIC, states=[ReleaseState.WAITING]) == ([], 0)
        assert await listed(PUBLIC, states=[ReleaseState.WAITING, ReleaseState.PUBLISHED]) == ([], 0)
        assert await listed(PUBLIC, study_id=STUDIES[1]) == ([], 0)
        assert await listed(MINE, states=[ReleaseState.WAITING]) == (["mine"], 1)
        assert await listed(MINE, study_id=STUDIES[1]) == ([], 0)
        assert await listed(MINE, name_contains="i") == (["mine"], 1)
        assert (await store.events(PageOf(), EventFilter(hidden.release.kf_id), MINE)).count == 0

    @with_store
    async def test_tasks_and_events_are_found_by_their_fields(self, store: Store) -> None:
        await serve(store, "one", "two")
        views = [await made(store, at=NOW + n * SECOND, name=f"r{n}") for n in range(3)]
        for n, view in enumerate(views):
            await tell(store, view.release.kf_id, EventDraft(EventType.INFO, f"Event {n}_"), at=NOW + n * SECOND)

        async def tasks(order: str = "-created_at", **which: Any) -> list[str]:
            page = await store.tasks(PageOf(order=order), TaskFilter(**which))
            assert page.count == len(page.rows)
            return [row.task.kf_id for row in page.rows]

        async def events(order: str = "-created_at", **which: Any) -> list[str]:
            page = await store.events(PageOf(order=order), EventFilter(**which))
            assert page.count == len(page.rows)
            return [row.message for row in page.rows]

        everything = [task.kf_id for view in views for task in view.tasks]
        assert await tasks("created_at") == everything
        assert await tasks("-state") == everything[::-1]
        assert await tasks(kf_id=everything[3]) == everything[3:4]
        assert await tasks(created_after=NOW + SECOND) == everything[5:3:-1]
        assert await tasks(created_before=NOW + SECOND) == everything[1::-1]
        assert await events("created_at", created_after=NOW) == ["Event 1_", "Event 2_"]
        assert await events(created_before=NOW + 2 * SECOND) == ["Event 1_", "Event 0_"]
        assert await events(message_contains="event 1") == ["Event 1_"]
        assert await events(message_contains="_") == ["Event 2_", "Event 1_", "Event 0_"]
        assert await events("event_type", message_contains="T 2") == ["Event 2_"]

    @with_store
    async def test_services_and_studies_are_found_by_their_fields(self, store: Store) -> None:
        await know(store, *STUDIES[:3])
        await store.sync_studies([])
        await know(store, STUDIES[0])
        one, two, three = await serve(store, "one", "two", "three")
        await store.edit_service(one.kf_id, {"last_ok_status": 4, "author": "ann"})
        await store.edit_service(two.kf_id, {"last_ok_status": 3, "enabled": False})

        async def services(order: str = "-created_at", **which: Any) -> list[str]:
            page = await store.services(PageOf(order=order), ServiceFilter(**which))
            assert page.count == len(page.rows)
            return [row.name for row in page.rows]

        async def studies(order: str = "kf_id", **which: Any) -> list[str]:
            page = await store.studies(PageOf(order=order), StudyFilter(**which))
            assert page.count == len(page.rows)
            return [row.kf_id for row in page.rows]

        assert await services() == ["three", "two", "one"]
        assert await services("name") == ["one", "three", "two"]
        assert await services(author="ann") == ["one"]
        assert await services(name="two", enabled=False) == ["two"]
        assert await services(name_contains="E") == ["three", "one"]
        assert await services(url=three.url) == ["three"]
        assert await services(description="does one") == ["one"]
        assert await services(healthy=True) == ["three", "two"]
        assert await services(healthy=False) == ["one"]
        assert await services(created_after=NOW) == ["three", "two"]
        assert await studies() == list(STUDIES[:3])
        assert await studies("-kf_id", deleted=True) == [STUDIES[2], STUDIES[1]]
        assert await studies(deleted=False) == [STUDIES[0]]
        assert await studies(visible=False) == []
        assert await studies(kf_id=STUDIES[1]) == [STUDIES[1]]
        assert await studies("-name", name_contains="study sd_") == list(STUDIES[2::-1])
        assert await studies(created_before=NOW) == []

    @with_store
    async def test_a_note_is_written_changed_and_taken_away(self, store: Store) -> None:
        await know(store, *STUDIES[:2])
        release_id = await start(store, "spring", STUDIES[0])
        one = await store.add_note(NewNote("one", release_id, author="ann"), NOW)
        two = await store.add_note(NewNote("two", release_id, STUDIES[0]), NOW + SECOND)
        assert await store.notes_of(release_id) == [two, one]
        assert (one.study_id, two.study_id, one.author, one.created_at) == (None, STUDIES[0], "ann", NOW)
        assert (await store.release(release_id)).notes == (two, one)
        assert (await store.releases(PageOf())).rows[0].notes == (two, one)
        assert await store.notes(PageOf()) == Page((two, one), 2)
        assert await store.notes(PageOf(1, 0, "created_at")) == Page((one,), 2)
        for which, found in (
            (NoteFilter(release_id), (two, one)),
            (NoteFilter("RE_NOWHERE1"), ()),
            (NoteFilter(study_id=STUDIES[0]), (two,)),
            (NoteFilter(author="ann"), (one,)),
            (NoteFilter(kf_id=two.kf_id), (two,)),
            (NoteFilter(description_contains="TW"), (two,)),
            (NoteFilter(created_after=NOW), (two,)),
        ):
            assert await store.notes(PageOf(), which) == Page(found, len(found))
        edited = await store.edit_note(one.kf_id, "uno")
        assert edited == replace(one, description="uno") == await store.note(one.kf_id)
        assert "has changed since" in await refused(Changed, store.edit_note(one.kf_id, "eins", seen=one))
        assert "has changed since" in await refused(Changed, store.delete_note(one.kf_id, seen=one))
        assert await store.delete_note(one.kf_id, seen=edited) == edited
        assert await store.notes(PageOf()) == Page((two,), 1)
        for gone in (store.note(one.kf_id), store.edit_note(one.kf_id, "x"), store.delete_note(one.kf_id)):
            assert await refused(NotFound, gone) == f"There is no release note {one.kf_id}."

    @with_store
    async def test_a_note_is_on_a_release_that_is_there_and_on_a_study_in_it(self, store: Store) -> None:
        await know(store, *STUDIES[:2])
        release_id = await start(store, "spring", STUDIES[0])
        for new, sentence in (
            (NewNote("n", "RE_NOWHERE1"), "release: Release RE_NOWHERE1 does not exist"),
            (NewNote("n", release_id, "SD_NOWHERE1"), "study: Study SD_NOWHERE1 does not exist"),
            (NewNote("n", release_id, STUDIES[1]), f"study: Study {STUDIES[1]} is not in release {release_id}"),
        ):
            assert await refused(Invalid, store.add_note(new, NOW)) == sentence
        assert (await store.notes(PageOf())).count == 0

    @with_store
    async def test_an_event_from_elsewhere_is_about_what_is_there(self, store: Store) -> None:
        (service,) = await serve(store, "one")
        view = await made(store)
        task = view.tasks[0]
        told = await store.add_event(NewEvent(EventType.WARNING, "told", task_id=task.kf_id), NOW)
        assert (told.release_id, told.task_service_id, told.task_id) == (
            view.release.kf_id,
            service.kf_id,
            task.kf_id,
        )
        assert await store.event(told.kf_id) == told
        assert await store.events_after(view.release.kf_id, 0, 10) == [told]
        assert (await store.events(PageOf(), EventFilter(event_type=EventType.WARNING))).count == 1
        plain = await store.add_event(NewEvent(EventType.INFO, "plain"), NOW)
        assert (await store.events(PageOf())).rows == (plain, told)
        other = await made(store)
        for new, sentence in (
            (NewEvent(EventType.INFO, "e", "RE_NOWHERE1"), "release: Release RE_NOWHERE1 does not exist"),
            (NewEvent(EventType.INFO, "e", None, "TS_N"), "task_service: Task service TS_N does not exist"),
            (NewEvent(EventType.INFO, "e", task_id="TA_N"), "task: Task TA_N does not exist"),
            (
                NewEvent(EventType.INFO, "e", other.release.kf_id, None, task.kf_id),
                f"task: Task {task.kf_id} is of release {view.release.kf_id} and service {service.kf_id}",
            ),
        ):
            assert await refused(Invalid, store.add_event(new, NOW)) == sentence

    @with_store
    async def test_a_service_is_changed_as_it_was_seen_or_not_at_all(self, store: Store) -> None:
        (service,) = await serve(store, "one")
        now = await store.edit_service(service.kf_id, {"name": "uno"}, seen=service)
        assert "has changed since" in await refused(Changed, store.edit_service(service.kf_id, {}, seen=service))
        assert "has changed since" in await refused(Changed, store.delete_service(service.kf_id, seen=service))
        assert await store.service(service.kf_id) == now
        await store.delete_service(service.kf_id, seen=now)
        assert (await store.services(PageOf())).count == 0

    @with_store
    async def test_a_key_gives_the_same_release_to_the_same_caller(self, store: Store) -> None:
        await know(store, *STUDIES)
        key = RequestKey("ann", "k", "print")
        new = NewRelease("spring", STUDIES[:1])
        first = await store.create_release(new, NOW, key)
        await stage(store, first.release.kf_id)
        again = await store.create_release(new, NOW + SECOND, key)
        assert (again.release.kf_id, again.release.state) == (first.release.kf_id, ReleaseState.STAGED)
        assert "was sent with another request" in await refused(
            KeyReused, store.create_release(new, NOW, replace(key, fingerprint="other"))
        )
        await store.create_release(new, NOW, replace(key, caller="bob"))
        await store.create_release(new, NOW)
        assert (await store.releases(PageOf())).count == 3
        unknown = NewRelease("summer", ("SD_NOWHERE1",))
        await refused(Invalid, store.create_release(unknown, NOW, replace(key, key="l")))
        await store.create_release(new, NOW, replace(key, key="l", fingerprint="mended"))

    @with_store
    async def test_the_public_sees_what_was_published_last(self, store: Store) -> None:
        """Of each study too, in the order of publishing, whichever was created first."""
        await know(store, *STUDIES)
        one = await start(store, "one", STUDIES[0], STUDIES[1], at=1)
        two = await start(store, "two", STUDIES[1], at=2)
        await start(store, "three", STUDIES[0], at=3)
        assert await store.published(5) == []
        await refused(NotFound, store.current_of(STUDIES[0]))
        await bring_out(store, two, at=10)
        await bring_out(store, one, at=20)
        note = await store.add_note(NewNote("n", one), NOW)

        async def published(limit: int, until: int | None = None) -> list[str]:
            views = await store.published(limit, None if until is None else NOW + until * SECOND)
            return [view.release.name for view in views]

        assert await published(5) == ["one", "two"]
        assert await published(1) == ["one"]
        assert await published(1, 20) == ["one"]
        assert await published(5, 19) == ["two"]
        assert await published(5, 9) == []
        assert (await store.published(1))[0].notes == (note,)
        assert (await store.current_of(STUDIES[0])).release.name == "one"
        assert (await store.current_of(STUDIES[1])).release.name == "one"
        await refused(NotFound, store.current_of(STUDIES[2]))
        await refused(NotFound, store.current_of("SD_NOWHERE1"))

    @with_store
    async def test_a_release_is_found_by_the_tags_that_it_has_now(self, store: Store) -> None:
        await know(store, *STUDIES)
        release_id = await start(store, "one", tags=("old", "kept", "kept"))
        await store.change(release_id, lambda now: (replace_release(now, tags=("new", "kept")), None))
        for tag, found in (("old", 0), ("kept", 1), ("new", 1)):
            assert (await store.releases(PageOf(), ReleaseFilter(tags=(tag,)))).count == found


def replace_release(now: Snapshot, **fields: Any) -> Change:
    return Change(replace(now.release, **fields), NOW)


async def publish_with_tasks(store: Store, view: ReleaseView) -> None:
    """Publish a release with its tasks, by no rule but the test's."""
    drafts = (EventDraft(EventType.INFO, "published", view.tasks[0].kf_id),)
    fields: dict[str, Any] = {"state": ReleaseState.PUBLISHED, "published_at": NOW, "publish_order": 1}
    await store.change(
        view.release.kf_id, lambda now: (Change(replace(now.release, **fields), NOW, events=drafts), None)
    )


class TestMemoryLists(InMemory, ListsContract):
    """In memory."""


class TestSqliteLists(OnSqlite, ListsContract):
    """On SQLite."""


class TestPostgresLists(OnPostgres, ListsContract):
    """On Postgres."""
