"""What every store promises about users, sessions, the clients of services and the deployment's secret."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lockstep.coordinator.core.callers import Caller, Kind, Role
from lockstep.coordinator.core.errors import Invalid, NotFound
from lockstep.coordinator.core.records import NewRelease, PageOf, StudyFacts, TaskService
from lockstep.coordinator.core.users import Profile, Session, UserFilter
from lockstep.coordinator.ports import Store
from lockstep.coordinator.store.memory import MemoryStore
from lockstep.coordinator.store.opening import open_store

NOW = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
HOUR = timedelta(hours=1)
ALICE = Profile("auth0|alice", "alice", "Alice@example.org", "Alice", "Adams", "https://example.org/a.png")
BOB = Profile("auth0|bob", "bob", "bob@example.org")


@asynccontextmanager
async def memory(_: Path) -> AsyncIterator[Store]:
    yield MemoryStore()


def sqlite(path: Path) -> AbstractAsyncContextManager[Store]:
    return open_store(f"sqlite:///{path}/people.db")


Body = Callable[[Store], Awaitable[None]]
Run = Callable[[Body], None]


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    def opened() -> AbstractAsyncContextManager[Store]:
        if request.param == "postgres":
            return open_store(request.getfixturevalue("postgres_database"))
        return memory(tmp_path) if request.param == "memory" else sqlite(tmp_path)

    store_of_this_test = opened()

    def go(body: Body) -> None:
        async def main() -> None:
            async with store_of_this_test as store:
                await body(store)

        asyncio.run(main())

    return go


def session(digest: str = "d1", **fields: Any) -> Session:
    whole = Session(digest, BOB.sub, "bob", frozenset({Role.DEV}), frozenset({"SD_1", "SD_2"}), NOW + HOUR)
    return replace(whole, **fields)


def test_a_user_is_remembered_and_what_is_not_told_again_stays(run: Run) -> None:
    async def body(store: Store) -> None:
        first = await store.people.remember(ALICE, NOW)
        assert (first.profile, first.date_joined, first.last_login) == (ALICE, NOW, None)
        again = await store.people.remember(Profile(ALICE.sub, email="new@example.org"), NOW + HOUR, signed_in=True)
        expected = replace(first, profile=replace(ALICE, email="new@example.org"), last_login=NOW + HOUR)
        assert again == expected
        assert await store.people.user(ALICE.sub) == expected
        assert await store.people.remember(Profile(ALICE.sub), NOW + HOUR) == expected

    run(body)


def test_users_have_numbers_of_their_own(run: Run) -> None:
    async def body(store: Store) -> None:
        alice, bob = await store.people.remember(ALICE, NOW), await store.people.remember(BOB, NOW)
        assert alice.number != bob.number

    run(body)


def test_nobody_who_was_not_here_is_found(run: Run) -> None:
    async def body(store: Store) -> None:
        with pytest.raises(NotFound):
            await store.people.user("auth0|nobody")

    run(body)


@pytest.mark.parametrize(
    ("which", "found"),
    [
        (UserFilter(), ["bob", "alice"]),
        (UserFilter(sub=BOB.sub), ["bob"]),
        (UserFilter(email="bob@example.org"), ["bob"]),
        (UserFilter(email="BOB@example.org"), []),
        (UserFilter(email_contains="ALICE@"), ["alice"]),
        (UserFilter(email_contains="%"), []),
        (UserFilter(username="alice"), ["alice"]),
        (UserFilter(first_name="Alice", last_name="Adams"), ["alice"]),
        (UserFilter(first_name="Alice", last_name="Brown"), []),
        (UserFilter(joined_before=NOW + HOUR), ["alice"]),
        (UserFilter(joined_after=NOW), ["bob"]),
        (UserFilter(login_after=NOW), ["bob"]),
        (UserFilter(login_before=NOW + 2 * HOUR), ["bob"]),
    ],
)
def test_users_are_listed_by_what_they_are(run: Run, which: UserFilter, found: list[str]) -> None:
    async def body(store: Store) -> None:
        await store.people.remember(ALICE, NOW)
        await store.people.remember(BOB, NOW + HOUR, signed_in=True)
        page = await store.people.users(PageOf(), which)
        assert ([user.profile.username for user in page.rows], page.count) == (found, len(found))

    run(body)


def test_users_are_listed_in_the_order_in_which_they_came_or_the_other(run: Run) -> None:
    async def body(store: Store) -> None:
        for profile in (ALICE, BOB):
            await store.people.remember(profile, NOW)
        page = await store.people.users(PageOf(limit=1, offset=1, order="date_joined"))
        assert ([user.profile for user in page.rows], page.count) == ([BOB], 2)
        page = await store.people.users(PageOf(limit=1, order="-date_joined"))
        assert [user.profile for user in page.rows] == [BOB]
        with pytest.raises(Invalid, match="is no order of this list"):
            await store.people.users(PageOf(order="email"))

    run(body)


def test_a_session_is_what_was_opened_until_it_is_over(run: Run) -> None:
    async def body(store: Store) -> None:
        await store.people.remember(BOB, NOW)
        await store.people.open_session(session(), NOW)
        kept = await store.people.session("d1", NOW)
        assert kept == session()
        groups = frozenset({"SD_1", "SD_2"})
        assert kept.caller() == Caller(Kind.PERSON, "bob", BOB.sub, frozenset({Role.DEV}), groups)
        with pytest.raises(NotFound):
            await store.people.session("d1", NOW + HOUR)
        with pytest.raises(NotFound):
            await store.people.session("d2", NOW)

    run(body)


def test_a_closed_session_is_gone_and_the_others_stay(run: Run) -> None:
    async def body(store: Store) -> None:
        await store.people.remember(BOB, NOW)
        for digest in ("d1", "d2"):
            await store.people.open_session(session(digest), NOW)
        for _ in range(2):
            await store.people.close_session("d1")
        with pytest.raises(NotFound):
            await store.people.session("d1", NOW)
        assert await store.people.session("d2", NOW) == session("d2")

    run(body)


def test_sessions_that_are_over_are_removed_when_another_is_opened(run: Run) -> None:
    async def body(store: Store) -> None:
        await store.people.remember(BOB, NOW)
        await store.people.open_session(session("old"), NOW)
        await store.people.open_session(session("new", expires_at=NOW + 2 * HOUR), NOW + HOUR)
        with pytest.raises(NotFound):
            await store.people.session("old", NOW)

    run(body)


def test_the_client_of_a_task_is_that_of_its_service_also_when_it_was_deleted(run: Run) -> None:
    async def body(store: Store) -> None:
        await store.sync_studies([StudyFacts("SD_00000001", "one", True, NOW)])
        new = TaskService("", "reports", "", "http://reports", "admin", NOW, client_id="reports-client")
        service = await store.add_service(new)
        assert service.client_id == "reports-client"
        task = (await store.create_release(NewRelease("x", ("SD_00000001",)), NOW)).tasks[0]
        assert await store.people.client_of_task(task.kf_id) == "reports-client"
        await store.edit_service(service.kf_id, {"client_id": "other"})
        assert (await store.service(service.kf_id)).client_id == "other"
        await store.delete_service(service.kf_id)
        assert await store.people.client_of_task(task.kf_id) == "other"
        with pytest.raises(NotFound):
            await store.people.client_of_task("TA_00000000")

    run(body)


def test_the_secret_is_made_up_once(run: Run) -> None:
    async def body(store: Store) -> None:
        assert await store.people.secret("first") == "first"
        assert await store.people.secret("second") == "first"

    run(body)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_two_processes_agree_on_the_secret_and_on_users(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    url = request.getfixturevalue("postgres_database") if kind == "postgres" else f"sqlite:///{tmp_path}/people.db"

    async def go() -> None:
        async with open_store(url) as one, open_store(url) as other:
            said = await asyncio.gather(*(store.people.secret(f"{n}") for n in range(4) for store in (one, other)))
            assert len(set(said)) == 1
            users = await asyncio.gather(
                *(store.people.remember(ALICE, NOW) for _ in range(4) for store in (one, other))
            )
            assert {user.number for user in users} == {(await one.people.user(ALICE.sub)).number}

    asyncio.run(go())
