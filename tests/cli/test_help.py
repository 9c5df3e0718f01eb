"""What the command promises about itself: help that teaches, and at once."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from lockstep import __version__
from lockstep.cli.app import app
from lockstep.cli.manual import commands, with_manual

GROUPS_OF_CLIENT_COMMANDS = {"service", "study", "release", "task", "note", "event", "webhook", "status"}
COMMANDS = dict(commands(typer.main.get_command(app)))


def test_every_command_is_there() -> None:
    expected = {
        *("serve", "worker", "demo", "reference", "dataservice", "reports", "reports create-tables", "snapshot"),
        *("migrate", "stack", "check", "doctor", "new task-service", "import kids-first"),
        *("login", "logout", "status", *(f"profile {verb}" for verb in ("list", "set", "use", "remove"))),
        *(
            f"service {verb}"
            for verb in ("add", "list", "show", "edit", "enable", "disable", "check", "remove", "apply")
        ),
        *(f"study {verb}" for verb in ("sync", "list", "show")),
        *(f"release {verb}" for verb in ("start", "list", "show", "edit", "watch", "publish", "cancel")),
        *(f"release {verb}" for verb in ("current", "at", "decision", "diff")),
        *(f"task {verb}" for verb in ("list", "show", "check", "report")),
        *(f"note {verb}" for verb in ("list", "add", "show", "edit", "remove")),
        *("event list", "event add"),
        *(f"webhook {verb}" for verb in ("add", "list", "show", "edit", "remove", "rotate", "deliveries", "redeliver")),
    }
    assert expected == set(COMMANDS)


def test_every_command_is_in_the_manual_as_it_is() -> None:
    """`make manual` brings the page up to date."""
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    assert with_manual(page) == page
    assert [name for name in COMMANDS if f"### `lockstep {name}" not in page] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_a_purpose_in_a_line_an_example_and_a_word_on_every_option(name: str) -> None:
    command = COMMANDS[name]
    purpose = command.help.splitlines()[0]
    assert purpose.endswith((".", ":")) or command.help.splitlines()[1], purpose
    assert f"lockstep {name}" in command.epilog
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_client_commands_speak_json_to_any_server(name: str) -> None:
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    is_client = name.split(maxsplit=1)[0] in GROUPS_OF_CLIENT_COMMANDS
    assert is_client == ({"--json", "--server"} <= options)


@pytest.mark.parametrize("columns", ["50", "80"])
@pytest.mark.parametrize("group", ["", *sorted(GROUPS_OF_CLIENT_COMMANDS), "new"])
def test_lists_of_commands_are_whole_on_a_narrow_terminal(group: str, columns: str) -> None:
    """No sentence is cut off, and no option is named after a type of the language."""
    command = typer.main.get_command(app)
    shown = CliRunner().invoke(app, [*group.split(), "--help"], env={"COLUMNS": columns}).output
    listed = getattr(command.commands[group] if group else command, "commands", {})  # type: ignore[attr-defined]
    if not listed:
        return
    flat = " ".join(shown.split())
    missing = [name for name, inner in listed.items() if " ".join(inner.help.partition("\n\n")[0].split()) not in flat]
    assert missing == []


def test_options_for_one_command_leave_nothing_behind() -> None:
    """Whoever runs commands within a process of their own finds its environment as it was."""
    before = dict(os.environ)
    named = ["--profile", "elsewhere", "--server", "http://127.0.0.1:1"]
    ended = CliRunner().invoke(app, [*named, "release", "list", "--help"])
    assert (ended.exit_code, dict(os.environ)) == (0, before)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_takes(name: str) -> None:
    """In a word for people, such as TEXT, where the library would show the name of a Python type."""
    shown = CliRunner().invoke(app, [*name.split(), "--help"]).output
    assert "<str>" not in shown


def _slow_ones_loaded(*arguments: str) -> tuple[str, list[str]]:
    """Return what a command printed, and which libraries that take a while it loaded."""
    slow = ["httpx", "rich", "fastapi", "sqlalchemy", "uvicorn", "aiohttp", "pydantic", "asyncio", "yaml", "ssl"]
    code = f"""
import json, sys
from lockstep.cli import main
try:
    main()
except SystemExit:
    print("\\n", json.dumps([name for name in {slow!r} if name in sys.modules]), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    loaded: list[str] = json.loads(done.stderr.splitlines()[-1])
    return done.stdout, loaded


def test_help_loads_nothing_that_takes_a_while() -> None:
    """The web framework, the HTTP client and the terminal library are loaded by the commands that need them."""
    shown, loaded = _slow_ones_loaded("--help")
    assert "lockstep demo" in shown
    assert loaded == []


def test_a_client_command_loads_what_it_needs_and_no_more() -> None:
    """The HTTP client, and what that brings along."""
    _, loaded = _slow_ones_loaded("release", "list", "--server", "http://127.0.0.1:1")
    assert set(loaded) <= {"httpx", "asyncio", "ssl"}
    assert "httpx" in loaded


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["version"] == __version__
