"""The page about moving here: its commands are run in their order, on a stand-in for the coordinator left behind."""

import asyncio
import re
import shlex
from pathlib import Path

from tests.cli.stage import at_terminal, lockstep
from tests.conftest import serving
from tests.docs.test_how_to import BLOCK, COMMAND
from tests.importing.kids_first import TARGET, KidsFirstCoordinator, at, real

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "move.md").read_text("utf-8")
NAMED = "https://coordinator.example.org"
COMMANDS = [
    shlex.split(line) for kind, code in BLOCK.findall(PAGE) if kind == "lockstep" for line in COMMAND.findall(code)
]
CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def left() -> KidsFirstCoordinator:
    """The coordinator that the page speaks of: one release is still in flight."""
    there = real()
    there.release("RE_1NF11GHT", "3.65.0", at("2019-12-01T10:00:00"), TARGET, state="staged")
    return there


def test_the_steps_bring_everything_over(tmp_path: Path) -> None:
    """Rehearse, import, let what is in flight end, import again."""

    async def scene() -> None:
        there = left()
        new = []
        async with serving(there.app) as url:
            for arguments in COMMANDS:
                given = [url if word == NAMED else word for word in arguments]
                ended = await lockstep(*given, LOCKSTEP_DATABASE_URL=f"sqlite:///{tmp_path}/lockstep.db")
                assert (ended.code, ended.err) == (0, "")
                new.append(ended.document["counts"]["releases"]["new"])
                if len(new) > 1:
                    there.rows["releases"]["RE_1NF11GHT"]["state"] = "published"
        assert new == [11, 11, 1]

    asyncio.run(scene())


def test_the_summary_is_as_the_page_shows_it(tmp_path: Path) -> None:
    async def scene() -> None:
        arguments = ("import", "kids-first", "--database", f"sqlite:///{tmp_path}/lockstep.db")
        async with serving(left().app) as url, at_terminal(*arguments, url) as terminal:
            assert await terminal.ended() == 0
            said = [line.rstrip() for line in CONTROL.sub("", terminal.out).splitlines()]
        shown = next(code for kind, code in BLOCK.findall(PAGE) if kind == "text").splitlines()
        assert [line for line in shown if line not in said] == []

    asyncio.run(scene())
