"""What a search could tell those who do not see everything."""

import asyncio
from datetime import UTC, datetime

import pytest

from lockstep.coordinator.core.callers import ALL, PUBLIC, Sight
from lockstep.coordinator.core.graph import Comparison, Condition, Entity, Wanted
from lockstep.coordinator.core.model import EventType
from lockstep.coordinator.core.records import EventFilter, NewEvent, PageOf
from lockstep.coordinator.services.discretion import DiscreetStore
from lockstep.protocol.states import ReleaseState
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
