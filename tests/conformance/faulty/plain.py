"""A task service without a fault, written by hand and without the kit: what the faulty ones are made from.

Every step is a method of its own, so that a fault is one step done wrong. What `tasks` holds is on the disk, so to
speak; `restart` throws everything else away.
"""

import asyncio
import json
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import aiohttp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

GOOD, EXPIRED = "aGVhZA.Y2xhaW1z.c2lnbmVk", "aGVhZA.b2xk.c2lnbmVk"
TRIES, PAUSE_S = 40, 0.05
OVER = {"canceled", "failed"}


class No(Exception):
    """The service says no."""

    def __init__(self, status: int, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.status, self.fields = status, {"message": message, **fields}


@dataclass
class Kept:
    task_id: str
    release_id: str
    urls: list[str]
    state: str = "pending"
    progress: int = 0
    epoch: int | None = None


class PlainService:
    """The service; `app` is what a server serves."""

    wants_identity = False

    def __init__(self, coordinator_url: str) -> None:
        self.coordinator_url = coordinator_url
        self.tasks: dict[str, Kept] = {}
        self.running: set[asyncio.Task[None]] = set()
        self.app = Starlette(
            routes=[Route("/status", self.who), Route("/tasks", self.post, methods=["POST"])],
        )

    async def who(self, _request: Request) -> Response:
        return JSONResponse({"name": "plain service", "version": "1.0.0"})

    async def post(self, request: Request) -> Response:
        try:
            self.check_identity(request)
            asked = self.read(await request.body())
            task = self.find(asked)
            if task is not None:
                self.admit(task, asked)
            task = await self.act(task, asked)
            return self.answer(task, asked)
        except No as no:
            return self.refuse(no)

    def check_identity(self, request: Request) -> None:
        if self.wants_identity and not self.is_good(request.headers.get("Authorization", "").removeprefix("Bearer ")):
            raise No(401, "who are you?")

    def is_good(self, token: str) -> bool:
        return token == GOOD

    def read(self, body: bytes) -> dict[str, Any]:
        """Return what is asked; refuse what is no request."""
        try:
            asked = json.loads(body)
        except (ValueError, RecursionError):
            raise No(400, "the body is no JSON") from None
        if not isinstance(asked, dict):
            raise No(400, "the body is no object")
        asked = {"studies": [], "urls": [], "epoch": None, **asked}
        texts = (asked.get("action"), asked.get("task_id", asked.get("kf_id")), asked.get("release_id"))
        if not all(isinstance(text, str) and 0 < len(text) < 100 and text.isascii() for text in texts):
            raise No(400, "action, task_id and release_id must be texts")
        if asked["action"] not in {"initialize", "start", "publish", "cancel", "get_status"}:
            raise No(400, "there is no such action")
        for name in ("studies", "urls"):
            if not isinstance(asked[name], list) or not all(isinstance(text, str) for text in asked[name]):
                raise No(400, f"{name} must be a list of texts")
        if any("/" in text for text in (asked["task_id"], *asked["studies"])) or len(body) > 1_000_000:
            raise No(400, "an id is no path, and a request is short")
        self.read_epoch(asked["epoch"])
        return asked

    def read_epoch(self, epoch: Any) -> None:
        if epoch is not None and (type(epoch) is not int or epoch < 0):
            raise No(400, "epoch must be a whole number")

    def find(self, asked: dict[str, Any]) -> Kept | None:
        return self.tasks.get(asked["task_id"])

    def admit(self, task: Kept, asked: dict[str, Any]) -> None:
        """Keep strangers and stale callers out."""
        if task.release_id != asked["release_id"]:
            raise No(400, "the task is of another release")
        epoch = asked["epoch"]
        if epoch is not None:
            if task.epoch is not None and epoch < task.epoch:
                raise No(409, "you have been replaced", epoch=task.epoch)
            task.epoch = epoch

    async def act(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        done: Kept = await getattr(self, asked["action"])(task, asked)
        return done

    def known(self, task: Kept | None) -> Kept:
        if task is None:
            raise No(404, "there is no such task")
        return task

    def not_over(self, task: Kept) -> None:
        if task.state in OVER:
            raise No(400, f"the task is {task.state}")

    async def initialize(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        if task is None:
            task = Kept(asked["task_id"], asked["release_id"], asked["urls"], epoch=asked["epoch"])
            self.tasks[task.task_id] = task
        self.not_over(task)
        return task

    async def start(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        task = self.known(task)
        self.not_over(task)
        if task.state == "pending":
            task.state, task.urls = "running", asked["urls"]
            self.begin(task)
        return task

    async def publish(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        task = self.known(task)
        if task.state in {"pending", "running", *OVER}:
            raise No(400, f"the task is {task.state}")
        if task.state == "staged":
            task.state, task.progress = "publishing", 0
            self.begin(task)
        return task

    async def cancel(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        task = self.known(task)
        if task.state not in {"published", "failed"}:
            task.state = "canceled"
        return task

    async def get_status(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        return self.known(task)

    def show(self, task: Kept) -> dict[str, Any]:
        epoch = {} if task.epoch is None else {"epoch": task.epoch}
        ids = {"task_id": task.task_id, "release_id": task.release_id}
        return {**ids, "state": task.state, "progress": task.progress, **epoch}

    def answer(self, task: Kept, asked: dict[str, Any]) -> Response:
        return JSONResponse(self.show(task))

    def refuse(self, no: No) -> Response:
        return JSONResponse(no.fields, no.status)

    def begin(self, task: Kept) -> None:
        self.run(self.work(task))

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        running = asyncio.create_task(work)
        self.running.add(running)
        running.add_done_callback(self.running.discard)

    async def work(self, task: Kept) -> None:
        before, after, function = {
            "running": ("running", "staged", self.stage),
            "publishing": ("publishing", "published", self.make_public),
        }[task.state]
        try:
            await function(task)
        except Exception:
            self.end(task, before, "failed")
        else:
            self.end(task, before, after)

    def end(self, task: Kept, before: str, after: str) -> None:
        """Let a work's end count if the task is still where the work began."""
        if task.state == before:
            task.state = after
            task.progress = 100 if after != "failed" else task.progress
            self.run(self.report(task, after))

    async def stage(self, task: Kept) -> None:
        async with aiohttp.ClientSession() as web:
            for done, url in enumerate(task.urls, start=1):
                await self.fetch(web, url)
                task.progress = 100 * done // (len(task.urls) + 1)

    async def fetch(self, web: aiohttp.ClientSession, url: str) -> None:
        async with web.get(url) as answer:
            answer.raise_for_status()
            await answer.read()

    async def make_public(self, task: Kept) -> None:
        await asyncio.sleep(0)

    async def report(self, task: Kept, state: str) -> None:
        for _ in range(TRIES):
            status = await self.patch(task, {"state": state, "progress": task.progress})
            if status is not None and status < 500:
                return
            await asyncio.sleep(PAUSE_S)

    async def patch(self, task: Kept, body: dict[str, Any]) -> int | None:
        headers = {"Authorization": f"Bearer {GOOD}"} if self.wants_identity else {}
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as web,
                web.patch(f"{self.coordinator_url}/tasks/{task.task_id}", json=body, headers=headers) as answer,
            ):
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def restart(self) -> None:
        """Lose everything but the tasks, and take up what was left."""
        for running in list(self.running):
            running.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        self.remember()
        self.take_up()

    def remember(self) -> None:
        """Read the tasks from the disk."""

    def take_up(self) -> None:
        for task in self.tasks.values():
            if task.state in {"running", "publishing"}:
                self.begin(task)
