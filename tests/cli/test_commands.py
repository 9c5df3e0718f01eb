"""The client commands against a real coordinator: what they print in both forms, and how they exit."""

import asyncio
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route

from lockstep.dataservice.sample import make_app as make_data_service
from tests.cli.stage import OTHER_STUDY, STUDY, at_terminal, coordinator, lockstep, stage
from tests.conftest import Serve


def test_services_are_added_listed_and_removed(tmp_path: Path, serve: Serve) -> None:
    async def go() -> None:
        async with stage(tmp_path, serve) as on:
            added = await on.json("service", "add", on.held_url, "--name", "etl", "--description", "Loads.")
            assert {**added, "name": "etl", "description": "Loads.", "url": on.held_url} == added
            listed = await on.run("service", "list", "--lines")
            row = [added["kf_id"], "etl", on.held_url, "ok", "yes", added["created_at"]]
            assert (0, [row], "") == (listed.code, listed.lines, listed.err)
            removed = await on.run("service", "remove", added["kf_id"], "--lines")
            assert (0, f"Removed task service {added['kf_id']}.\n") == (removed.code, removed.out)
            empty = await on.json("service", "list")
            assert empty == {"count": 0, "next": None, "previous": None, "results": []}
            again = await on.run("service", "remove", added["kf_id"], "--lines")
            sentence = f"There is no task service {added['kf_id']} at {on.url}.\n"
            assert (1, "", sentence) == (again.code, again.out, again.err)

    asyncio.run(go())


def test_a_service_that_is_not_there_is_refused_with_what_was_seen(tmp_path: Path, serve: Serve) -> None:
    async def go() -> None:
        async with stage(tmp_path, serve) as on:
            refused = await on.run("service", "add", "http://127.0.0.1:1", "--name", "nobody")
            assert (refused.code, refused.out) == (1, "")
            assert refused.err.startswith("url: could not reach http://127.0.0.1:1")
            assert refused.err.count("\n") == 1

    asyncio.run(go())


def test_long_lists_are_cut_and_all_of_them_is_all(tmp_path: Path, serve: Serve) -> None:
    """More rows than a page holds come whole with --all, and in the number asked for with --limit."""
    studies = [{"kf_id": f"SD_{number:08d}", "name": f"Study {number}", "visible": True} for number in range(230)]

    async def go() -> None:
        app = make_data_service(rows={"studies": studies})
        async with serve(app) as data_url, coordinator(tmp_path, data_url) as url:
            synced = await lockstep("study", "sync", "--lines", "--server", url)
            assert (synced.code, synced.out) == (0, "230 new, 0 deleted, 0 restored.\n")
            everything = (await lockstep("study", "list", "--all", "--json", "--server", url)).document
            assert {study["kf_id"] for study in studies} == {row["kf_id"] for row in everything["results"]}
            assert (everything["count"], everything["next"]) == (230, None)
            some = (await lockstep("study", "list", "--limit", "150", "--json", "--server", url)).document
            assert everything["results"][:150] == some["results"]
            assert f"{url}/studies?limit=50&offset=150" == some["next"]
            few = await lockstep("--server", url, "study", "list", "--limit", "2", "--lines")
            first = everything["results"][0]
            assert [first["kf_id"], first["name"], "-", "-", "yes"] == few.lines[0]
            assert (len(few.lines), few.err) == (2, "2 of 230 shown; --all shows all, --limit 4 more.\n")

    asyncio.run(go())


