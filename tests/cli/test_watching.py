"""Watching a release over a broken connection, and what a person sees of it at a terminal."""

import asyncio
import re
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

from lockstep.cli.client import Api
from lockstep.dataservice.sample import make_app as make_data_service
from tests.cli.stage import Held, Stage, at_terminal, coordinator, stage, started
from tests.conftest import Serve


def test_a_watcher_survives_a_restart_of_the_coordinator(tmp_path: Path, serve: Serve) -> None:
    """The stream is taken up again where it broke: nothing is told twice, and nothing is missed."""

    async def go() -> None:
        held = Held()
        async with serve(make_data_service()) as data_url, serve(held.service) as held_url, AsyncExitStack() as stack:
            first_life = AsyncExitStack()
            url = await first_life.enter_async_context(coordinator(tmp_path, data_url))
            release_id = await Stage(url, held, held_url).released()
            watching = await stack.enter_async_context(started("release", "watch", release_id, "--server", url))
            await watching.says("changed from pending to running")
            await first_life.aclose()
            await watching.says("Trying again in")
            await stack.enter_async_context(coordinator(tmp_path, data_url, port=urlsplit(url).port or 0))
            await watching.says("The coordinator is there again.")
            held.let_go.set()
            ended = await watching.ended()
            assert ended.code == 0
            events = [line[2] for line in ended.lines if " changed from " in line[-1]]
            told = [re.sub("(task|release) .* changed", r"\1", event) for event in events]
            expected = [
                "release from waiting to initializing",
                "task from waiting to pending",
                "release from initializing to running",
                "task from pending to running",
                "task from running to staged",
                "release from running to staged",
            ]
            assert expected == told

    asyncio.run(go())


def test_a_first_connection_that_fails_is_not_tried_again(tmp_path: Path, serve: Serve) -> None:
    async def go() -> None:
        async with stage(tmp_path, serve) as on:
            release_id = await on.released()
        gone = await on.run("release", "watch", release_id)
        assert (gone.code, gone.out) == (3, "")
        assert f"No coordinator can be reached at {on.url}" in gone.err

    asyncio.run(go())


def test_a_person_sees_a_picture_with_a_bar_for_each_service(tmp_path: Path, serve: Serve) -> None:
    async def go() -> None:
        async with stage(tmp_path, serve) as on:
            release_id = await on.released()
            async with at_terminal("release", "watch", release_id, "--server", on.url) as shown:
                await shown.says("the services are staging the studies")
                await shown.says("25 %")
                await shown.says("━━━")
                on.held.let_go.set()
                assert await shown.ended() == 0
            plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.out)
            assert "Held release  " + release_id + "  version 0.0.0" in plain
            assert re.search(r"held service +staged +━+ +100 %", plain)
            assert "staged: ready for review; publish or cancel it" in plain
            assert re.search(r"\d\d:\d\d:\d\d  held service  task TA_\w+ changed from running to staged", plain)
            assert re.search(r"ID +VERSION +STATE +STUDIES +CREATED +NAME", plain)

    asyncio.run(go())


def test_more_services_than_the_screen_has_lines_are_summed_up(tmp_path: Path, serve: Serve) -> None:
    async def go() -> None:
        async with stage(tmp_path, serve) as on:
            async with Api(on.url) as api:
                for number in range(50):
                    await api.post("task-services", {"name": f"service {number}", "url": on.held_url})
            release_id = await on.released()
            async with at_terminal("release", "watch", release_id, "--server", on.url) as shown:
                await shown.says("32 of 51 services shown; of all: 51 running")
                on.held.let_go.set()
                await shown.says("32 of 51 services shown; of all: 51 staged")
                assert await shown.ended() == 0

    asyncio.run(go())


def test_a_person_is_asked_before_anything_is_published(tmp_path: Path, serve: Serve) -> None:
    async def go() -> None:
        async with stage(tmp_path, serve) as on:
            release_id = await on.released()
            on.held.let_go.set()
            assert (await on.run("release", "watch", release_id)).code == 0
            publish = ("release", "publish", release_id, "--server", on.url)
            async with at_terminal(*publish) as shown:
                await shown.says("Publish 'Held release' (1 study) on 1 service? [y/N]")
                shown.type("n\n")
                assert await shown.ended() == 1
            assert "Nothing was published." in shown.out
            assert await on.state(release_id) == "staged"
            async with at_terminal(*publish, "--watch") as shown:
                await shown.says("[y/N]")
                shown.type("y\n")
                assert await shown.ended() == 0
            assert await on.state(release_id) == "published"
            async with at_terminal(*publish, "--yes") as shown:
                assert await shown.ended() == 1
            assert "The release in state published may not be published." in shown.out

    asyncio.run(go())


def test_a_person_is_asked_before_anything_is_canceled(tmp_path: Path, serve: Serve) -> None:
    """What was canceled cannot be begun again, so a slip costs the work of every service."""

    async def go() -> None:
        async with stage(tmp_path, serve) as on:
            release_id = await on.released()
            cancel = ("release", "cancel", release_id, "--server", on.url)
            async with at_terminal(*cancel) as shown:
                await shown.says("Cancel 'Held release' (1 study) on 1 service? [y/N]")
                shown.type("n\n")
                assert await shown.ended() == 1
            assert "Nothing was canceled." in shown.out
            assert await on.state(release_id) not in {"canceling", "canceled"}
            async with at_terminal(*cancel, "--yes") as shown:
                assert await shown.ended() == 0
            assert await on.state(release_id) in {"canceling", "canceled"}

    asyncio.run(go())


def test_ctrl_c_ends_a_watch_and_not_the_release(tmp_path: Path, serve: Serve) -> None:
    async def go() -> None:
        async with stage(tmp_path, serve) as on:
            release_id = await on.released()
            async with at_terminal("release", "watch", release_id, "--server", on.url) as shown:
                await shown.says("25 %")
                shown.process.send_signal(signal.SIGINT)
                code = await shown.ended()
            assert (code, "Interrupted. What the coordinator was asked to do goes on." in shown.out) == (130, True)
            assert await on.state(release_id) == "running"

    asyncio.run(go())
