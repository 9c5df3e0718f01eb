"""The faults of release reports as they were."""

import asyncio
from typing import Any

import aiohttp
from starlette.responses import JSONResponse, Response

from tests.conformance.faulty.fault import fault
from tests.conformance.faulty.plain import EXPIRED, GOOD, Kept, No, PlainService

REPORTS = "reports"
LIFE = ("whole life",)


@fault(REPORTS, "state-in-plain-words", scenes=LIFE)
class SaysInitialized(PlainService):
    def show(self, task: Kept) -> dict[str, Any]:
        shown = super().show(task)
        return {**shown, "state": "initialized" if task.state == "pending" else task.state}


@fault(REPORTS, "progress-is-a-number", scenes=LIFE)
class ShowsNoProgress(PlainService):
    def show(self, task: Kept) -> dict[str, Any]:
        shown = super().show(task)
        del shown["progress"]
        return {**shown, "created_at": 1543622400.25}


@fault(REPORTS, "ids-named", scenes=LIFE)
class AnswersInitializeWithAStateOnly(PlainService):
    def answer(self, task: Kept, asked: dict[str, Any]) -> Response:
        return JSONResponse({"state": "pending"} if asked["action"] == "initialize" else self.show(task))


@fault(REPORTS, "failure-is-said", scenes=("read failure",), patience_s=0.3)
class NeverFails(PlainService):
    def end(self, task: Kept, before: str, after: str) -> None:
        if after != "failed":
            super().end(task, before, after)


@fault(REPORTS, "failure-is-not-staged", scenes=("read failure",))
class LeavesOutWhatItCannotRead(PlainService):
    async def fetch(self, web: aiohttp.ClientSession, url: str) -> None:
        async with web.get(url) as answer:
            await answer.read()


@fault(REPORTS, "answered-at-all", scenes=LIFE, answer_limit_s=2, patience_s=2)
class WorksInsideTheRequest(PlainService):
    async def start(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        task = await super().start(task, asked)
        await asyncio.wait(self.running)
        return task


@fault(REPORTS, "report-comes", scenes=(*LIFE, "reports lost"), retell_s=1)
class ReportsNothing(PlainService):
    async def report(self, task: Kept, state: str) -> None:
        return


@fault(REPORTS, "repeat-is-200", scenes=("repeat cancel",))
class RefusesASecondCancel(PlainService):
    async def cancel(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        task = self.known(task)
        if task.state == "canceled":
            raise No(400, "the task is canceled")
        return await super().cancel(task, asked)


@fault(REPORTS, "unknown-refused", "unknown-stays-unknown", scenes=("unknown task, start",))
class StartCreatesTheTask(PlainService):
    async def start(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        return await super().start(task or await self.initialize(None, asked), asked)


@fault(REPORTS, "repeat-changes-nothing", scenes=("repeat at running",))
class InitializesWhatIsRunning(PlainService):
    async def initialize(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        if task is not None and task.state == "running":
            task.state = "pending"
        return await super().initialize(task, asked)


@fault(REPORTS, "identity-expired", scenes=("identity",))
class TakesTokensThatHaveExpired(PlainService):
    wants_identity = True

    def is_good(self, token: str) -> bool:
        return token in {GOOD, EXPIRED}


@fault(REPORTS, "identity-forged", scenes=("identity",))
class DoesNotCheckSignatures(PlainService):
    wants_identity = True

    def is_good(self, token: str) -> bool:
        return token.split(".")[1:2] == GOOD.split(".")[1:2]
