"""The page about `lockstep check` tells what the command does: its tables, its example, its test."""

import asyncio
import re
import runpy
import sys
from pathlib import Path

from lockstep.stack.processes import free_ports
from lockstep.taskkit.conformance import CASES, LEVELS
from tests.cli.stage import lockstep
from tests.conformance.faulty import FAULTS
from tests.patience import takes_connections, until

PAGE = Path(__file__).parents[2] / "docs" / "check.md"
ORIGINS = ("reference", "reports", "snapshot", "any")


def part(name: str) -> str:
    """What stands between two marks of the page."""
    found = re.search(rf"<!-- {name} -->\n\n(.*?)\n\n<!-- /{name} -->", PAGE.read_text(), re.DOTALL)
    return found[1] if found else ""


def block(mark: str) -> str:
    """The code after a mark of the page."""
    found = re.search(rf"<!-- {mark} -->\n```\w*\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return found[1] if found else ""


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" if line is not lines[1] else f"|{'|'.join(line)}|" for line in lines)


def words(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name).lower()


def test_every_case_is_on_the_page() -> None:
    """By level, with its rule, its force and what to do."""
    levels = []
    for level, meaning in enumerate(LEVELS):
        rows = [
            [f"`{case.name}`", case.rule, case.force, case.remedy] for case in CASES.values() if case.level == level
        ]
        levels.append(f"### Level {level}: {meaning}\n\n{table(['Case', 'Rule', 'Force', 'What to do'], rows)}")
    assert part("cases") == "\n\n".join(levels)


def test_every_fault_is_on_the_page() -> None:
    """In words, with where it was seen and which cases find it."""
    rows = [
        [fault.origin, words(fault.service.__name__), ", ".join(f"`{case}`" for case in sorted(fault.cases))]
        for origin in ORIGINS
        for fault in FAULTS
        if fault.origin == origin
    ]
    assert len(rows) == len(FAULTS)
    assert part("faults") == table(["Seen in", "The service", "Found by"], rows)


def test_the_example_is_told_what_the_page_says(tmp_path: Path) -> None:
    """Every line that the page shows is said about the service that the page shows."""
    (tmp_path / "by_hand.py").write_text(block(r"check: by_hand\.py"))
    (port,) = free_ports(1)

    async def scene() -> str:
        quiet = asyncio.subprocess.DEVNULL
        service = await asyncio.create_subprocess_exec(
            sys.executable, tmp_path / "by_hand.py", str(port), stdout=quiet, stderr=quiet
        )
        try:
            await until(lambda: takes_connections(port))
            return (await lockstep("check", f"http://127.0.0.1:{port}", "--listen", "127.0.0.1:0")).out
        finally:
            service.kill()
            await service.wait()

    said = asyncio.run(scene()).splitlines()
    shown = [line for line in block("says").splitlines() if line]
    assert len(shown) == 12
    assert [line for line in shown if line not in said] == []


def test_the_test_on_the_page_passes(tmp_path: Path) -> None:
    path = tmp_path / "test_my_service.py"
    path.write_text(block(r"test: test_my_service\.py"))
    runpy.run_path(str(path))["test_what_is_staged_is_out_of_sight"](tmp_path)
