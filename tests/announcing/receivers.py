"""Receivers of webhooks as real servers: they remember what came, and answer as a test tells them."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Answer = int | dict[str, Any] | None
"""A status, the arguments of an answer, or None for no answer at all."""


@dataclass
class Letter:
    """One request that came."""

    headers: dict[str, str]
    body: str

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def message(self) -> str:
        return str(json.loads(self.body)["data"]["message"])

    def verified(self, secret: str) -> Any:
        """Return what it says, checked as a receiver checks it."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass
class Receiving:
    """A receiver; `answer` says what it answers to a letter."""

    answer: Callable[[Letter], Answer] = lambda _: 204
    letters: list[Letter] = field(default_factory=list)
    hanging: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{rest:path}", self._receive, methods=["GET", "POST"])])

    @property
    def messages(self) -> list[str]:
        return [letter.message for letter in self.letters]

    async def _receive(self, request: Request) -> Response:
        letter = Letter(dict(request.headers), (await request.body()).decode())
        self.letters.append(letter)
        answer = self.answer(letter)
        if answer is None:
            await self.hanging.wait()
        return Response(**answer) if isinstance(answer, dict) else Response(status_code=answer or 204)
