"""The files that the page about the command line shows are read as it says."""

import re
from pathlib import Path

from lockstep.cli.registry import Deed, plan, read_services
from lockstep.cli.release_file import read_release

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def shown(name: str, folder: Path) -> Path:
    found = re.search(rf"<!-- {re.escape(name)} -->\n```yaml\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert found is not None
    (folder / name).write_text(found[1])
    return folder / name


def test_the_release_is_one(tmp_path: Path) -> None:
    release = read_release(shown("release.yaml", tmp_path))
    assert (release["name"], release["studies"]) == ("Spring release", ["SD_8Y99QZJJ", "SD_BHJXBDQK"])
    assert [note.get("study") for note in release["notes"]] == [None, "SD_8Y99QZJJ"]


def test_the_registry_is_one(tmp_path: Path) -> None:
    """What it says is there already needs nothing to be done."""
    services = read_services(shown("services.yaml", tmp_path))
    assert [step.deed for step in plan(services, [], prune=True)] == [Deed.ADD, Deed.ADD]
    stored = [{"kf_id": "TS_00000000", "enabled": True, **service} for service in services]
    assert plan(services, stored, prune=True) == []
