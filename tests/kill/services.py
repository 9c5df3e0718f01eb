"""Task services of the field's manner on real sockets, which write down everything that they were told.

They refuse a repeated action with 400, as services in the field do, so that an action sent twice fails its release.
Work takes a moment; some of it is called back, the rest must be found by polling.
"""

import asyncio
import threading
from collections import defaultdict
from random import Random
from typing import Self

from aiohttp import ClientError, ClientSession, web

from tests.patience import PATIENCE_S

NEXT = {"initialize": (None, "pending"), "start": ("pending", "running"), "publish": ("staged", "publishing")}
DONE = {"running": "staged", "publishing": "published"}


class RecordingServices:
    """Some task services in a thread of their own; `log` holds, per task, the actions in the order they arrived."""

    def __init__(self, number: int, coordinator_url: str, seed: int = 0) -> None:
        self.log: dict[str, list[str]] = defaultdict(list)
        self.states: dict[str, str] = {}
        self.urls: list[str] = []
        self._number = number
        self._coordinator_url = coordinator_url
        self._random = Random(seed)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._work: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE_S), "the services did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)

    async def _serve(self) -> None:
        async with ClientSession() as self._session:
            runners = []
            for _ in range(self._number):
                app = web.Application()
                app.router.add_get("/status", self._status)
                app.router.add_post("/tasks", self._tasks)
                runner = web.AppRunner(app, access_log=None)
                await runner.setup()
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                self.urls.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
                runners.append(runner)
            self._ready.set()
            await self._stop.wait()
            for work in self._work:
                work.cancel()
            for runner in runners:
                await runner.cleanup()

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response({"name": "recording service", "version": "1"})

    async def _tasks(self, request: web.Request) -> web.Response:
        body = await request.json()
        task_id, action = body["task_id"], body["action"]
        self.log[task_id].append(action)
        state = self.states.get(task_id)
        if action == "get_status":
            return (
                web.json_response({"state": state}) if state else web.json_response({"message": "unknown"}, status=404)
            )
        if action == "cancel":
            self.states[task_id] = "canceled"
            return web.json_response({"state": "canceled"})
        wanted, becomes = NEXT[action]
        if state != wanted:
            return web.json_response({"message": f"{action} while {state}"}, status=400)
        self.states[task_id] = becomes
        await asyncio.sleep(self._random.uniform(0, 0.05))
        if becomes in DONE:
            work = asyncio.create_task(self._finish(task_id, DONE[becomes]))
            self._work.add(work)
            work.add_done_callback(self._work.discard)
        return web.json_response({"task_id": task_id, "state": becomes})

    async def _finish(self, task_id: str, state: str) -> None:
        await asyncio.sleep(self._random.uniform(0, 0.2))
        self.states[task_id] = state
        if self._random.random() < 0.5:
            return
        await self._report(task_id, state)

    async def _report(self, task_id: str, state: str) -> None:
        try:
            url = f"{self._coordinator_url}/tasks/{task_id}"
            async with self._session.patch(url, json={"state": state, "progress": 100}) as answer:
                await answer.read()
        except ClientError:
            return
