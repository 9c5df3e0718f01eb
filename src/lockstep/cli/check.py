"""The command that checks a task service, whoever wrote it and in whatever language.

It reads its options, has `lockstep.taskkit.conformance` play with the service, and says what came of it: on stdout the
report, as the exit code whether the wanted level was reached.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from lockstep.cli.endings import Interrupted, Refused, TimedOut, Unreachable, WrongUse
from lockstep.cli.options import example
from lockstep.cli.tables import is_terminal
from lockstep.protocol.ids import Prefix, is_id

if TYPE_CHECKING:
    from lockstep.taskkit.conformance import Options, Report

app = typer.Typer()

_LISTEN: Final = "127.0.0.1:5000"
_RESTART_LIMIT_S: Final = 30.0
_FOR_CLEANING_UP: Final = 0.1
"""The part of the time that is kept for canceling what is left."""

_LAST_CHARS: Final = 300
_ANSI: Final = {"✗": "31", "!": "33"}


@app.command(
    "check",
    epilog=example(
        "lockstep check http://127.0.0.1:8282",
        "lockstep check http://127.0.0.1:8282 --level 2 --restart-command 'systemctl restart reports'",
        "lockstep check https://reports.example.org --token $TOKEN --junit check.xml",
    ),
)
def check(
    url: Annotated[str, typer.Argument(metavar="URL", help="The task service, without /tasks.")],
    *,
    level: Annotated[
        int, typer.Option("--level", metavar="N", min=0, max=3, help="The level that it has to reach, for exit code 0.")
    ] = 1,
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen",
            metavar="ADDRESS",
            help=f"Where the coordinator is played; {_LISTEN} if free. The service must be told that it is there.",
        ),
    ] = None,
    restart_command: Annotated[
        str | None,
        typer.Option(
            "--restart-command",
            metavar="COMMAND",
            help="Ends the service, starts it again and returns; level 2 cannot be reached without.",
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option("--token", metavar="TOKEN", envvar="LOCKSTEP_CHECK_TOKEN", help="The identity that it wants."),
    ] = None,
    expired_token: Annotated[
        str | None, typer.Option("--expired-token", metavar="TOKEN", help="One that was good once, to be refused.")
    ] = None,
    study: Annotated[
        list[str] | None, typer.Option("--study", metavar="SD_…", help="A real study to release; again for more.")
    ] = None,
    dataservice: Annotated[
        str | None, typer.Option("--dataservice", metavar="URL", help="Where the real studies are.")
    ] = None,
    patience: Annotated[
        float, typer.Option("--patience", metavar="SECONDS", min=0.1, help="How long it may take to stage one release.")
    ] = 10.0,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=1.0, help="How long the whole check may take.")
    ] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON, one document.")] = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write what was found as JUnit's XML besides.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write a badge for a README besides.")
    ] = None,
) -> None:
    """Check what a task service does with all that a coordinator can ask of it.

    It stages and publishes releases of made-up studies, so point it at an instance for tests. Levels: 0 speaks the
    protocol, 1 repeats safely, 2 survives its own restart, 3 fences stale callers.

    Exit codes: 0 the level is reached, 1 it is not, 2 wrong use, 3 nobody answers, 124 the time was over.
    """
    from lockstep.taskkit.conformance import Options, presentation

    host, port = _address(listen or _LISTEN)
    options = Options(
        token=token,
        expired_token=expired_token,
        host=host,
        port=port,
        studies=_studies(study, dataservice),
        dataservice_url=dataservice,
        restart=None if restart_command is None else _Restart(restart_command),
        patience_s=patience,
        limit_s=timeout * (1 - _FOR_CLEANING_UP),
    )
    if is_terminal():
        print(f"Checking {url}; this takes {timeout:g} s at the most.", file=sys.stderr)
    report = _checked(_service(url), options, may_move=listen is None)
    for path, text in ((junit, presentation.junit(report, level)), (markdown, presentation.markdown(report))):
        _write(path, text)
    print(presentation.as_json(report, level) if as_json else _coloured(presentation.text(report, level)))
    if report.timed_out:
        raise TimedOut(f"The time was over before everything was checked; --timeout {2 * timeout:g} gives it more.")
    if not report.reaches(level):
        raise Refused(f"{report.url} does not reach level {level}.")


def _checked(url: str, options: "Options", *, may_move: bool) -> "Report":
    """Check a service; where nobody said at which address the coordinator is played, another one will do."""
    import asyncio
    from dataclasses import replace

    from lockstep.taskkit.conformance import NotReachable, check

    try:
        return asyncio.run(check(url, options))
    except NotReachable as error:
        raise Unreachable(f"Nobody answers at {url}: {error}. Start the service, or correct the address.") from None
    except KeyboardInterrupt:
        raise Interrupted("Interrupted; the tasks that were begun are canceled.") from None
    except OSError as error:
        where = f"{options.host}:{options.port}"
        if not may_move:
            raise Refused(f"No coordinator can be played at {where}: {error.strerror or error}.") from error
        report = _checked(url, replace(options, port=0), may_move=False)
        report.notes.append(
            f"{where} is taken, so that the coordinator was played elsewhere and no reports came; "
            "choose an address with --listen, and tell the service."
        )
        return report


class _Restart:
    """Runs the command that restarts the service, and waits for its end."""

    def __init__(self, command: str) -> None:
        self._command = command

    async def __call__(self) -> None:
        import asyncio

        await asyncio.to_thread(self._run)

    def _run(self) -> None:
        import subprocess
        import tempfile

        from lockstep.taskkit.conformance import RestartFailed

        with tempfile.TemporaryFile() as said:
            try:
                done = subprocess.run(  # noqa: S602 - the user's own command, in the user's own shell
                    self._command,
                    shell=True,
                    check=False,
                    start_new_session=True,
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    timeout=_RESTART_LIMIT_S,
                )
            except subprocess.TimeoutExpired:
                raise RestartFailed(
                    f"the restart command did not return within {_RESTART_LIMIT_S:g} s; let it leave the service in "
                    "the background"
                ) from None
            said.seek(0)
            words = " ".join(said.read().decode("utf-8", "replace").split())[-_LAST_CHARS:]
        if done.returncode:
            raise RestartFailed(f"the restart command ended with status {done.returncode}: {words or 'silence'}")


def _address(given: str) -> tuple[str, int]:
    host, _, port = given.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:  # noqa: PLR2004 - the highest port
        raise WrongUse(f"--listen {given}: an address and a port would be right, such as {_LISTEN}.")
    return host.strip("[]"), int(port)


def _service(url: str) -> str:
    from urllib.parse import urlsplit

    given = url if "://" in url else f"http://{url}"
    parts = urlsplit(given)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise WrongUse(f"{url!r} is not the address of a service; http://127.0.0.1:8282 would be one.")
    return given.rstrip("/").removesuffix("/tasks")


def _studies(given: list[str] | None, dataservice: str | None) -> tuple[str, ...]:
    wrong = [name for name in given or () if not is_id(name, Prefix.STUDY)]
    if wrong:
        raise WrongUse(f"{wrong[0]!r} is not the id of a study; {Prefix.STUDY}_ and eight characters would be.")
    if bool(given) != bool(dataservice):
        raise WrongUse("--study and --dataservice belong together: which studies, and where they are.")
    return tuple(given or ())


def _write(path: Path | None, text: str) -> None:
    if path is None:
        return
    try:
        path.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}.") from error


def _coloured(text: str) -> str:
    if not is_terminal():
        return text
    lines = text.splitlines()
    return "\n".join(f"\033[{_ANSI[line[0]]}m{line}\033[0m" if line[:1] in _ANSI else line for line in lines)
