"""What tests of the command share: a coordinator that runs here, and `lockstep` as a real process.

The process has its output in a pipe or at a terminal. The task service waits to be let go, so that a release stands
still where a test looks at it.
"""

import asyncio
import codecs
import fcntl
import json
import os
import pty
import struct
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lockstep.cli.client import Api
from lockstep.cli.display import NoDisplay
from lockstep.cli.options import Until
from lockstep.cli.watching import watch
from lockstep.coordinator.bootstrap import running
from lockstep.coordinator.settings import read_settings
from lockstep.dataservice.sample import make_app as make_data_service
from lockstep.taskkit import MemoryStore, Task, TaskService
from tests.conftest import Serve
from tests.patience import PATIENCE_S

_Decoder = codecs.getincrementaldecoder("utf-8")
NOBODYS_CONFIG = "/nonexistent"
STUDY, OTHER_STUDY = "SD_BHJXBDQK", "SD_8Y99QZJJ"


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[list[str]]:
        return [line.split("\t") for line in self.out.splitlines()]


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without anybody's profiles and tokens, and with some variables."""
    return {**os.environ, "XDG_CONFIG_HOME": NOBODYS_CONFIG, **variables}


class Running:
    """`lockstep` as a process whose output is read as it comes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.out = ""
        self.err = ""
        self._changed = asyncio.Event()
        self._readers = [
            asyncio.create_task(self._read(stream, name))
            for stream, name in ((process.stdout, "out"), (process.stderr, "err"))
        ]

    async def _read(self, stream: asyncio.StreamReader | None, name: str) -> None:
        assert stream is not None
        decoder = _Decoder()
        while piece := await stream.read(65_536):
            setattr(self, name, getattr(self, name) + decoder.decode(piece))
            self._changed.set()
        self._changed.set()

    async def says(self, text: str) -> None:
        """Wait until a text has been printed."""
        async with asyncio.timeout(PATIENCE_S):
            while text not in self.out + self.err:
                assert not all(reader.done() for reader in self._readers), f"it ended, and said: {self.out}{self.err}"
                self._changed.clear()
                await self._changed.wait()

    async def ended(self) -> Ended:
        async with asyncio.timeout(PATIENCE_S):
            code = await self.process.wait()
            await asyncio.gather(*self._readers)
        return Ended(code, self.out, self.err)


@asynccontextmanager
async def started(*arguments: str, folder: Path | str | None = None, **variables: str) -> AsyncIterator[Running]:
    """`lockstep` with arguments, killed at the end if it has not ended by itself."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "lockstep",
        *arguments,
        cwd=folder,
        env=environment(**variables),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Running(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def lockstep(*arguments: str, folder: Path | str | None = None, **variables: str) -> Ended:
    async with started(*arguments, folder=folder, **variables) as running_command:
        return await running_command.ended()


class AtTerminal:
    """`lockstep` at a terminal of 100 columns, which is read as it comes and can be typed at."""

    def __init__(self, process: asyncio.subprocess.Process, terminal: int) -> None:
        self.process = process
        self.out = ""
        self._terminal = terminal
        self._decoder = _Decoder()
        self._changed, self._over = asyncio.Event(), asyncio.Event()
        asyncio.get_running_loop().add_reader(terminal, self._read)

    def _read(self) -> None:
        try:
            piece = os.read(self._terminal, 65_536)
        except OSError:
            piece = b""
        if not piece:
            asyncio.get_running_loop().remove_reader(self._terminal)
            self._over.set()
        self.out += self._decoder.decode(piece)
        self._changed.set()

    async def says(self, text: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while text not in self.out:
                self._changed.clear()
                await self._changed.wait()

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    async def ended(self) -> int:
        """Wait until it has ended and all that it said is read."""
        async with asyncio.timeout(PATIENCE_S):
            code = await self.process.wait()
            await self._over.wait()
        return code


@asynccontextmanager
async def at_terminal(*arguments: str, folder: Path | str | None = None, **variables: str) -> AsyncIterator[AtTerminal]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "lockstep",
        *arguments,
        cwd=folder,
        env=environment(TERM="xterm-256color", **variables),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield AtTerminal(process, ours)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)


class Held:
    """A task service whose staging waits to be let go, and may be told to fail."""

    def __init__(self) -> None:
        self.service = TaskService("held service", store=MemoryStore(), coordinator_url="")
        self.let_go = asyncio.Event()
        self.problem = ""
        self._loop = asyncio.get_running_loop()
        self.service.stage(self._stage)

    async def _stage(self, task: Task) -> None:
        task.progress(1, of=4)
        gone = asyncio.run_coroutine_threadsafe(self.let_go.wait(), self._loop)
        await asyncio.wrap_future(gone)
        if self.problem:
            raise RuntimeError(self.problem)


@dataclass
class Stage:
    """A coordinator with a data service and one task service, which is not registered yet."""

    url: str
    held: Held
    held_url: str

    async def run(self, *arguments: str) -> Ended:
        return await lockstep(*arguments, LOCKSTEP_SERVER=self.url)

    async def json(self, *arguments: str) -> Any:
        """Run a command with `--json` and return its document; it must end well."""
        ended = await self.run(*arguments, "--json")
        assert (ended.code, ended.err) == (0, ""), ended
        return ended.document

    async def ready(self) -> None:
        """Register the service and sync the studies."""
        async with Api(self.url) as api:
            await api.post("task-services", {"name": self.held.service.name, "url": self.held_url})
            await api.post("studies/sync", mark="new")

    async def released(self) -> str:
        """Start a release and return its id."""
        await self.ready()
        async with Api(self.url) as api:
            return str((await api.post("releases", {"name": "Held release", "studies": [STUDY]}))["kf_id"])

    async def staged(self) -> str:
        """Have a release staged, and return its id."""
        self.held.let_go.set()
        release_id = await self.released()
        async with Api(self.url) as api:
            await watch(api, release_id, Until.STAGED, NoDisplay(), timeout_s=PATIENCE_S)
        return release_id

    async def state(self, release_id: str) -> str:
        async with Api(self.url) as api:
            return str((await api.get(f"releases/{release_id}"))["state"])


@asynccontextmanager
async def coordinator(folder: Path, dataservice_url: str = "", port: int = 0) -> AsyncIterator[str]:
    """A coordinator that runs in this process and polls often."""
    settings = read_settings(
        _env_file=None,
        host="127.0.0.1",
        port=port,
        database_url=f"sqlite:///{folder / 'lockstep.db'}",
        dataservice_url=dataservice_url,
        poll_interval=0.05,
        retry_pause=0.05,
    )
    async with running(settings) as found:
        yield found.url


@asynccontextmanager
async def stage(folder: Path, serve: Serve) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        data_url = await stack.enter_async_context(serve(make_data_service()))
        held = Held()
        held_url = await stack.enter_async_context(serve(held.service))
        url = await stack.enter_async_context(coordinator(folder, data_url))
        yield Stage(url, held, held_url)
