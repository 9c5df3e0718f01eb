"""Task services of the field's manner, which write down whom they heard what from, and when."""

import asyncio
import time
from random import Random
from typing import Any, NamedTuple

from aiohttp import ClientError, web

from tests.kill.services import NEXT, RecordingServices

LONGEST_WORD_S = 0.15
"""How long an action may take before it takes effect, and again before it is answered: both can be interrupted."""


class Heard(NamedTuple):
    """One request: when it came (monotonic seconds), about what, under which epoch, and what it was answered."""

    at: float
    release_id: str
    task_id: str
    action: str
    epoch: int | None


class TaskServices(RecordingServices):
    """Recording services that report to any of several coordinators, and again when they are answered badly."""

    def __init__(self, number: int, coordinator_urls: list[str], seed: int = 0) -> None:
        super().__init__(number, coordinator_urls[0], seed)
        self.heard: list[Heard] = []
        self.looked_at: list[tuple[float, int]] = []
        self.callbacks: list[tuple[str, str]] = []
        self.refusals: list[tuple[str, str, str]] = []
        self._coordinator_urls = coordinator_urls
        self._chance = Random(seed)

    def refused_repeats(self, release: str) -> list[tuple[str, str, str]]:
        """Return the actions of a release that were refused since they had been taken before."""
        return [refusal for refusal in self.refusals if refusal[0] == release]

    async def _status(self, request: web.Request) -> web.Response:
        self.looked_at.append((time.monotonic(), request.url.port or 0))
        return await super()._status(request)

    async def _tasks(self, request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        action = body["action"]
        self.heard.append(Heard(time.monotonic(), body["release_id"], body["task_id"], action, body.get("epoch")))
        if action in NEXT:
            await asyncio.sleep(self._chance.uniform(0, LONGEST_WORD_S))
        answer = await super()._tasks(request)
        if action in NEXT:
            await asyncio.sleep(self._chance.uniform(0, LONGEST_WORD_S))
        if answer.status == 400:
            self.refusals.append((body["release_id"], body["task_id"], action))
        return answer

    async def _report(self, task_id: str, state: str) -> None:
        """Report to one coordinator, and to the next one while there is no answer."""
        start = self._chance.randrange(len(self._coordinator_urls))
        for attempt in range(3):
            url = self._coordinator_urls[(start + attempt) % len(self._coordinator_urls)]
            try:
                async with self._session.patch(
                    f"{url}/tasks/{task_id}", json={"state": state, "progress": 100}
                ) as answer:
                    text = await answer.text()
                    self.callbacks.append((task_id, f"{answer.status}{text if answer.status >= 500 else ''}"))
                    if answer.status < 500:
                        return
            except ClientError:
                continue
