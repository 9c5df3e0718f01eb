"""The documentation site: what is made from the code is up to date, and nothing is loaded from elsewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from handbook.__main__ import DOCS
from handbook.diagrams import drawn
from handbook.pages import PAGES
from lockstep.coordinator.settings import PREFIX, Settings
from lockstep.protocol.states import TASK_LINE, TASK_MOVES

ROOT = DOCS.parent
_LOADED = re.compile(
    r"<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^\s\"'>]+"
    r"|<link\b(?=[^>]*rel=[\"']?(?:stylesheet|preload|preconnect|icon|modulepreload))[^>]*href=[\"']?(?:https?:)?//[^>]+"
    r"|@import[^;]*//[^;]+|url\([\"']?(?:https?:)?//[^)]+"
)


@pytest.mark.parametrize("path", PAGES)
def test_the_reference_is_what_the_code_says(path: str) -> None:
    """If not: `make reference`."""
    assert (DOCS / path).read_text("utf-8") == PAGES[path]()


def test_every_setting_is_documented() -> None:
    """Each has a row, with a text that gives its default and why."""
    page = (DOCS / "reference" / "settings.md").read_text("utf-8")
    missing = [name for name in Settings.model_fields if f"| `{PREFIX}{name.upper()}` |" not in page]
    unexplained = [name for name, field in Settings.model_fields.items() if "Default:" not in (field.description or "")]
    assert (missing, unexplained) == ([], [])


def test_the_diagram_has_every_state_and_every_move() -> None:
    picture = drawn("task", TASK_LINE, {str(here): frozenset(map(str, to)) for here, to in TASK_MOVES.items()})
    assert re.findall(r">(\w+)</text>", picture) == [str(state) for state in TASK_MOVES]
    assert picture.count("marker-end") == sum(map(len, TASK_MOVES.values()))


def test_a_state_that_nothing_leads_to_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="nothing leads to lost"):
        drawn("task", ("here", "there"), {"here": frozenset({"there"}), "there": frozenset(), "lost": frozenset()})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: a link that leads nowhere, or a page that no menu has, ends the build."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={"PATH": "", "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    found = {
        str(path.relative_to(site)): hits
        for path in site.rglob("*")
        if path.suffix in {".html", ".css"} and (hits := _LOADED.findall(path.read_text("utf-8")))
    }
    assert found == {}


def test_what_is_written_in_mermaid_is_drawn(site: Path) -> None:
    """Else the theme would fetch Mermaid when the page is read."""
    pages = {path.name: path.read_text("utf-8") for path in site.rglob("*.html")}
    assert [name for name, page in pages.items() if "mermaid" in page.lower()] == []
    assert (
        pages["rules.html"].count('<div class="states">')
        == pages["task-service.html"].count('<div class="states">')
        == 2
    )


def test_a_menu_names_each_page_once() -> None:
    def pages(menu: object) -> list[str]:
        if isinstance(menu, str):
            return [menu]
        parts = menu.values() if isinstance(menu, dict) else menu
        return [page for part in parts for page in pages(part)]  # type: ignore[attr-defined]

    listed = pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"])
    there = [str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")]
    assert sorted(listed) == sorted(there)
