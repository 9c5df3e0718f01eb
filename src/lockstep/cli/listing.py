"""How a group lists its commands in its help: each with its first paragraph, whole, on as many lines as that takes.

The library would cut it off where a line ends, and on a narrow terminal nothing would be left of them.
"""

from typing import Any

import typer
from typer.core import TyperGroup


class Listing(TyperGroup):
    """A group of commands that shows how their help begins."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - Typer's own
        """Write the list."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, _beginning(command.help or "")) for name, command in found if command is not None]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def list_whole(app: typer.Typer) -> None:
    """Have every group of an application list its commands so."""
    for group in app.registered_groups:
        group.cls = Listing
        if group.typer_instance is not None:
            list_whole(group.typer_instance)


def _beginning(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].split())
