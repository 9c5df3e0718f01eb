"""What every store promises to those who follow links, as tests of one class; each expectation is counted by hand."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from lockstep.coordinator.core.callers import ALL, PUBLIC, Sight
from lockstep.coordinator.core.graph import LINKS, Comparison, Condition, Entity, Node, Piece, Span, Wanted
from lockstep.coordinator.core.model import EventDraft, EventType, Release
from lockstep.coordinator.core.records import NewNote, NewRelease, StudyFacts, TaskView
from lockstep.coordinator.core.versions import Version
from lockstep.coordinator.ports import Store
from lockstep.protocol.states import ReleaseState, TaskState
from tests.store.kinds import InMemory, OnPostgres, OnSqlite, Opens
from tests.store.test_store_contract import NOW, SECOND, edit, seeded, serve, tell

STUDIES = ("SD_00000001", "SD_00000002", "SD_00000003", "SD_00000004")
HIDDEN, UNDATED = STUDIES[2:]
HELD = (STUDIES[:1], STUDIES[:2], STUDIES[:3], STUDIES[1:2], STUDIES)
PUBLISHED = (0, 2)


@dataclass
class World:
    """Five releases, two of them published, of two services, with events and notes; ids in the order of creation."""

    store: Store
    releases: list[str]
    services: list[str]
    tasks: list[list[str]]
    events: list[list[str]]
    notes: list[str]

    async def ids(self, wanted: Wanted, sight: Sight = ALL) -> list[str]:
        return ids(await self.store.listed(wanted, sight))

    async def ids_of(self, wanted: Wanted, parents: Sequence[str], sight: Sight = ALL) -> dict[str, list[str]]:
        pieces = await self.store.listed_of(wanted, parents, sight, 1000)
        return {parent: ids(pieces[parent]) for parent in pieces}


def ids(piece: Piece) -> list[str]:
    return [kf_id(node) for node in piece.nodes]


def kf_id(node: Node) -> str:
    record = node.record
    return record.task.kf_id if isinstance(record, TaskView) else record.kf_id


async def settled(store: Store) -> World:
    ages = (NOW, NOW + SECOND, NOW + 2 * SECOND, None)
    facts = [
        StudyFacts(study, f"Study {study[-1]}", study != HIDDEN, at) for study, at in zip(STUDIES, ages, strict=True)
    ]
    await store.sync_studies(facts)
    services = [service.kf_id for service in await serve(store, "reports", "portal")]
    world = World(store, [], services, [], [], [])
    for number, studies in enumerate(HELD):
        new = NewRelease(f"Release {number}", studies, author=f"author {number % 2}", is_major=number == 4)
        view = await store.create_release(new, NOW + number * SECOND)
        release_id, tasks = view.release.kf_id, [task.kf_id for task in view.tasks]
        world.releases.append(release_id)
        world.tasks.append(tasks)
        drafts = [EventDraft(EventType.INFO, f"task {task}", task, services[n]) for n, task in enumerate(tasks)]
        await tell(store, release_id, *drafts, EventDraft(EventType.ERROR, "It broke"), at=NOW + number * SECOND)
        world.events.append([event.kf_id for event in await store.events_after(release_id, 0, 10)])
        note = await store.add_note(NewNote(f"note {number}", release_id, studies[-1]), NOW + number * SECOND)
        world.notes.append(note.kf_id)
    return world


def with_world(body: Callable[[Any, World], Awaitable[None]]) -> Callable[[Any, Path], None]:
    def test(self: "BatchesContract", tmp_path: Path) -> None:
        async def main() -> None:
            async with self.opened(tmp_path, seeded()) as store:
                world = await settled(store)
                for number in PUBLISHED:
                    published: Any = {"state": ReleaseState.PUBLISHED, "publish_order": number + 1, "published_at": NOW}
                    await edit(store, world.releases[number], **published)
                await body(self, world)

        asyncio.run(main())

    test.__name__, test.__doc__ = body.__name__, inspect.getdoc(body)
    return test


def backwards(rows: Sequence[str]) -> list[str]:
    return list(reversed(rows))


def has(field: str, value: object) -> Condition:
    return Condition(field, Comparison.IS, value)


class BatchesContract(Opens):
    """What follows holds for each store."""

    @with_world
    async def test_lists_are_in_the_order_of_creation(self, world: World) -> None:
        everything = {
            Entity.RELEASE: world.releases,
            Entity.SERVICE: world.services,
            Entity.TASK: [task for tasks in world.tasks for task in tasks],
            Entity.NOTE: world.notes,
            Entity.STUDY: [UNDATED, *STUDIES[:3]],
        }
        for entity, expected in everything.items():
            assert await world.ids(Wanted(entity)) == backwards(expected)
            assert await world.ids(Wanted(entity, oldest_first=True)) == expected

    @with_world
    async def test_every_kind_of_list_is_there_for_every_kind_of_parent(self, world: World) -> None:
        releases, tasks, events = world.releases, world.tasks, world.events
        told = [events[n][:2] for n in range(5)]
        expected = {
            (Entity.RELEASE, Entity.STUDY): {
                STUDIES[0]: [releases[n] for n in (0, 1, 2, 4)],
                HIDDEN: [releases[2], releases[4]],
            },
            (Entity.STUDY, Entity.RELEASE): {releases[1]: [*STUDIES[:2]], releases[4]: [UNDATED, *STUDIES[:3]]},
            (Entity.TASK, Entity.RELEASE): {releases[0]: tasks[0], releases[3]: tasks[3]},
            (Entity.TASK, Entity.SERVICE): {world.services[1]: [tasks[n][1] for n in range(5)]},
            (Entity.EVENT, Entity.RELEASE): {releases[1]: events[1], releases[3]: events[3]},
            (Entity.EVENT, Entity.SERVICE): {world.services[0]: [told[n][0] for n in range(5)]},
            (Entity.EVENT, Entity.TASK): {tasks[2][1]: [told[2][1]], tasks[4][0]: [told[4][0]]},
            (Entity.NOTE, Entity.RELEASE): {releases[2]: [world.notes[2]], releases[0]: [world.notes[0]]},
            (Entity.NOTE, Entity.STUDY): {STUDIES[1]: [world.notes[n] for n in (1, 3)], HIDDEN: [world.notes[2]]},
        }
        assert {(entity, of) for entity, parents in LINKS.items() for of in parents} == set(expected)
        for (entity, of), lists in expected.items():
            wanted = Wanted(entity, of, oldest_first=True)
            assert await world.ids_of(wanted, list(lists)) == lists
            newest_first = {parent: backwards(rows) for parent, rows in lists.items()}
            assert await world.ids_of(Wanted(entity, of), list(lists)) == newest_first

    @with_world
    async def test_parents_without_children_and_strangers_have_no_list(self, world: World) -> None:
        assert await world.ids_of(Wanted(Entity.NOTE, Entity.STUDY), [STUDIES[0], "SD_ZZZZZZZZ"]) == {
            STUDIES[0]: [world.notes[0]]
        }
        assert await world.ids_of(Wanted(Entity.TASK, Entity.RELEASE), []) == {}

    @pytest.mark.timeout(240)
    @with_world
    async def test_a_part_is_cut_as_connections_are_cut(self, world: World) -> None:
        """Compare every small span with the slice of the list that it is, alone and for several parents."""
        bounds = (None, 0, 1, 4, 7)
        children = {world.services[n]: backwards([tasks[n] for tasks in world.tasks]) for n in (0, 1)}
        for after, before, first, last in product(bounds, repeat=4):
            span = Span(after, before, first, last)
            low = 0 if after is None else after + 1
            high = max(low, min(5, 5 if before is None else before))
            places = list(range(low, high))[:first]
            places = places if last is None else places[len(places) - min(last, len(places)) :]
            more = bool(places) and places[-1] + 1 < high
            piece = await world.store.listed(Wanted(Entity.RELEASE, span=span), ALL)
            assert ids(piece) == [backwards(world.releases)[place] for place in places], span
            wanted = Wanted(Entity.TASK, Entity.SERVICE, span=span)
            pieces = await world.store.listed_of(wanted, world.services, ALL, 100)
            for service in world.services if places else ():
                assert ids(pieces[service]) == [children[service][place] for place in places], span
            for cut in [piece, *pieces.values()] if places else ():
                assert (cut.start, cut.more) == (places[0], more), span

    @with_world
    async def test_no_list_is_longer_than_the_most(self, world: World) -> None:
        piece = await world.store.listed(Wanted(Entity.RELEASE, most=2), ALL)
        assert (ids(piece), piece.more) == (backwards(world.releases)[:2], True)
        last = await world.store.listed(Wanted(Entity.RELEASE, most=2, span=Span(last=3)), ALL)
        assert (ids(last), last.start, last.more) == (backwards(world.releases)[2:4], 2, True)
        for span in (Span(), Span(last=5)):
            pieces = await world.store.listed_of(
                Wanted(Entity.TASK, Entity.SERVICE, most=2, span=span), world.services, ALL, 100
            )
            assert [(len(each.nodes), each.more) for each in pieces.values()] == [(2, True), (2, True)]

    @with_world
    async def test_all_parents_together_get_no_more_rows_than_the_limit(self, world: World) -> None:
        pieces = await world.store.listed_of(Wanted(Entity.TASK, Entity.SERVICE), world.services, ALL, 7)
        assert sum(len(piece.nodes) for piece in pieces.values()) == 7

    @with_world
    async def test_conditions_must_all_hold(self, world: World) -> None:
        releases, event_0 = world.releases, world.events[0]
        expected: dict[tuple[Entity, tuple[Condition, ...]], list[str]] = {
            (Entity.RELEASE, (has("state", ReleaseState.PUBLISHED),)): [releases[0], releases[2]],
            (Entity.RELEASE, (has("version", Version(0, 0, 3)),)): [releases[3]],
            (Entity.RELEASE, (has("author", "author 1"),)): [releases[1], releases[3]],
            (Entity.RELEASE, (has("is_major", True),)): [releases[4]],
            (Entity.RELEASE, (Condition("name", Comparison.CONTAINS, "LEASE 3"),)): [releases[3]],
            (Entity.RELEASE, (Condition("name", Comparison.CONTAINS, "%"),)): [],
            (Entity.RELEASE, (Condition("created_at", Comparison.AFTER, NOW + 2 * SECOND),)): releases[3:],
            (Entity.RELEASE, (Condition("created_at", Comparison.BEFORE, NOW + SECOND),)): releases[:1],
            (
                Entity.RELEASE,
                (has("author", "author 0"), Condition("created_at", Comparison.AFTER, NOW)),
            ): [releases[2], releases[4]],
            (Entity.STUDY, (has("visible", False),)): [HIDDEN],
            (Entity.STUDY, (has("kf_id", STUDIES[1]),)): [STUDIES[1]],
            (Entity.STUDY, (Condition("created_at", Comparison.BEFORE, NOW + SECOND),)): [STUDIES[0]],
            (Entity.TASK, (has("release_id", releases[1]),)): world.tasks[1],
            (
                Entity.TASK,
                (
                    has("service_id", world.services[0]),
                    has("state", TaskState.WAITING),
                    has("release_id", releases[4]),
                ),
            ): world.tasks[4][:1],
            (Entity.SERVICE, (has("url", "http://portal.example"),)): world.services[1:],
            (Entity.EVENT, (has("task_id", world.tasks[0][1]),)): event_0[1:2],
            (Entity.EVENT, (has("task_service_id", world.services[0]),)): [e[0] for e in world.events],
            (
                Entity.EVENT,
                (
                    has("event_type", EventType.ERROR),
                    has("release_id", releases[0]),
                ),
            ): event_0[2:3],
            (
                Entity.EVENT,
                (
                    Condition("message", Comparison.CONTAINS, "it BROKE"),
                    has("release_id", releases[1]),
                ),
            ): world.events[1][2:3],
            (Entity.NOTE, (has("study_id", HIDDEN),)): [world.notes[2]],
            (Entity.NOTE, (has("kf_id", world.notes[1]),)): [world.notes[1]],
        }
        for (entity, conditions), rows in expected.items():
            assert await world.ids(Wanted(entity, conditions=conditions, oldest_first=True)) == rows, conditions

    @with_world
    async def test_conditions_hold_for_the_children_of_each_parent(self, world: World) -> None:
        wanted = Wanted(Entity.RELEASE, Entity.STUDY, (has("state", ReleaseState.PUBLISHED),))
        newest = Wanted(Entity.RELEASE, Entity.STUDY, wanted.conditions, span=Span(first=1))
        assert await world.ids_of(wanted, STUDIES) == {
            STUDIES[0]: [world.releases[2], world.releases[0]],
            STUDIES[1]: [world.releases[2]],
            HIDDEN: [world.releases[2]],
        }
        assert {study: rows[:1] for study, rows in (await world.ids_of(wanted, STUDIES)).items()} == await world.ids_of(
            newest, STUDIES
        )

    @with_world
    async def test_what_hangs_on_a_release_is_seen_by_those_who_see_it(self, world: World) -> None:
        ours = Sight(studies=frozenset({UNDATED}))
        for sight, numbers in ((ALL, (0, 1, 2, 3, 4)), (PUBLIC, PUBLISHED), (ours, (0, 2, 4))):
            oldest: Any = {"oldest_first": True, "most": 100}
            assert await world.ids(Wanted(Entity.RELEASE, **oldest), sight) == [world.releases[n] for n in numbers]
            tasks = [task for n in numbers for task in world.tasks[n]]
            assert await world.ids(Wanted(Entity.TASK, **oldest), sight) == tasks
            assert await world.ids(Wanted(Entity.NOTE, **oldest), sight) == [world.notes[n] for n in numbers]
            seen = await world.store.listed(Wanted(Entity.EVENT, **oldest), sight)
            assert {getattr(node.record, "release_id", None) for node in seen.nodes} == {
                world.releases[n] for n in numbers
            }
            children = await world.ids_of(Wanted(Entity.TASK, Entity.SERVICE, **oldest), world.services, sight)
            assert children == {
                service: [world.tasks[n][at] for n in numbers] for at, service in enumerate(world.services)
            }
            found = await world.store.look_up(Entity.RELEASE, world.releases, sight)
            assert set(found) == {world.releases[n] for n in numbers}
            held_by = await world.ids_of(Wanted(Entity.RELEASE, Entity.STUDY, **oldest), [STUDIES[0]], sight)
            assert held_by == {STUDIES[0]: [world.releases[n] for n in (0, 1, 2, 4) if n in numbers]}

    @with_world
    async def test_studies_that_are_hidden_or_gone_are_seen_by_few(self, world: World) -> None:
        facts = [StudyFacts(study, "kept", study != HIDDEN, NOW) for study in STUDIES[1:]]
        await world.store.sync_studies(facts)
        public = [STUDIES[1], UNDATED]
        assert await world.ids(Wanted(Entity.STUDY, oldest_first=True), PUBLIC) == public
        assert set(await world.ids(Wanted(Entity.STUDY))) == set(STUDIES)
        assert set(await world.store.look_up(Entity.STUDY, STUDIES, PUBLIC)) == set(public)
        ours = Sight(studies=frozenset({HIDDEN}))
        assert set(await world.store.look_up(Entity.STUDY, STUDIES, ours)) == {*public, HIDDEN}
        inside = await world.ids_of(Wanted(Entity.STUDY, Entity.RELEASE), [world.releases[2]], PUBLIC)
        assert inside == {world.releases[2]: [STUDIES[1]]}

    @with_world
    async def test_everything_can_be_looked_up_by_its_id_and_has_a_uuid(self, world: World) -> None:
        rows = {
            Entity.RELEASE: world.releases,
            Entity.TASK: world.tasks[1],
            Entity.SERVICE: world.services,
            Entity.EVENT: world.events[2],
            Entity.NOTE: world.notes,
        }
        for entity, kf_ids in rows.items():
            found = await world.store.look_up(entity, [*kf_ids, "XX_00000000"], ALL)
            assert {one: kf_id(node) for one, node in found.items()} == {one: one for one in kf_ids}
            assert len({UUID(node.uuid) for node in found.values()}) == len(kf_ids)
            assert found == await world.store.look_up(entity, kf_ids, ALL)
        assert set(await world.store.look_up(Entity.STUDY, STUDIES, ALL)) == set(STUDIES)
        assert await world.store.look_up(Entity.RELEASE, [], ALL) == {}

    @with_world
    async def test_rows_are_those_of_the_single_reads(self, world: World) -> None:
        async def first(entity: Entity, one: str) -> Any:
            return (await world.store.look_up(entity, [one], ALL))[one].record

        release = await first(Entity.RELEASE, world.releases[2])
        assert isinstance(release, Release)
        assert release == (await world.store.release(world.releases[2])).release
        assert await first(Entity.TASK, world.tasks[0][1]) == await world.store.task(world.tasks[0][1])
        assert await first(Entity.EVENT, world.events[0][1]) == await world.store.event(world.events[0][1])
        assert await first(Entity.NOTE, world.notes[3]) == await world.store.note(world.notes[3])
        assert await first(Entity.SERVICE, world.services[0]) == await world.store.service(world.services[0])
        study = await world.store.study(STUDIES[1])
        seen = await first(Entity.STUDY, STUDIES[1])
        assert (seen.kf_id, seen.name, seen.created_at) == (study.kf_id, study.name, study.created_at)

    @with_world
    async def test_a_deleted_service_is_off_the_list_and_still_found(self, world: World) -> None:
        await world.store.delete_service(world.services[0])
        assert await world.ids(Wanted(Entity.SERVICE)) == world.services[1:]
        assert set(await world.store.look_up(Entity.SERVICE, world.services, PUBLIC)) == set(world.services)
        wanted = Wanted(Entity.TASK, Entity.RELEASE, oldest_first=True)
        assert await world.ids_of(wanted, world.releases[:1]) == {world.releases[0]: world.tasks[0]}


class TestMemoryBatches(InMemory, BatchesContract):
    """In memory."""


class TestSqliteBatches(OnSqlite, BatchesContract):
    """On SQLite."""


class TestPostgresBatches(OnPostgres, BatchesContract):
    """On Postgres."""
