"""The reference of every command in Markdown, from the commands themselves: the second half of `docs/cli.md`.

`make manual` writes it there, between its two marks; a test compares the page with it.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer

BEGIN: Final = "<!-- commands -->"
END: Final = "<!-- /commands -->"


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - Typer's own
    """Yield every command that does something, with the words that call it."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))
    if not hasattr(command, "commands") or command.invoke_without_command:
        yield " ".join(path), command


def manual() -> str:
    """Return the reference of every command."""
    from lockstep.cli.app import app

    sections = [_section(name, command) for name, command in sorted(commands(typer.main.get_command(app)))]
    return "\n\n".join(sections)


def with_manual(page: str) -> str:
    """Return a page with the reference between its marks as it is now."""
    return re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n\n{manual()}\n\n{END}", page, flags=re.DOTALL)


def _section(name: str, command: Any) -> str:  # noqa: ANN401 - Typer's own
    parameters = [parameter for parameter in command.params if parameter.name != "help"]
    arguments = [parameter for parameter in parameters if parameter.param_type_name == "argument"]
    options = [parameter for parameter in parameters if parameter.param_type_name == "option"]
    call = " ".join(["lockstep", name, *(parameter.metavar or parameter.name for parameter in arguments)])
    examples = [line.strip() for line in command.epilog.splitlines()[2:]]
    parts = [f"### `{call}`", " ".join(command.help.split()), "\n".join(["```", *examples, "```"])]
    rows = [f"| {_names(option)} | {_cell(option.help or '')} |" for option in options]
    if rows:
        parts.append("\n".join(["| Option | |", "|---|---|", *rows]))
    return "\n\n".join(parts)


def _names(option: Any) -> str:  # noqa: ANN401 - Typer's own
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    return f"{names} {_cell(option.metavar)}" if option.metavar else names


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.write_text(with_manual(place.read_text()))
