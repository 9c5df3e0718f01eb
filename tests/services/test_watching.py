"""Watching a release: nothing is missed, nothing comes twice, and it ends."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from lockstep.coordinator.core.callers import LOCAL
from lockstep.coordinator.core.errors import NotFound
from lockstep.coordinator.services.watching import Look, watch
from lockstep.protocol.states import ReleaseState
from tests.faces import Coordinator, coordinator
from tests.patience import PATIENCE_S


def _watch(c: Coordinator, release_id: str, **options: Any) -> AsyncGenerator[Look, None]:
    options = {"closing": asyncio.Event(), "beat_s": 60, **options}
    return watch(c.store, c.feed, release_id, **options)


def _states(looks: Sequence[Look]) -> list[ReleaseState]:
    return [look.view.release.state for look in looks]


def test_a_watcher_sees_every_event_once_and_the_end() -> None:
    async def go() -> None:
        async with coordinator() as c:
            await c.service()
            release_id = (await c.release()).release.kf_id
            looks = []
            async for look in _watch(c, release_id):
                looks.append(look)
                state = look.view.release.state
                if state is ReleaseState.WAITING:
                    await c.bring(release_id, ReleaseState.STAGED)
                elif state is ReleaseState.STAGED:
                    await c.bring(release_id, ReleaseState.PUBLISHED)
            seen = [event for look in looks for event in look.events]
            assert seen == list(await c.store.events_after(release_id, 0, 1000))
            assert _states(looks) == [ReleaseState.WAITING, ReleaseState.STAGED, ReleaseState.PUBLISHED]
            assert [look.ended for look in looks] == [False, False, True]

    asyncio.run(go())


def test_a_watcher_who_comes_back_gets_what_was_missed() -> None:
    async def go() -> None:
        async with coordinator() as c:
            release_id = (await c.release()).release.kf_id
            await c.bring(release_id, ReleaseState.PUBLISHED)
            every = list(await c.store.events_after(release_id, 0, 1000))
            [look] = [look async for look in _watch(c, release_id, after=every[1].position)]
            assert list(look.events) == every[2:]
            assert look.ended is True

    asyncio.run(go())


def test_a_lost_announcement_costs_no_more_than_a_beat() -> None:
    async def go() -> None:
        async with coordinator() as c:
            release_id = (await c.release()).release.kf_id
            looks = _watch(c, release_id, beat_s=0.05)
            assert (await anext(looks)).view.release.state is ReleaseState.WAITING
            quiet = await c.store.release(release_id)
            assert (await anext(looks)).view == quiet
            await c.commands.cancel(release_id, LOCAL)
            assert (await anext(looks)).view.release.state is ReleaseState.CANCELING
            await looks.aclose()

    asyncio.run(go())


def test_watching_ends_when_the_server_closes() -> None:
    async def go() -> None:
        async with coordinator() as c:
            release_id = (await c.release()).release.kf_id
            closing = asyncio.Event()
            looks = _watch(c, release_id, closing=closing)
            await anext(looks)
            asyncio.get_running_loop().call_later(0.05, closing.set)
            async with asyncio.timeout(PATIENCE_S):
                rest = [look.ended async for look in looks]
            assert rest == []

    asyncio.run(go())


def test_there_is_nothing_to_watch_of_an_unknown_release() -> None:
    async def go() -> None:
        async with coordinator() as c:
            with pytest.raises(NotFound):
                await anext(_watch(c, "RE_00000000"))

    asyncio.run(go())
