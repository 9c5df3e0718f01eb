"""What the documentation shows is what there is: quoted files are the files, and examples run."""

import re
import runpy
from contextlib import chdir
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md")), ROOT / "CONTRIBUTING.md"]
BLOCK = re.compile(r"^<!-- (file|run): (\S+) -->\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def blocks(kind: str) -> list[tuple[str, str]]:
    return [(name, code) for page in PAGES for kin, name, code in BLOCK.findall(page.read_text()) if kin == kind]


@pytest.mark.parametrize(("name", "code"), blocks("file"), ids=lambda part: part if len(part) < 60 else "")
def test_a_quoted_file_is_the_file(name: str, code: str) -> None:
    """A page that says it shows a whole file shows it to the letter."""
    assert (ROOT / name).read_text() == code


def test_the_reference_is_quoted_and_short() -> None:
    """The tutorial shows the reference task service whole, and it is short enough to be read there."""
    code = dict(blocks("file"))["src/lockstep/reference/__init__.py"]
    assert 10 < len(code.splitlines()) < 60


@pytest.mark.parametrize(("name", "code"), blocks("run"), ids=lambda part: part if len(part) < 60 else "")
def test_an_example_runs(name: str, code: str, tmp_path: Path) -> None:
    """An example that says it can be run loads, and makes a service with work to do on stage and publish."""
    path = tmp_path / name
    path.write_text(code)
    with chdir(tmp_path):
        service = runpy.run_path(str(path))["service"]
    assert service.name == "word count"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file that is there."""
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert missing == []
