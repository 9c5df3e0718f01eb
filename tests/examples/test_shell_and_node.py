"""Task services that have nothing of the kit: a shell script, and JavaScript on Node."""

import asyncio
import shutil
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.coordination import Killable
from tests.examples.processes import EXAMPLES
from tests.patience import until

needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="the script fetches with curl, which is not here")
needs_node = pytest.mark.skipif(not shutil.which("node"), reason="Node is not here")


def shell(folder: Path) -> Killable:
    script = str(EXAMPLES / "shell" / "listen.py")
    return Killable(lambda port: [sys.executable, script, str(port), str(folder / "kept")], folder)


def node(folder: Path) -> Killable:
    script = str(EXAMPLES / "node" / "service.mjs")
    return Killable(lambda port: ["node", script, str(port), str(folder / "kept")], folder)


@needs_curl
def test_the_shell_script_reaches_level_1(tmp_path: Path) -> None:
    """Without a restart, since what it says of itself ends there."""
    report = shell(tmp_path).checked(0)
    assert (report.level, report.failed()) == (1, ["report-comes", "epoch-named"]), report.failed()


@needs_node
def test_the_service_on_node_reaches_level_3(tmp_path: Path) -> None:
    """It is found by polling: to report by itself, a service has to be told where its coordinator is."""
    service = node(tmp_path)
    report = service.checked(0, restart=service.restart)
    assert (report.level, report.failed()) == (3, ["report-comes"]), report.failed()


@pytest.mark.parametrize("make", [pytest.param(shell, marks=needs_curl), pytest.param(node, marks=needs_node)])
def test_what_is_published_is_what_the_data_service_has(serve: Any, tmp_path: Path, make: Any) -> None:
    """Nothing is public before, and all of it is after."""
    from lockstep.dataservice.sample import make_app  # noqa: PLC0415

    study, service = "SD_BHJXBDQK", make(tmp_path)
    public = tmp_path / "kept" / "public"

    async def scene() -> None:
        async with serve(make_app()) as data, aiohttp.ClientSession() as web:

            async def ask(action: str) -> str:
                task = {"action": action, "task_id": "TA_1", "release_id": "RE_1"}
                body = {**task, "studies": [study], "urls": [f"{data}/studies/{study}"]}
                async with web.post(f"{service.url}/tasks", json=body) as answer:
                    return str((await answer.json())["state"])

            async def staged() -> bool:
                return await ask("get_status") == "staged"

            async def published() -> bool:
                return await ask("get_status") == "published"

            assert await ask("initialize") == "pending"
            await ask("start")
            await until(staged)
            assert list(public.iterdir()) == []
            await ask("publish")
            await until(published)
            async with web.get(f"{data}/studies/{study}") as answer:
                record = await answer.read()
            assert {path.name: path.read_bytes() for path in public.glob("*/*")} == {f"{study}.json": record}

    async def whole() -> None:
        await service.start()
        try:
            await scene()
        finally:
            await service.kill()

    asyncio.run(whole())
