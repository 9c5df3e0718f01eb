"""`lockstep new task-service`: the project that it writes works as it stands, and nothing is overwritten."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from lockstep.taskkit.new_project import ProjectName, files_for
from tests.cli.stage import Ended, environment, lockstep

FILES = ["Dockerfile", "README.md", "pyproject.toml", "search_index.py", "test_search_index.py"]


def new(folder: Path, *arguments: str) -> Ended:
    return asyncio.run(lockstep("new", "task-service", *arguments, folder=folder))


def ran(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )


def test_the_tests_of_a_new_project_pass_at_once(tmp_path: Path) -> None:
    """In a folder of its own, without a thing of this repository but the package."""
    ended = new(tmp_path, "Search index")
    assert (ended.code, ended.err) == (0, "")
    project = tmp_path / "search-index"
    assert sorted(found.name for found in project.iterdir()) == FILES
    tests = ran(project, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert (tests.returncode, tests.stdout.splitlines()[-1][:9]) == (0, "4 passed "), tests.stdout
    style = ran(project, "-m", "ruff", "check", "--isolated", "--no-cache", "--line-length", "120", ".")
    assert style.returncode == 0, style.stdout
    types = ran(project, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "types"), "search_index.py")
    assert types.returncode == 0, types.stdout


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A folder that holds anything is left as it is; an empty one is used."""
    (tmp_path / "search-index").mkdir()
    (tmp_path / "search-index" / "search_index.py").write_text("mine")
    ended = new(tmp_path, "search-index")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "search-index is not empty, and nothing was written; name another with --folder.\n"
    assert [found.read_text() for found in (tmp_path / "search-index").iterdir()] == ["mine"]
    (tmp_path / "empty").mkdir()
    assert new(tmp_path, "search-index", "--folder", "empty").code == 0


@pytest.mark.parametrize("name", ["", "1st", "../up", "a'b", "json", "class", "lockstep", "x" * 61])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(ValueError, match="would be"):
        ProjectName.of(name)


@pytest.mark.parametrize("name", ["search index", "search-index", "search_index", " Search Index "])
def test_one_name_is_many(name: str) -> None:
    """A folder, a module and a title follow from it, however its words are joined."""
    names = ProjectName.of(name)
    assert (names.title.lower(), names.folder, names.module) == ("search index", "search-index", "search_index")
    assert sorted(files_for(names)) == FILES


def test_a_bad_name_is_wrong_use(tmp_path: Path) -> None:
    ended = new(tmp_path, "json")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "Python has a module or a word 'json' already; another name would be right.\n"
