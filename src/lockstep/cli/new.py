"""The command that writes the beginnings of a task service into a folder that is not there yet."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from lockstep.cli.endings import Refused, WrongUse
from lockstep.cli.options import example

app = typer.Typer()
new = typer.Typer(no_args_is_help=True, help="Begin something of your own.")
app.add_typer(new, name="new")


@new.callback()
def _new() -> None:
    """Begin something of your own."""


@new.command(
    "task-service",
    epilog=example(
        "lockstep new task-service 'search index'",
        "lockstep new task-service portal --folder services/portal",
    ),
)
def new_task_service(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the service is called, such as 'search index'.")],
    *,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="PATH", help="Where to write it; a folder of its name here without."),
    ] = None,
) -> None:
    """Write a small project: a task service, its tests, a Dockerfile and a README.

    Its tests pass at once. A folder that is there already, and not empty, is left as it is.
    """
    from lockstep.taskkit.new_project import ProjectName, files_for

    try:
        names = ProjectName.of(name)
    except ValueError as error:
        raise WrongUse(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
    target = folder or Path(names.folder)
    files = files_for(names)
    _write(target, files)
    print(f"{target} has {', '.join(sorted(files))}.\n\n  cd {target}\n  python -m pytest\n  python {names.module}.py")


def _write(target: Path, files: Mapping[str, str]) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise Refused(f"{target} is not empty, and nothing was written; name another with --folder.")
        for file_name, text in files.items():
            with (target / file_name).open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise Refused(f"{target} cannot be written to: {error.strerror}.") from error
