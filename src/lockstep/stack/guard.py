"""Ends a group of processes when the one that started them is gone, however it ended.

The starter holds one end of a pipe, which the kernel closes with it even after SIGKILL; this small process waits at
the other end. It leads the process group that all the others are in, so that it needs no list of them. The processes
are asked to end, and after a while they are ended. Where the starter has already ended them, nobody is left to ask.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

PATIENCE_S: Final = 15.0
"""How long the processes may take to end in order: a worker gives its work back within six seconds."""

_PAUSE_S: Final = 0.05


def main() -> None:
    """Wait for the end of standard input, then end everybody else in this process group."""
    for wish in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(wish, signal.SIG_IGN)
    sys.stdin.buffer.read()
    group = os.getpgrp()
    os.killpg(group, signal.SIGCONT)
    os.killpg(group, signal.SIGTERM)
    until = time.monotonic() + PATIENCE_S
    while _others(group) and time.monotonic() < until:
        time.sleep(_PAUSE_S)
    os.killpg(group, signal.SIGKILL)


def _others(group: int) -> bool:
    """Tell whether anybody else is in the group."""
    try:
        numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    except OSError:
        return _others_by_ps(group)
    return any(_group_of(number) == group for number in numbers if number != os.getpid())


def _others_by_ps(group: int) -> bool:
    """Tell it where there is no `/proc`; the program that is asked is in the group too."""
    asked = subprocess.run(["ps", "-A", "-o", "pgid="], capture_output=True, text=True, check=False)  # noqa: S607
    return asked.stdout.split().count(str(group)) > len(("this process", "ps"))


def _group_of(number: int) -> int:
    try:
        return os.getpgid(number)
    except OSError:
        return -1


if __name__ == "__main__":
    main()
