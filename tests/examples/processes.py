"""What tests of the examples share: an example in a process of its own, checked as `lockstep check` does."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

from lockstep.taskkit.conformance import Options, Report, check
from tests.conformance.test_faults import free_port
from tests.coordination import until

EXAMPLES = Path(__file__).parents[2] / "examples"


class Example:
    """A task service that a command runs, killed and started anew when it is restarted.

    `command` is given the port to listen on, and what it starts has the `variables` in its environment.
    """

    def __init__(self, command: Callable[[int], list[str]], said: Path, **variables: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._command, self._said = command(port), said
        self._environment = {**os.environ, "PORT": str(port), **variables}
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        with self._said.open("ab") as said:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
                self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
        async with aiohttp.ClientSession() as web:

            async def answers() -> bool:
                try:
                    async with web.get(f"{self.url}/status") as answer:
                        return answer.status == 200
                except aiohttp.ClientError:
                    return False

            await until(answers)

    async def kill(self) -> None:
        """End the process as a power cut would."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(self._process.wait)

    async def restart(self) -> None:
        await self.kill()
        await self.start()

    def checked(self, port: int = 0, *, restarts: bool = True, **options: Any) -> Report:
        """Run it, and check it from a coordinator that is played at `port`."""
        restart = self.restart if restarts else None

        async def scene() -> Report:
            await self.start()
            try:
                return await check(self.url, Options(port=port, restart=restart, at_once_s=3, **options))
            finally:
                await self.kill()

        return asyncio.run(scene())


def found(report: Report) -> tuple[int, dict[str, Any]]:
    """Return the level that was reached, and what was found."""
    return report.level, {name: report.tallies[name].findings for name in report.failed()}
