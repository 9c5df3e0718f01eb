"""`lockstep doctor`: is everything as it must be, and if not, what is to be done?"""

from typing import Annotated

import typer

from lockstep.cli.endings import Refused
from lockstep.cli.options import example
from lockstep.cli.servers import Database, read

app = typer.Typer()


@app.command(
    "doctor",
    epilog=example("lockstep doctor", "lockstep doctor --coordinator http://127.0.0.1:5000"),
)
def run_doctor(
    *,
    database: Database = None,
    coordinators: Annotated[
        list[str] | None,
        typer.Option(
            "--coordinator",
            metavar="URL",
            help="A coordinator to look at as well, and at its clock; may be given several times.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Look whether everything holds that must hold: one line for each thing, and what to do where it does not.

    The database answers and has the schema of this version, the clocks agree, no release is stuck, announcements get
    through, the task services answer, and so do the queue, the issuer and the coordinators that are named, and no
    setting is misspelt. It changes nothing and may run while everything is at work. It ends with 1 when something does
    not hold.
    """
    import asyncio
    import os

    from lockstep.cli.tables import print_json, print_table
    from lockstep.coordinator.checkup import Finding, check_up

    settings = read(database_url=database)

    async def look() -> list[Finding]:
        return [
            finding async for finding in check_up(settings, [url.rstrip("/") for url in coordinators or ()], os.environ)
        ]

    findings = asyncio.run(look())
    wrong = sum(not finding.well for finding in findings)
    if as_json:
        checks = [{"name": each.name, "well": each.well, "says": each.says, "remedy": each.remedy} for each in findings]
        print_json({"well": not wrong, "checks": checks})
    else:
        print_table(
            ("WHAT", "HOLDS", "SEEN"),
            [(each.name, "yes" if each.well else "NO", f"{each.says} {each.remedy}".strip()) for each in findings],
        )
    if wrong:
        raise Refused(f"{wrong} of {len(findings)} things that must hold do not.")
