"""`lockstep import`: bring the history of another coordinator into our database.

This command works on the database itself, as `migrate` does, and not through the API, which gives every release an id
and a time of its own. What is brought and what is left out is decided in `coordinator/services/importing.py`; here the
parts are joined, and what came of it is shown.
"""

import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from lockstep.cli.endings import Ending, Interrupted, Refused, Unreachable
from lockstep.cli.options import AS_FITS, AsJson, example
from lockstep.cli.servers import Database, read

if TYPE_CHECKING:
    from lockstep.coordinator.core.history import Kind
    from lockstep.coordinator.ports import Store
    from lockstep.coordinator.services.import_report import Count, Reasons, Report

TOKEN_VARIABLE: Final = "LOCKSTEP_SOURCE_TOKEN"  # noqa: S105 - where it is, not what it is
_NAMED: Final = 10
"""Ids that a person is shown for each reason; the document has more."""

Tell = Callable[["Kind", "Count"], None]

app = typer.Typer()
_import = typer.Typer(name="import", help="Bring over what another coordinator remembers.", no_args_is_help=True)
app.add_typer(_import)


@_import.command(
    "kids-first",
    epilog=example(
        "lockstep import kids-first https://coordinator.example.org --dry-run",
        "lockstep import kids-first https://coordinator.example.org --database postgresql://lockstep@db/lockstep",
    ),
)
def import_kids_first(
    url: Annotated[str, typer.Argument(metavar="URL", help="The coordinator to read: of Kids First, or a Lockstep.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done; change nothing.")] = False,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="PATH",
            help=f"A file, readable by nobody else, with a token for that coordinator; {TOKEN_VARIABLE} without it.",
        ),
    ] = None,
    database: Database = None,
    as_json: AsJson = AS_FITS,
) -> None:
    """Bring over studies, task services, releases, tasks, notes and events, with their ids and times.

    It reads the other coordinator over its REST API, changes nothing there, and writes into our database. Run it as
    often as you like: what is here already is left, what has changed over there is updated, and an import that was
    interrupted goes on. Releases in flight over there are left out until they have ended. Nothing is announced.

    A SQLite file must be in use by nobody: stop `lockstep serve`, import, start it again. On Postgres, coordinators may
    be at work meanwhile.
    """
    import asyncio

    settings = read(database_url=database)
    token = _token(token_file)
    shown: list[Report] = []

    async def work() -> None:
        from lockstep.coordinator.adapters.clock import SystemClock
        from lockstep.coordinator.adapters.kids_first import KidsFirst
        from lockstep.coordinator.services.importing import Import

        async with KidsFirst(url, token) as source:
            await source.check()
            async with _opened(settings.database_url, dry_run=dry_run) as store:
                with _progress(quiet=as_json) as tell:
                    job = Import(source, store, SystemClock(), rehearse=dry_run, tell=tell)
                    shown.append(job.report)
                    await job.run()

    ending = _ended(lambda: asyncio.run(work()), shown)
    if shown:
        _show(shown[0], url, dry_run=dry_run, as_json=as_json)
    if ending is not None:
        raise ending


def _ended(work: Callable[[], None], begun: "Sequence[Report]") -> Ending | None:
    """Do the work, and return how it ended if it did not end well."""
    from lockstep.coordinator.core.errors import Unavailable
    from lockstep.coordinator.core.history import NoSource, SourceAway

    def again() -> str:
        return " What was brought is kept; run the same command again, and it goes on." if begun else ""

    try:
        work()
    except NoSource as error:
        return Refused(str(error))
    except SourceAway as error:
        return Unreachable(f"{error}{again()}")
    except Unavailable as error:
        return Refused(str(error))
    except KeyboardInterrupt:
        return Interrupted(f"Interrupted.{again()}")
    return None


