"""What the tests of the kit share: somebody who talks to a task service as a coordinator does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.patience import until

TASK, RELEASE = "TA_00000001", "RE_00000001"


class Conversation:
    """Asks a service for actions on tasks; an answer is the HTTP status and the body."""

    def __init__(self, web: aiohttp.ClientSession, url: str) -> None:
        self.web = web
        self.url = url

    async def ask(
        self, action: str, task: str = TASK, release: str = RELEASE, **fields: Any
    ) -> tuple[int, dict[str, Any]]:
        body = {"action": action, "task_id": task, "release_id": release, **fields}
        async with self.web.post(f"{self.url}/tasks", json=body) as answer:
            return answer.status, await answer.json()

    async def until(self, state: str, task: str = TASK) -> dict[str, Any]:
        """Wait until a task is in a state, and return the last answer."""

        async def there() -> dict[str, Any] | None:
            _, body = await self.ask("get_status", task)
            return body if body.get("state") == state else None

        found: dict[str, Any] = await until(there)
        return found

    async def bring(self, task: str, *, to: str, **fields: Any) -> None:
        """Bring a task to a state by the actions that lead there."""
        await self.ask("initialize", task, **fields)
        if to == "pending":
            return
        await self.ask("start", task)
        if to in {"publishing", "published"}:
            await self.until("staged", task)
            await self.ask("publish", task)
        elif to == "canceled":
            await self.ask("cancel", task)
        await self.until(to, task)


@asynccontextmanager
async def conversation(url: str) -> AsyncIterator[Conversation]:
    async with aiohttp.ClientSession() as web:
        yield Conversation(web, url)
