"""The faults of the snapshot task as it was."""

import asyncio
from typing import Any

import aiohttp
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.conformance.faulty.fault import fault
from tests.conformance.faulty.plain import Kept, No, PlainService

SNAPSHOT = "snapshot"
LIFE = ("whole life",)


@fault(SNAPSHOT, "status-name-on-top", scenes=LIFE)
class NestsItsStatus(PlainService):
    async def who(self, _request: Request) -> Response:
        return JSONResponse({"message": {"name": "snapshot task", "version": "1.2.0"}})


@fault(SNAPSHOT, "progress-is-a-number", scenes=LIFE)
class HasNullForProgress(PlainService):
    def show(self, task: Kept) -> dict[str, Any]:
        return {**super().show(task), "progress": None}


@fault(SNAPSHOT, "state-in-plain-words", scenes=("cancel at pending", "cancel at staged"))
class SaysCancelled(PlainService):
    def answer(self, task: Kept, asked: dict[str, Any]) -> Response:
        word = {"cancel": "cancelling"}.get(asked["action"], "cancelled")
        return JSONResponse({**self.show(task), **({"state": word} if task.state == "canceled" else {})})


@fault(SNAPSHOT, "unknown-is-404", scenes=tuple(f"unknown task, {name}" for name in ("start", "get_status", "cancel")))
class AnswersUnknownTasksWith400(PlainService):
    def known(self, task: Kept | None) -> Kept:
        if task is None:
            raise No(400, "task not found. Initialize it")
        return task


@fault(SNAPSHOT, "repeat-is-200", scenes=("repeat at pending",))
class RefusesASecondInitialize(PlainService):
    async def initialize(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        if task is not None:
            raise No(400, "the task is initialized already")
        return await super().initialize(task, asked)


@fault(SNAPSHOT, "at-once-is-once", scenes=("all at once",), patience_s=2)
class StartsAsOftenAsItIsAsked(PlainService):
    async def start(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        task = self.known(task)
        task.state = "pending"
        return await super().start(task, asked)


@fault(SNAPSHOT, "staging-ends", scenes=LIFE, patience_s=0.3)
class HangsWithNothingToDo(PlainService):
    def end(self, task: Kept, before: str, after: str) -> None:
        if after != "staged":
            super().end(task, before, after)


@fault(SNAPSHOT, "canceled-stays", "report-is-true", scenes=("cancel at running",), settle_s=2)
class CanceledWorkEndsInFailed(PlainService):
    async def fetch(self, web: aiohttp.ClientSession, url: str) -> None:
        await super().fetch(web, url)
        raise RuntimeError("the task was canceled under my hands")

    def end(self, task: Kept, before: str, after: str) -> None:
        super().end(task, task.state, after)

    async def report(self, task: Kept, state: str) -> None:
        await super().report(task, "staged")


@fault(SNAPSHOT, "state-told-again", scenes=("reports answered 503",), retell_s=2)
class DoesNotLookAtTheAnswerToAReport(PlainService):
    async def report(self, task: Kept, state: str) -> None:
        await self.patch(task, {"state": state, "progress": 100})


@fault(SNAPSHOT, "restart-forgets-nothing", scenes=("restart",))
class LosesItsCacheOnRestart(PlainService):
    def remember(self) -> None:
        self.tasks = {name: task for name, task in self.tasks.items() if task.state == "published"}


@fault(SNAPSHOT, "tasks-apart", "ids-not-mixed-up", scenes=("two at once",), patience_s=2)
class SharesOneObjectBetweenTasks(PlainService):
    async def initialize(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        task = await super().initialize(task, asked)
        self.tasks = dict.fromkeys(self.tasks, task)
        return task

    def admit(self, task: Kept, asked: dict[str, Any]) -> None:
        """Anybody may come in."""


@fault(SNAPSHOT, "pages-keep-filters", scenes=("pages",))
class SharesOptionsBetweenStudies(PlainService):
    async def stage(self, task: Kept) -> None:
        options = {"visible": "true", "limit": "100"}
        async with aiohttp.ClientSession(self.coordinator_url) as web:

            async def read(study: str) -> None:
                options["study_id"] = study
                async with web.get("/participants", params=options) as page:
                    more = (await page.json())["_links"].get("next")
                if more:
                    async with web.get("/participants", params={**options, "after": "1522540800.0"}) as page:
                        await page.read()

            await asyncio.gather(*(read(url.rsplit("/", 1)[1]) for url in task.urls))
