"""The commands on the pages: each is one that there is, and those of the main path are run in their order."""

import asyncio
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lockstep.cli.app import app
from tests.cli.stage import STUDY, stage
from tests.conftest import Serve

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "examples" / "README.md"]
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^ *(?:[A-Z_]+=\S* )*(?:\.venv/bin/)?lockstep (.*)$", re.MULTILINE)
AFTERWARDS = re.compile(r" [#<>|&;] ?.*$")
STEPS = ("register", "plan", "publish", "cancel")


def commands(page: Path) -> list[list[str]]:
    """The arguments of every `lockstep` in the blocks of a page."""
    told = "\n".join(code.replace("\\\n", " ") for _, code in BLOCK.findall(page.read_text("utf-8")))
    return [shlex.split(AFTERWARDS.sub("", line)) for line in COMMAND.findall(told)]


EVERY = [(page.name, arguments) for page in PAGES for arguments in commands(page) if "--help" not in arguments]


@pytest.mark.parametrize(
    ("page", "arguments"), EVERY, ids=lambda part: part if isinstance(part, str) else " ".join(part)
)
def test_a_command_on_a_page_is_one_that_there_is(page: str, arguments: list[str]) -> None:
    """Its words and options are known; what they are given is not tried here."""
    if "…" in arguments:
        pytest.skip("an outline of commands, and none itself")
    ended = CliRunner().invoke(app, [*arguments, "--help"])
    assert ended.exit_code == 0, f"{page}: {ended.output}"


def steps(name: str) -> list[list[str]]:
    text = (ROOT / "docs" / "how-to" / f"{name}.md").read_text("utf-8")
    blocks = [code for kind, code in BLOCK.findall(text) if kind == "lockstep"]
    return [shlex.split(line) for block in blocks for line in COMMAND.findall(block)]


def test_the_main_path_is_as_the_pages_tell_it(serve: Serve, tmp_path: Path) -> None:
    """Register, plan, publish; and another release that is canceled."""

    async def scene() -> None:
        async with stage(tmp_path, serve) as here:
            here.held.let_go.set()
            known = {"{service}": here.held_url, "{release}": ""}

            async def run(name: str) -> None:
                for arguments in steps(name):
                    ended = await here.run(*(known.get(word, word) for word in arguments))
                    assert ended.code == 0, (arguments, ended.err)
                    if found := re.search("RE_[0-9A-Z]{8}", ended.out):
                        known["{release}"] = found[0]

            for name in STEPS[:3]:
                await run(name)
            assert await here.state(known["{release}"]) == "published"
            here.held.let_go.clear()
            started: Any = await here.json("release", "start", "--name", "Another", "--study", STUDY)
            known["{release}"] = started["kf_id"]
            await run("cancel")
            assert await here.state(known["{release}"]) in {"canceling", "canceled"}

    asyncio.run(scene())


def test_each_step_of_the_main_path_is_run() -> None:
    assert [len(steps(name)) for name in STEPS] == [2, 3, 2, 1]
