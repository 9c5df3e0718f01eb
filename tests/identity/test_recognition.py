"""How people are called: by the name in their token, or the one that the issuer tells, once, or the one of before."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest
from httpx import AsyncClient

from lockstep.coordinator.adapters.clock import SystemClock
from lockstep.coordinator.adapters.identity import OidcIdentity
from lockstep.coordinator.adapters.oidc import Issuer
from lockstep.coordinator.core.callers import Caller, Kind, Role
from lockstep.coordinator.core.errors import NotFound, Unauthorized
from lockstep.coordinator.core.users import Profile
from lockstep.coordinator.services.callback_tokens import CallbackTokens
from lockstep.coordinator.services.recognition import Recognition
from lockstep.coordinator.store.memory import MemoryStore
from lockstep.coordinator.web.callers import COOKIE
from lockstep.protocol.states import ReleaseState
from tests.conftest import Serve
from tests.faces import coordinator
from tests.identity.published import PublishedIssuer, published, rsa
from tests.patience import PATIENCE_S

KEY = rsa("one")
TASK = "TA_00000001"


@asynccontextmanager
async def recognizing(serve: Serve, store: MemoryStore) -> AsyncIterator[tuple[PublishedIssuer, Recognition]]:
    async with published(serve, KEY) as there, Issuer(there.url) as issuer:
        yield there, Recognition(store.people, OidcIdentity(issuer, "lockstep"), SystemClock(), "secret")


def test_who_is_seen_first_is_remembered_by_what_the_token_tells(serve: Serve) -> None:
    async def go() -> None:
        async with recognizing(serve, store := MemoryStore()) as (there, recognition):
            token = there.token(KEY, nickname="al", email="al@example.org", given_name="Alice")
            assert (await recognition.by_token(token)).name == "al"
            expected = Profile("alice", "al", "al@example.org", "Alice")
            assert (await store.people.user("alice")).profile == expected
            assert there.asked_of == []

    asyncio.run(go())


def test_an_issuer_is_asked_once_for_what_the_token_does_not_tell(serve: Serve) -> None:
    async def go() -> None:
        async with recognizing(serve, store := MemoryStore()) as (there, recognition):
            there.userinfo = {"sub": "alice", "nickname": "al"}
            token = there.token(KEY)
            for _ in range(3):
                assert (await recognition.by_token(token)).name == "al"
            assert there.asked_of == [f"Bearer {token}"]
        async with recognizing(serve, store) as (there, recognition):
            assert (await recognition.by_token(there.token(KEY))).name == "al"
            assert there.asked_of == []

    asyncio.run(go())


@pytest.mark.parametrize("told", [{}, {"sub": "mallory", "nickname": "root"}, {"sub": "alice"}])
def test_without_a_name_people_are_called_by_their_sub(serve: Serve, told: dict[str, str]) -> None:
    """Also when the issuer tells of somebody else."""

    async def go() -> None:
        async with recognizing(serve, MemoryStore()) as (there, recognition):
            there.userinfo = told
            caller = await recognition.by_token(there.token(KEY))
            assert (caller.kind, caller.name, caller.subject) == (Kind.PERSON, "alice", "alice")

    asyncio.run(go())


def test_machines_are_not_remembered(serve: Serve) -> None:
    async def go() -> None:
        async with recognizing(serve, store := MemoryStore()) as (there, recognition):
            caller = await recognition.by_token(there.token(KEY, gty="client-credentials", azp="reports"))
            assert (caller.kind, caller.name) == (Kind.SERVICE, "reports")
            with pytest.raises(NotFound):
                await store.people.user("alice")

    asyncio.run(go())


def test_a_callback_token_is_for_its_task_alone(serve: Serve) -> None:
    async def go() -> None:
        async with recognizing(serve, MemoryStore()) as (_, recognition):
            token = CallbackTokens("secret").issue(TASK)
            caller = await recognition.by_token(token)
            assert (caller.kind, caller.name, caller.task_id) == (Kind.TASK, TASK, TASK)
            assert token == CallbackTokens("secret").issue(TASK), "it is the same whoever makes it"
            for forged in (
                CallbackTokens("another secret").issue(TASK),
                token.replace(TASK, "TA_00000002"),
                token[:-1],
                f"{token}A",
                f"{token}\u00e9",
                token.upper(),
            ):
                with pytest.raises(Unauthorized):
                    await recognition.by_token(forged)

    asyncio.run(go())


def test_a_stream_ends_with_the_session_that_it_was_opened_in(serve: Serve) -> None:
    """A release is in review for weeks; who has signed out sees no more of it."""

    async def go() -> None:
        async with coordinator() as c, recognizing(serve, MemoryStore()) as (_, recognition):
            release_id = (await c.release()).release.kf_id
            ada = Caller(Kind.PERSON, "ada", "ada", frozenset({Role.ADMIN}))
            keys = [await recognition.open_session(ada, Profile("ada", "ada")) for _ in range(2)]
            c.desk = replace(c.desk, recognition=recognition, heartbeat_s=0.02)
            path = f"/releases/{release_id}/events/stream"
            async with asyncio.timeout(PATIENCE_S), serve(c.app()) as url, AsyncExitStack() as streams:
                looked = []
                for key in keys:
                    browser = AsyncClient(base_url=url, timeout=PATIENCE_S, cookies={COOKIE: key})
                    web = await streams.enter_async_context(browser)
                    answer = await streams.enter_async_context(web.stream("GET", path))
                    assert answer.status_code == 200
                    looked.append(answer.aiter_lines())
                await recognition.close_session(keys[0])
                assert [line async for line in looked[0]][:1] == ["event: release"]
                await c.bring(release_id, ReleaseState.PUBLISHED)
                assert "event: end" in [line async for line in looked[1]]

    asyncio.run(go())
