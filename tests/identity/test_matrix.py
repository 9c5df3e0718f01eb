"""The permission matrix: every operation of the REST face, for every kind of caller, of every kind of target.

Real tokens, real callback tokens, and the real application; only the engine is left out, so that things stay as they
are put. An operation without a row fails, and so does a route that is no operation and not listed here.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final

import httpx
import pytest
from starlette.routing import Route

from lockstep.coordinator.services.access import Access, Act
from lockstep.coordinator.web.app import OPERATIONS
from lockstep.coordinator.web.operations import Operation
from tests.conftest import Serve
from tests.identity.house import INTERNAL, PREVIEW, House, houses
from tests.identity.matrix import CALLERS, ELSEWHERE, TARGETS, rows

BY_NAME: Final[Mapping[str, Operation]] = {operation.call.__name__: operation for operation in OPERATIONS}
ROWS: Final = rows()
INSIDERS: Final = frozenset({"admin", "dev", "admin client"})
NOT_SIGNED_IN: Final = "Authentication credentials were not provided."


def outcome(answer: httpx.Response) -> str:
    """Return the mark of an answer; 503 is that of a coordinator without an engine."""
    status = answer.status_code
    return {401: "?", 403: "-", 404: "0", 500: "?", 503: "+"}.get(status, "+")


def test_every_operation_has_a_row() -> None:
    assert set(ROWS) | set(ELSEWHERE) == set(BY_NAME)
    assert len(BY_NAME) == len(OPERATIONS)


def test_what_anybody_may_do_is_known() -> None:
    """An operation that names no act is asked nothing, so that each such one is a decision."""
    open_to_all = {name for name, operation in BY_NAME.items() if operation.act is None}
    assert open_to_all == {
        "list_collections",
        "show_status",
        "show_life",
        "show_readiness",
        "show_metrics",
        "show_current_release",
        "show_release_at",
        "show_feed",
        "show_current_release_of_study",
    }


@pytest.mark.parametrize("name", sorted(ROWS))
def test_the_matrix(serve: Serve, name: str) -> None:
    """Writes have a coordinator of their own for every caller, so that nobody finds what another has left."""

    async def go() -> None:
        operation = BY_NAME[name]
        async with houses(serve) as build:
            house = await build()
            seen: dict[str, str] = {}
            for caller in CALLERS:
                if operation.method != "GET":
                    house = await build()
                answers = [await house.ask(caller, operation, house.targets[target]) for target in TARGETS]
                seen[caller] = "".join(map(outcome, answers))
                for answer in answers:
                    if answer.status_code == 403 and caller == "anonymous":
                        assert answer.json() == {"detail": NOT_SIGNED_IN}
            assert seen == ROWS[name]

    asyncio.run(go())


def test_the_refusals_are_the_words_that_clients_know(serve: Serve) -> None:
    expected = {
        "create_release": "Not allowed",
        "edit_release": "Not allowed",
        "cancel_release": "Not allowed",
        "publish_release": "Not allowed",
        "report_task": "Must be an admin",
        "replace_task": "Must be an admin",
        "create_release_note": "Must be an admin",
        "edit_release_note": "Must be an admin",
        "register_task_service": "Must be a developer",
        "edit_task_service": "Must be a developer",
        "delete_task_service": "Must be a developer",
    }

    async def go() -> None:
        async with houses(serve) as build:
            house = await build()
            said = {name: await house.ask("outsider", BY_NAME[name], house.targets["foreign"]) for name in expected}
            assert {name: answer.json()["detail"] for name, answer in said.items()} == expected

    asyncio.run(go())


@pytest.mark.parametrize("caller", CALLERS)
def test_lists_hold_what_single_reads_show(serve: Serve, caller: str) -> None:
    def of_release(row: Any) -> str:
        return str(row["release"]).rpartition("/")[2]

    async def go() -> None:
        async with houses(serve) as build:
            house = await build()
            ids = {name: target.release_id for name, target in house.targets.items()}
            single = ROWS["show_release_note"][caller]
            visible = {ids[target] for target, mark in zip(TARGETS, single, strict=True) if mark == "+"}
            async with house.web(caller) as web:
                listed = {
                    path: (await web.get(path, params={"limit": 100})).json()
                    for path in ("/releases", "/tasks", "/events", "/release-notes")
                }
                assert {row["kf_id"] for row in listed["/releases"]["results"]} == visible
                for path in ("/tasks", "/events", "/release-notes"):
                    assert {of_release(row) for row in listed[path]["results"]} == visible
                    for kf_id in {*ids.values()} - visible:
                        rows_of = await web.get(path, params={"release": kf_id})
                        assert rows_of.json().get("results", []) == []
                assert all(page["count"] == len(page["results"]) for page in listed.values())
                for target in house.targets.values():
                    found = (await web.get(f"/studies/{target.study_id}/releases")).json()
                    assert {row["kf_id"] for row in found["results"]} == {target.release_id} & visible

    asyncio.run(go())


@pytest.mark.parametrize("caller", sorted(set(CALLERS) - INSIDERS))
def test_nothing_internal_is_told_to_those_outside(serve: Serve, caller: str) -> None:
    """Every reading there is, of everything there is: no address, no cause, no release that is not seen."""

    async def go() -> None:
        async with houses(serve) as build:
            house = await build()
            hidden = [
                name for name, mark in zip(TARGETS, ROWS["show_release_note"][caller], strict=True) if mark != "+"
            ]
            for name, operation in BY_NAME.items():
                if operation.method != "GET":
                    continue
                for target in TARGETS:
                    told = (await house.ask(caller, operation, house.targets[target])).text
                    assert INTERNAL not in told, (name, target)
                    assert "swordfish" not in told, (name, target)
                    assert PREVIEW not in told or caller in {"user", "outsider"}, (name, target)
                    for word in ("name", "text", "author", "tag", "note"):
                        assert not [each for each in hidden if f"{word} of {each}" in told], (name, target)

    asyncio.run(go())


@pytest.mark.parametrize("caller", ["outsider", "anonymous"])
def test_versions_that_are_not_published_are_told_to_nobody_outside(serve: Serve, caller: str) -> None:
    """They are in studies too, as the version of the newest release."""

    async def go() -> None:
        async with houses(serve) as build:
            house = await build()
            for operation in OPERATIONS:
                if operation.method == "GET":
                    for target in house.targets.values():
                        told = (await house.ask(caller, operation, target)).text
                        assert not re.search(r'"0\.1\.[12]"', told), operation.path

    asyncio.run(go())


@pytest.mark.parametrize("caller", ["user", "anonymous"])
def test_what_is_not_shown_cannot_be_searched_for(serve: Serve, caller: str) -> None:
    """Of an address that is left out of every event, not even that it is there can be found out."""
    query = '{ allEvents(messageContains: "TEXT") { edges { node { message } } } }'

    async def go() -> None:
        async with houses(serve) as build:
            house = await build()
            for text, found in (("swordfish", False), (INTERNAL, False), ("changed from", True)):
                async with house.web(caller) as web:
                    listed = (await web.get("/events", params={"search": text})).json()
                    asked = (await web.post("/graphql", json={"query": query.replace("TEXT", text)})).json()
                    assert bool(asked["data"]["allEvents"]["edges"]) is found, text
                    assert bool(listed["count"]) is found, text

    asyncio.run(go())


BARE: Final = {"name": "", "description": "", "author": "", "tags": [], "tasks": [], "notes": []}


@pytest.mark.parametrize("caller", ["service", "other service", "task"])
def test_of_a_release_in_flight_services_see_what_they_need(serve: Serve, caller: str) -> None:
    async def go() -> None:
        async with houses(serve) as build:
            house = await build()
            await bare(house, caller, "own")

    asyncio.run(go())


async def bare(house: House, caller: str, name: str) -> None:
    target = house.targets[name]
    shown = (await house.ask(caller, BY_NAME["show_release"], target)).json()
    assert {key: shown[key] for key in BARE} == BARE
    facts = (shown["kf_id"], shown["studies"], shown["state"])
    assert facts == (target.release_id, [target.study_id], "staged")
    assert re.fullmatch(r"0\.1\.[12]", shown["version"])


def test_a_deployment_may_let_untokened_callers_read_a_release_in_flight(serve: Serve) -> None:
    async def go() -> None:
        async with houses(serve, Access(open_reads=True)) as build:
            house = await build()
            for name in ("own", "foreign"):
                await bare(house, "anonymous", name)
                for hidden in ("show_task", "show_event", "show_release_note", "stream_release", "report_task"):
                    answer = await house.ask("anonymous", BY_NAME[hidden], house.targets[name])
                    assert answer.status_code in {403, 404}, hidden
            async with house.web("anonymous") as web:
                assert (await web.get("/releases")).json()["count"] == 1

    asyncio.run(go())


def test_a_deployment_may_let_untokened_callers_report(serve: Serve) -> None:
    async def go() -> None:
        async with houses(serve, Access(open_reports=True)) as build:
            house = await build()
            own = house.targets["own"]
            answer = await house.ask("anonymous", BY_NAME["report_task"], own)
            assert (answer.status_code, answer.json()["progress"]) == (200, 100), "a staged task stays at a hundred"
            assert (await house.ask("anonymous", BY_NAME["show_release"], own)).status_code == 404
            for refused in ("cancel_release", "edit_release", "publish_release", "add_event"):
                assert (await house.ask("anonymous", BY_NAME[refused], own)).status_code == 403
            for caller, target in (("other service", "own"), ("other task", "own"), ("outsider", "own")):
                refusal = await house.ask(caller, BY_NAME["report_task"], house.targets[target])
                assert refusal.status_code == 403, "a token that is shown counts"

    asyncio.run(go())


def test_a_token_that_does_not_hold_makes_its_caller_anonymous_and_says_why(serve: Serve) -> None:
    async def go() -> None:
        async with houses(serve) as build:
            house = await build()
            headers = {"Authorization": "Bearer nonsense"}
            async with house.web("anonymous") as web:
                read = await web.get("/releases", headers=headers)
                assert (read.status_code, read.json()["count"]) == (200, 1)
                assert 'error="invalid_token"' in read.headers["www-authenticate"]
                write = await web.post("/studies/sync", headers=headers)
                assert (write.status_code, write.json()) == (403, {"detail": NOT_SIGNED_IN})
                genuine = house.headers["task"]["Authorization"]
                forged = {"Authorization": f"{genuine[:-2]}{'B' if genuine[-2] == 'A' else 'A'}{genuine[-1]}"}
                assert (await web.patch(f"/tasks/{house.targets['own'].task_id}", json={}, headers=forged)).is_error

    asyncio.run(go())


def test_whoever_did_it_is_written_down_whatever_the_body_says(serve: Serve) -> None:
    async def go() -> None:
        async with houses(serve) as build:
            house = await build()
            own = house.targets["own"]
            async with house.web("user") as web:
                body = {"name": "x", "studies": [own.study_id], "author": "ada"}
                assert (await web.post("/releases", json=body)).json()["author"] == "uma"
            async with house.web("dev") as web:
                note = {"description": "x", "release": f"/releases/{own.release_id}", "author": "ada"}
                assert (await web.post("/release-notes", json=note)).json()["author"] == "dev"
                await web.delete(f"/releases/{own.release_id}")
            async with house.web("task") as web:
                await web.patch(f"/tasks/{own.task_id}", json={"state": "failed"})
            events = await house.store.events_after(own.release_id, 0, 100)
            actors = {event.message.rpartition(" from ")[2]: event.actor for event in events}
            assert actors["staged to canceling"] == "dev"
            assert actors["staged to failed"] == own.task_id

    asyncio.run(go())


def test_every_route_is_an_operation_or_known(serve: Serve) -> None:
    """Pages and GraphQL ask the same table; their own tests try them."""

    async def go() -> None:
        async with houses(serve) as build:
            app = (await build()).app
            paths = {operation.path for operation in OPERATIONS}
            others = {route.path for route in app.routes if isinstance(route, Route)} - paths
            assert {path for path in others if not path.startswith(("/graphql", "/static", "/dashboard"))} <= PAGES

    asyncio.run(go())


PAGES: Final = {"/openapi.json", "/swagger.json", "/swagger.yaml", "/swagger", "/swagger/", "/redoc", "/redoc/"}


def test_the_table_has_no_row_that_nothing_asks() -> None:
    named = {operation.act for operation in OPERATIONS}
    elsewhere = {Act.SEE_IN_FLIGHT, Act.SEE_ALL, Act.SEE_PROFILE, Act.SEE_USERS}
    assert set(Act) - elsewhere <= named
