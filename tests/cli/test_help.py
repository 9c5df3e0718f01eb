"""What the command promises about itself: help that teaches, and at once."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from lockstep.cli.app import app


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, (*path, name))
    if not hasattr(command, "commands") or command.invoke_without_command:
        yield " ".join(path), command


GROUPS_OF_CLIENT_COMMANDS = {"service", "study", "release", "event"}
COMMANDS = dict(_commands(typer.main.get_command(app)))


def test_every_command_is_there() -> None:
    expected = {
        *("serve", "worker", "demo", "reference", "dataservice", "reports", "reports create-tables", "snapshot"),
        *("migrate", "stack", "check", "doctor", "new task-service"),
        *("service add", "service list", "service remove", "study sync", "study list", "event list"),
        *(f"release {verb}" for verb in ("start", "list", "show", "watch", "publish", "cancel")),
    }
    assert expected == set(COMMANDS)


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


def test_help_loads_nothing_that_takes_a_while() -> None:
    """The web framework, the HTTP client and the terminal library are loaded by the commands that need them."""
    slow = ["httpx", "rich", "fastapi", "sqlalchemy", "uvicorn", "aiohttp", "pydantic", "asyncio"]
    code = f"""
import json, sys
from lockstep.cli import main
try:
    main()
except SystemExit:
    print(json.dumps([name for name in {slow!r} if name in sys.modules]), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True)
    assert "lockstep demo" in done.stdout
    assert json.loads(done.stderr) == []
