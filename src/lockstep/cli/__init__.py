"""The command `lockstep`: servers, the demo, and the client of the coordinator's API.

Commands only read their options and show what came of them. `client` speaks to the API, `watching` and `stream` follow
a release, `tables` and `display` show things, `hosting` runs servers. Modules that take a while to load (the web
framework, the HTTP client, the terminal library) are loaded by the command that needs them, so that help comes at once.
"""

import io
import os
import sys

from lockstep.cli.endings import Ending
from lockstep.cli.tables import clean


def main() -> None:
    """Run the command that was typed."""
    # httpx has a command line of its own that takes longer to load than the rest of it; None stands for "not there".
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="replace")
    try:
        from lockstep.cli.app import app
    except ModuleNotFoundError as error:
        sys.exit(f"The command needs more than the task kit ({error.name}): pip install 'lockstep[coordinator]'.")
    try:
        app()
    except Ending as ending:
        print(*map(clean, str(ending).splitlines()), sep="\n", file=sys.stderr)
        sys.exit(ending.code)
    except BrokenPipeError:
        # Whoever read the output has seen enough; what is left in the buffer must not complain at the exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
