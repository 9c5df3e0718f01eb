"""What a search could tell those who do not see everything."""

import asyncio
from datetime import UTC, datetime

import pytest

from lockstep.coordinator.core.callers import ALL, PUBLIC, Caller, Kind, Sight
from lockstep.coordinator.core.errors import Forbidden, Invalid
from lockstep.coordinator.core.graph import Comparison, Condition, Entity, Wanted
from lockstep.coordinator.core.model import EventType
from lockstep.coordinator.core.records import EventFilter, NewEvent, PageOf, TaskFilter
from lockstep.coordinator.services.discretion import DiscreetStore
from lockstep.coordinator.services.queries import tasks
from lockstep.coordinator.services.writing import write_event
from lockstep.protocol.states import ReleaseState, TaskState
from tests.faces import coordinator

SECRET = "10.11.12.13"


@pytest.mark.parametrize(("sight", "found"), [(ALL, 1), (PUBLIC, 0)])
@pytest.mark.parametrize("kind", [None, EventType.INFO, EventType.ERROR])
def test_what_is_kept_from_somebody_is_not_found_for_them(sight: Sight, found: int, kind: EventType | None) -> None:
    """That an event is in the answer to a search tells what it says, though it is shown without."""

    async def go() -> None:
        async with coordinator() as c:
            await c.service()
            release_id = (await c.release()).release.kf_id
            await c.bring(release_id, ReleaseState.PUBLISHED)
            cause = f"request to publish task failed: http://{SECRET}:8282: refused"
            await c.store.add_event(NewEvent(EventType.ERROR, cause, release_id), datetime.now(UTC))
            store = DiscreetStore(c.store)
            page = await store.events(PageOf(), EventFilter(message_contains=SECRET, event_type=kind), sight)
            assert page.count == len(page.rows) == (0 if kind is EventType.INFO else found)
            searched = Condition("message", Comparison.CONTAINS, SECRET)
            of_kind = () if kind is None else (Condition("event_type", Comparison.IS, kind),)
            wanted = Wanted(Entity.EVENT, conditions=(searched, *of_kind))
            piece = await store.listed(wanted, sight)
            assert len(piece.nodes) == page.count
            of_release = Wanted(Entity.EVENT, Entity.RELEASE, wanted.conditions)
            pieces = await store.listed_of(of_release, [release_id], sight, 100)
            assert sum(len(piece.nodes) for piece in pieces.values()) == page.count
            open_words = await store.events(PageOf(), EventFilter(message_contains="publishing to published"), sight)
            assert open_words.count == 2

    asyncio.run(go())


def test_a_service_without_a_task_that_is_seen_is_told_from_none_by_nothing() -> None:
    async def go() -> None:
        async with coordinator() as c:
            service_id = (await c.service()).kf_id
            unknown = TaskFilter(task_service_id="TS_00000000")
            of_it = TaskFilter(task_service_id=service_id)
            with pytest.raises(Invalid, match=f"There is no task service {service_id}"):
                await tasks(c.store, PageOf(), of_it, PUBLIC)
            with pytest.raises(Invalid, match="There is no task service TS_00000000"):
                await tasks(c.store, PageOf(), unknown, PUBLIC)
            assert (await tasks(c.store, PageOf(), of_it, ALL)).count == 0
            await c.bring((await c.release()).release.kf_id, ReleaseState.PUBLISHED)
            assert (await tasks(c.store, PageOf(), of_it, PUBLIC)).count == 1
            none_at_work = TaskFilter(task_service_id=service_id, state=TaskState.RUNNING)
            assert (await tasks(c.store, PageOf(), none_at_work, PUBLIC)).count == 0

    asyncio.run(go())


def test_a_callback_token_writes_events_until_its_release_has_ended() -> None:
    """Many keep it: it was in a request to a service, and in whatever writes those down."""

    async def go() -> None:
        async with coordinator() as c:
            await c.service()
            view = await c.release()
            task_id, release_id = view.tasks[0].kf_id, view.release.kf_id
            caller, new = Caller(Kind.TASK, task_id, task_id=task_id), NewEvent(EventType.INFO, "x", task_id=task_id)
            await c.bring(release_id, ReleaseState.PUBLISHING)
            assert (await write_event(c.commands, new, caller)).actor == task_id
            await c.bring(release_id, ReleaseState.PUBLISHED)
            with pytest.raises(Forbidden):
                await write_event(c.commands, new, caller)

    asyncio.run(go())
