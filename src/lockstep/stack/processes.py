"""Processes that can be started, watched, stopped and started again: what the stack and its tests are made of.

A process has a folder, where its log lies, and a way to find out whether it answers. `launch` starts it, `start` waits
until it answers as well, and `stop` ends it in order or in whatever way it is told to: `SIGKILL` is what a lost machine
looks like, `SIGSTOP` (by `send`) one that hangs.

Processes that are given a `Guard` end with the process that started them, even when that one is killed.
"""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from socket import socket
from types import TracebackType
from typing import Any, Final, Self
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

PATIENCE_S: Final = 60.0
"""How long a process may take to start or stop before something is wrong with it."""

LOOPBACK: Final = "127.0.0.1"
NO_SETTINGS: Final[Mapping[str, str]] = {}

_FIRST_PORT: Final = 10_000
_LAST_PORT: Final = 32_000
_PAUSE_S: Final = 0.02
_LOOK_S: Final = 2.0
_OK: Final = 200
_DIRECT: Final = build_opener(ProxyHandler({}))


class DidNotStart(Exception):
    """A process does not answer; the text says what the end of its log says."""


class Guard:
    """The group of the processes of this one, which ends with this one; a context that is left after they were stopped.

    Attributes:
        group: the id of the process group.

    Args:
        holding: descriptors of files that stay open until the last process of the group has ended.
    """

    group: int

    def __init__(self, *holding: int) -> None:
        self._holding = holding

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lockstep.stack.guard"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            process_group=0,
            pass_fds=self._holding,
        )
        self.group = self._process.pid
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it was opened as a pipe
        self._process.stdin.close()
        self._process.wait()


class Process:
    """A server as a process that can be started again; a context that has it run.

    Args:
        name: what people call it.
        folder: where its log is written to, with whatever else is its own; it has to be there.
        port: the port of loopback to serve on; a free one unless given.
        guard: with whom it ends; None where the one who starts it always stops it.
    """

    in_order: signal.Signals = signal.SIGTERM
    """By which signal it ends in order."""

    def __init__(self, name: str, folder: Path, port: int | None = None, guard: Guard | None = None) -> None:
        self.name = name
        self.folder = folder
        self.port = port or free_ports(1)[0]
        self.guard = guard
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def log(self) -> Path:
        """The file with everything that it said."""
        return self.folder / "server.log"

    @property
    def ended(self) -> int | None:
        """The status that it ended with by itself; None while it runs, and where it was stopped or not started."""
        return None if self.process is None else self.process.poll()

    def launch(self) -> None:
        """Start it, and wait for nothing."""
        group: dict[str, Any] = {} if self.guard is None else {"process_group": self.guard.group}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, **group, **self._as()
            )

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            DidNotStart: it does not.
        """
        self.launch()
        wait_for([self])

    def send(self, how: signal.Signals) -> None:
        """Send it a signal."""
        if self.process is not None:
            self.process.send_signal(how)

    def stop(self, how: signal.Signals | None = None, patience_s: float = PATIENCE_S) -> None:
        """Stop it and wait until it has ended: in order unless told how, and by SIGKILL when that takes too long."""
        if self.process is None:
            return
        self.process.send_signal(how or self.in_order)
        self._end(patience_s)

    def _end(self, patience_s: float) -> None:
        if self.process is not None:
            try:
                self.process.wait(max(patience_s, 0))
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def answers(self) -> bool:
        """Tell whether it answers."""
        raise NotImplementedError

    def end_of_log(self) -> str:
        """Return the last that it said."""
        with suppress(OSError):
            lines = self.log.read_text(errors="replace").splitlines()
            return " ".join(lines[-3:]) or "it said nothing"
        return "it has no log"

    def _command(self) -> Sequence[str]:
        raise NotImplementedError

    def _as(self) -> dict[str, Any]:
        """Return further arguments for starting it, such as its user."""
        return {}


class Lockstep(Process):
    """A server of ours, started as `lockstep …`.

    Args:
        name: what people call it; its log is `NAME.log`, with dashes for spaces.
        arguments: what follows `lockstep`; `{port}` stands for the port.
        folder: where it runs, so that no `.env` of somewhere else is read; it has to be there.
        port: the port of loopback to serve on; a free one unless given.
        settings: environment variables beside those of this process; `{port}` stands for the port here too.
        asked: the path that answers 200 when it is ready.
        guard: with whom it ends.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        folder: Path,
        *,
        port: int | None = None,
        settings: Mapping[str, str] = NO_SETTINGS,
        asked: str = "/status",
        guard: Guard | None = None,
    ) -> None:
        super().__init__(name, folder, port, guard)
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.settings = settings
        self._arguments = arguments
        self._asked = asked

    @property
    def log(self) -> Path:
        """The file with everything that it said."""
        return self.folder / f"{self.name.replace(' ', '-')}.log"

    def answers(self) -> bool:
        """Tell whether it says that it is ready."""
        try:
            with _DIRECT.open(f"{self.url}{self._asked}", timeout=_LOOK_S) as answer:
                return bool(answer.status == _OK)
        except (URLError, OSError, ValueError):
            return False

    def _command(self) -> Sequence[str]:
        return [sys.executable, "-m", "lockstep", *(part.format(port=self.port) for part in self._arguments)]

    def _as(self) -> dict[str, Any]:
        ours = {name: value.format(port=self.port) for name, value in self.settings.items()}
        return {"cwd": self.folder, "env": {**os.environ, **ours}}


def wait_for(processes: Iterable[Process], patience_s: float = PATIENCE_S) -> None:
    """Wait until all processes answer.

    Raises:
        DidNotStart: one has ended, or does not answer in time.
    """
    until = time.monotonic() + patience_s
    for process in processes:
        while not is_ready(process, until):
            time.sleep(_PAUSE_S)


def is_ready(process: Process, until: float) -> bool:
    """Tell whether a process answers, until a time of the monotonic clock.

    Raises:
        DidNotStart: it has ended, or does not answer and the time has come.
    """
    if process.answers():
        return True
    if process.ended is not None or time.monotonic() > until:
        raise DidNotStart(f"{process.name[:1].upper()}{process.name[1:]} did not start: {process.end_of_log()}")
    return False


def stop_all(processes: Iterable[Process], patience_s: float = PATIENCE_S) -> None:
    """Stop some processes at the same time, in order, and wait until all have ended; by SIGKILL those that linger."""
    running = [process for process in processes if process.process is not None]
    for process in running:
        process.send(process.in_order)
    until = time.monotonic() + patience_s
    for process in running:
        process._end(until - time.monotonic())  # noqa: SLF001 - of this module


def free_ports(number: int) -> list[int]:
    """Return so many ports of loopback that nobody has just now, and that no system gives to outgoing connections."""
    with ExitStack() as stack:
        found: list[int] = []
        while len(found) < number:
            probe = stack.enter_context(closing(socket()))
            port = secrets.randbelow(_LAST_PORT - _FIRST_PORT) + _FIRST_PORT
            with suppress(OSError):
                probe.bind((LOOPBACK, port))
                found.append(port)
        return found