def _token(path: Path | None) -> str:
    from lockstep.cli.kept_files import read_secret

    if path is None:
        return os.environ.get(TOKEN_VARIABLE, "").strip()
    if not (token := read_secret(path).strip()):
        raise Refused(f"There is no token in {path}.")
    return token


@asynccontextmanager
async def _opened(database_url: str, *, dry_run: bool) -> "AsyncIterator[Store]":
    """Open our store, alone on a SQLite file; or, for a rehearsal, only to be read, beside whoever is at work on it."""
    from lockstep.coordinator.core.errors import Unavailable
    from lockstep.coordinator.store.alone import sqlite_alone
    from lockstep.coordinator.store.database import postgres_url
    from lockstep.coordinator.store.migrating import sqlite_file
    from lockstep.coordinator.store.opening import open_store, open_to_read

    if dry_run:
        async with open_to_read(database_url) as store:
            yield store
    elif postgres_url(database_url) is not None:
        async with open_store(database_url) as shared:
            yield shared
    else:
        with ExitStack() as stack:
            try:
                stack.enter_context(sqlite_alone(sqlite_file(database_url)))
            except Unavailable as error:
                raise Unavailable(f"{error} An import into SQLite needs `lockstep serve` to be stopped.") from error
            async with open_store(database_url) as own:
                yield own


@contextmanager
def _progress(*, quiet: bool) -> "Iterator[Tell]":
    """Show a bar for each kind at a terminal, and nothing elsewhere."""
    from lockstep.cli.tables import is_terminal

    if quiet or not is_terminal():
        yield lambda _kind, _count: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description:<14}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[came]}"),
    )
    with Progress(*columns) as bars:
        known: dict[Kind, Any] = {}

        def tell(kind: "Kind", count: "Count") -> None:
            if kind not in known:
                known[kind] = bars.add_task(str(kind), total=None, came="")
            came = f"{count.new} new, {count.updated} updated, {count.left_out} left out"
            bars.update(known[kind], completed=count.read, total=count.total, came=came)

        yield tell


def _show(report: "Report", url: str, *, dry_run: bool, as_json: bool) -> None:
    from lockstep.cli.tables import is_terminal, print_json, print_table

    if as_json:
        print_json(_document(report, url, dry_run=dry_run))
        return
    print_table(
        ("WHAT", "READ", "NEW", "UPDATED", "UNCHANGED", "LEFT OUT"),
        [(kind, c.read, c.new, c.updated, c.unchanged, c.left_out) for kind, c in report.counts.items()],
        right=("READ", "NEW", "UPDATED", "UNCHANGED", "LEFT OUT"),
    )
    for heading, reasons in (("left out", report.left_out), ("not as it is there", report.altered)):
        rows = [
            (heading, number, kind, reason, _some(reasons.named[kind, reason], number))
            for (kind, reason), number in reasons.counts.items()
        ]
        if rows:
            print_table(("", "HOW MANY", "WHAT", "WHY", "WHICH"), rows, right=("HOW MANY",))
    if dry_run and is_terminal():
        print("This was a dry run: nothing was changed.")


def _some(kf_ids: list[str], number: int) -> str:
    rest = number - len(kf_ids[:_NAMED])
    return " ".join(kf_ids[:_NAMED]) + (f" and {rest} more" if rest else "")


def _document(report: "Report", url: str, *, dry_run: bool) -> dict[str, Any]:
    def listed(reasons: "Reasons") -> list[dict[str, Any]]:
        return [
            {"what": str(kind), "reason": reason, "count": number, "ids": reasons.named[kind, reason]}
            for (kind, reason), number in reasons.counts.items()
        ]

    return {
        "source": url,
        "dry_run": dry_run,
        "complete": report.complete,
        "counts": {
            str(kind): {
                "read": count.read,
                "new": count.new,
                "updated": count.updated,
                "unchanged": count.unchanged,
                "left_out": count.left_out,
            }
            for kind, count in report.counts.items()
        },
        "left_out": listed(report.left_out),
        "altered": listed(report.altered),
    }
