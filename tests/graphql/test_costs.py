"""What a query costs: one statement for each link that it follows, however much there is, and what is too much."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from lockstep.coordinator.core.records import NewNote
from lockstep.coordinator.web.graphql import visit
from lockstep.coordinator.web.graphql.limits import (
    DEPTH_LIMIT,
    FIELDS_LIMIT,
    LINKS_LIMIT,
    MUTATIONS_LIMIT,
    OF_A_THING_LIMIT,
)
from lockstep.protocol.states import ReleaseState
from tests.faces import STUDIES
from tests.graphql import dashboard
from tests.graphql.asking import Asked, asked, gid, nodes, on_coordinator

NESTED = """
{
  allReleases {
    edges {
      node {
        studies {
          edges { node { releases(state: "running", first: 1) { edges { node { version tasks { edges { node {
            taskService { tasks(first: 2) { edges { node { release { kfId } } } } }
          } } } } } } } }
        }
        tasks { edges { node { release { kfId } taskService { name } events { edges { node { task { kfId } } } } } } }
        events(last: 3) { edges { node { release { kfId } taskService { name } task { release { name } } } } }
        notes { edges { node { study { notes(last: 1) { edges { node { description } } } } } } }
      }
    }
  }
}
"""
LINKS = len(
    re.findall(r"(?:allReleases|studies|releases\(|tasks|taskService|release |events|task |notes|study )", NESTED)
)

DASHBOARD: dict[str, tuple[str, int]] = {
    "home": (dashboard.ALL_RELEASES, 4),
    "release": (dashboard.GET_RELEASE, 3),
    "notes": (dashboard.ALL_NOTES, 2),
    "events": (dashboard.ALL_EVENTS, 4),
    "tasks": (dashboard.ALL_TASKS, 2),
    "studies": (dashboard.ALL_STUDIES, 2),
    "study": (dashboard.GET_STUDY, 2),
    "services": (dashboard.ALL_SERVICES, 1),
    "profile": (dashboard.PROFILE, 1),
}


@contextmanager
def listened() -> Iterator[list[str]]:
    """Listen to the statements that read, those by which callers are recognised left out."""
    heard: list[str] = []

    def hear(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith("SELECT"):
            heard.append(statement)

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        event.remove(Engine, "before_cursor_execute", hear)


async def grow(a: Asked, number: int) -> None:
    """Add releases that are at work, each with three tasks, events, and a note for each study."""
    for n in range(number):
        studies = STUDIES[: n % 3 + 1]
        view = await a.release(*studies, state=ReleaseState.RUNNING)
        for study in studies:
            await a.c.store.add_note(NewNote("new", view.release.kf_id, study), datetime.now(UTC))


def test_the_number_of_statements_does_not_grow_with_what_there_is(tmp_path: Path) -> None:
    async def go() -> None:
        async with asked(tmp_path, identity=False) as a:
            for name in "abc":
                await a.c.service(name)
            counts, seen = [], {}
            for more in (1, 4, 45):
                await grow(a, more)
                with listened() as heard:
                    seen = await a.data(NESTED)
                counts.append(len(heard))
            assert len(nodes(seen["allReleases"])) == 50
            assert counts == [LINKS, LINKS, LINKS]

    asyncio.run(go())


@pytest.mark.parametrize("screen", DASHBOARD)
def test_each_screen_of_the_dashboard_costs_a_few_statements(tmp_path: Path, screen: str) -> None:
    async def go() -> None:
        async with asked(tmp_path, identity=False) as a:
            for name in "abc":
                await a.c.service(name)
            await grow(a, 20)
            document, expected = DASHBOARD[screen]
            [kf_id, *_] = [node["kfId"] for node in nodes((await a.data(dashboard.ALL_RELEASES))["allReleases"])]
            variables = {"release": gid("ReleaseNode", kf_id)} if screen in {"notes", "events"} else {}
            one = {"release": gid("ReleaseNode", kf_id), "study": gid("StudyNode", STUDIES[0])}
            if screen in one:
                variables = {"id": one[screen]}
            with listened() as heard:
                await a.data(document, **variables)
            assert len(heard) == expected, heard

    asyncio.run(go())


@on_coordinator
async def test_a_query_that_is_too_deep_is_refused(a: Asked) -> None:
    def deep(levels: int) -> str:
        inner = "kfId"
        for _ in range(levels):
            inner = f"kfId tasks {{ edges {{ node {{ kfId release {{ {inner} }} }} }} }}"
        return f'{{ release(id: "x") {{ {inner} }} }}'

    assert await a.data(deep(4)) == {"release": None}
    said = await a.error(deep(5))
    assert said == f"This query is 22 fields deep; {DEPTH_LIMIT} is the most."


@on_coordinator
async def test_a_query_of_too_many_fields_is_refused_however_it_is_folded(a: Asked) -> None:
    doubling = ["fragment F0 on Query { a: status { name } b: status { name } }"]
    doubling += [f"fragment F{n} on Query {{ ...F{n - 1} x: status {{ ...G }} ...F{n - 1} }}" for n in range(1, 30)]
    folded = "{ ...F29 } fragment G on Status { name } " + " ".join(doubling)
    written = "{ " + " ".join(f"s{n}: status {{ name }}" for n in range(501)) + " }"
    assert re.fullmatch(rf"This query has \d+ fields; {FIELDS_LIMIT} is the most\.", await a.error(folded))
    assert await a.error(written) == f"This query has 1002 fields; {FIELDS_LIMIT} is the most."


@on_coordinator
async def test_one_thing_is_not_asked_for_again_and_again(a: Asked) -> None:
    """There may be thousands of it, and an answer of millions of fields keeps everybody else waiting."""
    names = " ".join(f"a{n}: kfId" for n in range(OF_A_THING_LIMIT + 1))
    edges = " ".join(f"e{n}: edges {{ cursor }}" for n in range(OF_A_THING_LIMIT))
    for written in (
        f"{{ allReleases {{ edges {{ node {{ {names} }} }} }} }}",
        f"{{ allReleases {{ {edges} }} }}",
        f"{{ allReleases {{ edges {{ node {{ ...It }} }} }} }} fragment It on ReleaseNode {{ {names} }}",
        f"{{ allReleases {{ edges {{ node {{ ... on ReleaseNode {{ {names} }} }} }} }} }}",
        f"{{ allEvents {{ edges {{ node {{ release {{ {names} }} }} }} }} }}",
        f'mutation {{ cancelRelease(release: "x") {{ release {{ {names} }} }} }}',
    ):
        said = await a.error(written)
        assert re.fullmatch(rf"This query asks for \d+ fields of one thing; {OF_A_THING_LIMIT} is the most\.", said)


@on_coordinator
async def test_a_query_that_leads_to_too_many_lists_is_refused(a: Asked) -> None:
    def lists(number: int) -> str:
        return (
            "{ " + " ".join(f"e{n}: allEvents(first: 1) {{ edges {{ node {{ id }} }} }}" for n in range(number)) + " }"
        )

    await a.data(lists(LINKS_LIMIT))
    assert await a.error(lists(101)) == f"This query leads to 101 lists and things; {LINKS_LIMIT} is the most."


@on_coordinator
async def test_a_mutation_that_does_too_many_things_does_none(a: Asked) -> None:
    studies = f'studies: ["{gid("StudyNode", STUDIES[0])}"]'
    starts = " ".join(f's{n}: startRelease(input: {{ name: "x", {studies} }}) {{ __typename }}' for n in range(21))
    said = await a.error(f"mutation {{ ...All }} fragment All on Mutation {{ {starts} }}")
    assert said == f"This mutation does 21 things; {MUTATIONS_LIMIT} is the most."
    assert (await a.data(dashboard.ALL_RELEASES))["allReleases"]["edges"] == []


@on_coordinator
async def test_a_document_that_is_too_long_or_goes_round_in_circles_is_refused(a: Asked) -> None:
    long = "{ " + " ".join(f"s{n}: status {{ name }}" for n in range(2000)) + " }"
    assert "more than 5000 tokens" in await a.error(long)
    circle = "{ status { ...A } } fragment A on Status { ...B } fragment B on Status { ...A }"
    assert "Cannot spread fragment" in await a.error(circle)
    assert "nested too deeply" in await a.error("{a" * 2000)
    introspection = "fields { type { " * 8 + "name" + " } }" * 8
    assert await a.error(f"{{ __schema {{ types {{ {introspection} }} }} }}") == "Maximum introspection depth exceeded"


def test_a_query_that_wants_too_many_things_is_given_up(tmp_path: Path) -> None:
    """The query asks for three million things about five hundred; to make them all would take an hour."""

    async def go() -> None:
        async with asked(tmp_path, identity=False) as a:
            for name in "abcdefgh":
                await a.c.service(name)
            for _ in range(60):
                await a.c.release()
            tasks = "tasks { edges { node { taskService { tasks { edges { node { kfId } } } } } } }"
            aliases = " ".join(f"t{n}: {tasks}" for n in range(15))
            body = await a.whole(f"{{ allReleases {{ edges {{ node {{ {aliases} }} }} }} }}")
            assert body == {"errors": [{"message": visit.TOO_MUCH}]}
            assert len((await a.data(dashboard.ALL_RELEASES))["allReleases"]["edges"]) == 60

    asyncio.run(go())
