"""What CONTRIBUTING, the Makefile and the decisions promise about the repository itself."""

import re
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "lockstep"
MAP = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
DECISIONS = sorted((ROOT / "docs" / "adr").glob("0*.md"))


def test_the_map_has_every_room_of_the_house() -> None:
    """Each package, each module of the coordinator that belongs to none, and each folder beside them."""
    packages = [f"`{path.parent.name}/`" for path in PACKAGE.glob("*/__init__.py") if path.parent.name != "coordinator"]
    inner = [f"`coordinator/{path.parent.name}/`" for path in PACKAGE.glob("coordinator/*/__init__.py")]
    modules = [f"{path.name}`" for path in PACKAGE.glob("coordinator/*.py") if path.name != "__init__.py"]
    beside = [f"`{name}/`" for name in ("docs", "handbook", "examples", "bench", "deploy", "tests")]
    missing = [name for name in (*packages, *inner, *modules, *beside) if name not in MAP]
    assert missing == []


def test_what_the_map_names_is_there() -> None:
    """No row speaks of something that was moved away."""
    named = re.findall(r"`((?:cli|coordinator|core|web|store|services|protocol|taskkit|docs|tests)/[\w/.-]+)`", MAP)
    places = (ROOT, PACKAGE, PACKAGE / "coordinator")
    assert len(named) > 20
    assert [name for name in named if not any((place / name).exists() for place in places)] == []


def test_make_lists_every_target_with_what_it_does() -> None:
    targets = re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE)
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert re.findall(r"^  make ([a-z-]+) +\S", listed.stdout, re.MULTILINE) == targets
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert phony is not None
    assert sorted(phony[1].split()) == sorted(targets)


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_is_listed_and_tells_what_was_weighed(decision: Path) -> None:
    text = decision.read_text("utf-8")
    assert decision.name in (decision.parent / "index.md").read_text("utf-8")
    assert re.findall(r"^\*\*(Question|Decision|Weighed|What it costs)\.\*\*", text, re.MULTILINE) == [
        "Question",
        "Decision",
        "Weighed",
        "What it costs",
    ]


def test_types_are_exported() -> None:
    """Type checkers of those who use the package find its types."""
    assert files("lockstep").joinpath("py.typed").is_file()