def test_a_release_goes_all_the_way(tmp_path: Path, serve: Serve) -> None:
    """Started and watched to its review, listed, shown, published and watched to its end."""

    async def go() -> None:
        async with stage(tmp_path, serve) as on:
            await on.ready()
            on.held.let_go.set()
            start = ("release", "start", "--name", "First", "--tag", "one", "--tag", "two", "--study", STUDY)
            staged = await on.run(*start, "--study", OTHER_STUDY, "--description", "All of *it*.", "--watch")
            assert (staged.code, staged.err) == (0, "")
            release_id, version, state, studies, _, name = staged.lines[-1]
            assert (version, state, studies, name) == ("0.0.0", "staged", "2", "First")
            told = [line[1:] for line in staged.lines]
            assert ["release", f"release {release_id}, version 0.0.0 changed from running to staged"] in told

            release = await on.json("release", "show", release_id)
            expected = {"tags": ["one", "two"], "description": "All of *it*.", "state": "staged", "is_major": False}
            assert {**release, **expected} == release
            shown = await on.run("release", "show", release_id, "--lines")
            assert ["state", "staged: ready for review; publish or cancel it"] in shown.lines
            assert [release["tasks"][0]["kf_id"], "held service", "staged", "100 %", "-"] == shown.lines[-1]
            assert (await on.json("release", "list", "--state", "published"))["results"] == []

            published = await on.run("release", "publish", release_id, "--watch")
            assert (published.code, published.err) == (0, "")
            messages = [line[2] for line in published.lines[:-1]]
            assert f"release {release_id}, version 0.1.0 changed from publishing to published" == messages[-1]
            assert not [message for message in messages if "initializing" in message]
            assert [release_id, "0.1.0", "published"] == published.lines[-1][:3]

            events = await on.json("event", "list", "--release", release_id, "--all")
            assert messages[-1] == events["results"][0]["message"]
            logged = await on.run("event", "list", "--limit", "1", "--lines")
            newest = events["results"][0]
            assert [[newest["created_at"], "info", release_id, newest["message"]]] == logged.lines

            again = await on.run("release", "publish", release_id)
            sentence = "The release in state published may not be published.\n"
            assert (1, "", sentence) == (again.code, again.out, again.err)
            late = await on.run("release", "cancel", release_id, "--lines")
            assert (1, f"Release {release_id} had ended already: it is published.\n") == (late.code, late.err)
            over = await on.run("release", "watch", release_id, "--until", "settled")
            assert (0, messages[-1]) == (over.code, over.lines[-2][2])

    asyncio.run(go())


def test_a_major_release_becomes_the_next_major_version(tmp_path: Path, serve: Serve) -> None:
    async def go() -> None:
        async with stage(tmp_path, serve) as on:
            await on.ready()
            on.held.let_go.set()
            start = ("release", "start", "--name", "New shape", "--study", STUDY, "--major", "--watch")
            release = await on.json(*start)
            assert release["state"] == "staged"
            published = await on.json("release", "publish", release["kf_id"], "--watch")
            assert (published["version"], published["state"]) == ("1.0.0", "published")

    asyncio.run(go())


def test_a_release_that_fails_is_exit_code_1_with_the_reason(tmp_path: Path, serve: Serve) -> None:
    async def go() -> None:
        async with stage(tmp_path, serve) as on:
            release_id = await on.released()
            on.held.problem = "the warehouse is full"
            on.held.let_go.set()
            failed = await on.run("release", "watch", release_id)
            assert failed.code == 1
            assert failed.err.startswith(f"Release {release_id} is failed: ")
            assert "held service: " in failed.err
            assert failed.err.count("\n") == 1
            assert [release_id, "0.0.0", "failed"] == failed.lines[-1][:3]
            quiet = await on.run("release", "watch", release_id, "--json")
            assert (1, "failed", failed.err) == (quiet.code, quiet.document["state"], quiet.err)

    asyncio.run(go())


def test_a_canceled_release_is_exit_code_1_for_those_who_watch(tmp_path: Path, serve: Serve) -> None:
    async def go() -> None:
        async with stage(tmp_path, serve) as on:
            release_id = await on.released()
            watching, canceled = await asyncio.gather(
                on.run("release", "watch", release_id), on.run("release", "cancel", release_id, "--lines")
            )
            assert (0, "", release_id) == (canceled.code, canceled.err, canceled.lines[0][0])
            assert (1, f"Release {release_id} is canceled: stopped on every service.\n") == (
                watching.code,
                watching.err,
            )

    asyncio.run(go())


def test_a_watch_that_takes_too_long_is_exit_code_124_and_the_release_goes_on(tmp_path: Path, serve: Serve) -> None:
    async def go() -> None:
        async with stage(tmp_path, serve) as on:
            release_id = await on.released()
            late = await on.run("release", "watch", release_id, "--timeout", "0.5")
            assert late.code == 124
            assert f"Release {release_id} is running after 0.5 s." in late.err
            on.held.let_go.set()
            assert (await on.run("release", "watch", release_id, "--until", "staged")).code == 0

    asyncio.run(go())


def _no_coordinator() -> Starlette:
    return Starlette(routes=[Route("/{path:path}", lambda _: HTMLResponse("<h1>Welcome</h1>"))])


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (
            ["release", "list", "--server", "http://127.0.0.1:1"],
            3,
            "No coordinator can be reached at http://127.0.0.1:1",
        ),
        (["release", "watch", "RE_00000000", "--server", "http://127.0.0.1:1"], 3, "Start one with `lockstep serve`"),
        (["release", "list", "--server", "127.0.0.1:5000"], 2, "http://127.0.0.1:5000 would be one."),
        (["release", "show", "RE_1"], 2, "'RE_1' is not the id of a release; RE_ and eight characters would be."),
        (["release", "show", "TS_00000000"], 2, "is not the id of a release"),
        (["release", "list", "--limit", "0"], 2, "--limit"),
        (["release", "list", "--state", "sleeping"], 2, "sleeping"),
        (["release", "start", "--name", "Nothing in it"], 2, "--study"),
        (["release", "launch"], 2, "launch"),
    ],
)
def test_wrong_use_is_told_from_nobody_there(arguments: list[str], code: int, sentence: str) -> None:
    ended = asyncio.run(lockstep(*arguments))
    assert (code, "") == (ended.code, ended.out)
    assert sentence in ended.err
    assert "Traceback" not in ended.err


def test_something_else_that_answers_is_no_coordinator(serve: Serve) -> None:
    async def go() -> None:
        async with serve(_no_coordinator()) as page, serve(make_data_service()) as data_service:
            for url in (page, data_service):
                ended = await lockstep("study", "list", "--server", url)
                assert (ended.code, ended.out) == (3, "")
                assert ended.err.startswith(f"What answers at {url} is no Lockstep coordinator (HTTP 200, ")

    asyncio.run(go())


def test_what_is_refused_is_said_field_by_field(tmp_path: Path, serve: Serve) -> None:
    async def go() -> None:
        async with stage(tmp_path, serve) as on:
            refused = await on.run("release", "start", "--name", "No such study", "--study", "SD_00000000")
            assert refused.code == 1
            assert refused.err.startswith("studies: ")
            assert "SD_00000000" in refused.err
            unknown = await on.run("release", "watch", "RE_00000000")
            assert (unknown.code, unknown.out) == (1, "")

    asyncio.run(go())


def test_text_from_elsewhere_cannot_command_the_terminal(tmp_path: Path, serve: Serve) -> None:
    async def go() -> None:
        async with stage(tmp_path, serve) as on:
            await on.ready()
            await on.json("release", "start", "--name", "Red \x1b[31m[red]alarm\x07", "--study", STUDY)
            listed = await on.run("release", "list", "--lines")
            assert listed.lines[0][-1].rstrip() == "Red  [31m[red]alarm"
            async with at_terminal("release", "list", "--server", on.url) as shown:
                assert await shown.ended() == 0
                assert "Red  [31m[red]alarm" in shown.out

    asyncio.run(go())


def test_a_refusal_from_elsewhere_cannot_command_the_terminal(serve: Serve) -> None:
    """The words of a coordinator quote those of services, which may say anything."""

    async def refuse(_: Request) -> JSONResponse:
        return JSONResponse({"detail": "\x1b[2J\x9b2Jthe service said \x07\u202eno.\nNothing changed."}, 409)

    async def go() -> None:
        async with serve(Starlette(routes=[Route("/releases", refuse)])) as url:
            refused = await lockstep("release", "list", "--server", url)
            assert refused.code == 1
            assert refused.err.replace("\n", "").isprintable()
            assert "the service said" in refused.err
            assert refused.err.endswith("no.\nNothing changed.\n")

    asyncio.run(go())
