"""Faults that anybody makes who writes a task service for the first time, or the second."""

import asyncio
import time
from typing import Any

import aiohttp
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tests.conformance.faulty.fault import fault
from tests.conformance.faulty.plain import Kept, No, PlainService

ANY = "any"
LIFE = ("whole life",)


@fault(ANY, "status-answers", scenes=LIFE)
class DoesNotSayWhoItIs(PlainService):
    async def who(self, _request: Request) -> Response:
        return JSONResponse({"ok": True})


@fault(ANY, "action-accepted", scenes=LIFE)
class RefusesToInitialize(PlainService):
    async def initialize(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        raise No(400, "not today")


@fault(ANY, "answer-is-an-object", "status-is-true", scenes=LIFE, patience_s=0.2)
class AnswersInWords(PlainService):
    def answer(self, task: Kept, asked: dict[str, Any]) -> Response:
        return PlainTextResponse("OK")


@fault(ANY, "status-is-true", scenes=LIFE, patience_s=0.2)
class AlwaysSaysRunning(PlainService):
    def answer(self, task: Kept, asked: dict[str, Any]) -> Response:
        told = {"state": "running"} if asked["action"] == "get_status" else {}
        return JSONResponse({**self.show(task), **told})


@fault(ANY, "action-accepted", "state-is-a-word", scenes=LIFE)
class HasAWordOfItsOwn(PlainService):
    def show(self, task: Kept) -> dict[str, Any]:
        return {**super().show(task), "state": "in progress" if task.state == "running" else task.state}


@fault(ANY, "state-is-a-word", scenes=(*LIFE, "two at once", "lost answers", "restart"))
class SaysDone(PlainService):
    def show(self, task: Kept) -> dict[str, Any]:
        return {**super().show(task), "state": "done" if task.state == "staged" else task.state}


@fault(ANY, "action-accepted", scenes=(*LIFE, "all at once", "lost answers"))
class AnswersCreated(PlainService):
    def answer(self, task: Kept, asked: dict[str, Any]) -> Response:
        return JSONResponse(self.show(task), 201)


@fault(ANY, "unknown-refused", "unknown-stays-unknown", scenes=("unknown task, get_status", "bad bodies"))
class MakesATaskOfAQuestion(PlainService):
    async def get_status(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        return task or await self.initialize(None, asked)


@fault(ANY, "progress-rises", scenes=LIFE)
class GoesBackInProgress(PlainService):
    calls = 0

    def show(self, task: Kept) -> dict[str, Any]:
        self.calls += 1
        return {**super().show(task), **({"progress": 90 - self.calls} if task.state == "running" else {})}


@fault(ANY, "status-at-once", scenes=LIFE, at_once_s=2)
class BlocksWhileItWorks(PlainService):
    late = 2

    async def get_status(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        if task is not None and task.state == "running" and self.late:
            self.late -= 1
            time.sleep(2.1)  # noqa: ASYNC251 - that is the fault
        return self.known(task)


@fault(ANY, "action-at-once", scenes=LIFE, at_once_s=2)
class ThinksBeforeItStarts(PlainService):
    async def start(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        await asyncio.sleep(2.1)
        return await super().start(task, asked)


@fault(ANY, "no-server-error", scenes=("bad bodies",))
class BreaksOnABadBody(PlainService):
    def refuse(self, no: No) -> Response:
        return JSONResponse(no.fields, 500 if no.status == 400 else no.status)


@fault(ANY, "publishing-ends", scenes=LIFE, patience_s=2)
class NeverEndsPublishing(PlainService):
    async def make_public(self, task: Kept) -> None:
        await asyncio.Event().wait()


@fault(ANY, "cancel-answered", "no-server-error", "cancel-cancels", scenes=("cancel at pending",), patience_s=0.2)
class CannotCancel(PlainService):
    async def cancel(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        raise No(500, "NotImplementedError")


@fault(ANY, "cancel-cancels", scenes=("cancel at staged", "two at once", "restart"), patience_s=2)
class IgnoresCancel(PlainService):
    async def cancel(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        return self.known(task)


@fault(ANY, "canceled-stays", "report-is-true", scenes=("cancel at running",), settle_s=2)
class StagesWhatIsCanceled(PlainService):
    def end(self, task: Kept, before: str, after: str) -> None:
        super().end(task, task.state, after)

    async def report(self, task: Kept, state: str) -> None:
        await super().report(task, "published")


@fault(ANY, "bad-body-refused", "bad-value-refused", scenes=("bad bodies",))
class MakesTheBestOfABadBody(PlainService):
    def read(self, body: bytes) -> dict[str, Any]:
        try:
            return super().read(body)
        except No:
            return {"action": "initialize", "task_id": "TA", "release_id": "RE", "urls": [], "epoch": None}


@fault(ANY, "bad-value-refused", scenes=("bad bodies",))
class TakesNumbersForIds(PlainService):
    def read(self, body: bytes) -> dict[str, Any]:
        return super().read(body.replace(b'"task_id": 7', b'"task_id": "7"'))


@fault(ANY, "bad-body-is-400", scenes=("bad bodies",))
class RefusesWithAStatusOfItsOwn(PlainService):
    def refuse(self, no: No) -> Response:
        return JSONResponse(no.fields, 422 if no.status == 400 else no.status)


@fault(ANY, "bad-body-does-nothing", scenes=("bad bodies",))
class StoresBeforeItChecks(PlainService):
    def read(self, body: bytes) -> dict[str, Any]:
        try:
            return super().read(body)
        except No:
            parts = body.decode("utf-8", "replace").split('"')
            if "task_id" in parts and "release_id" in parts:
                names = [parts[parts.index(name) + 2] for name in ("task_id", "release_id")]
                self.tasks[names[0]] = Kept(names[0], names[1], [])
            raise


@fault(ANY, "task-has-one-release", scenes=("other release",))
class DoesNotLookAtTheRelease(PlainService):
    def admit(self, task: Kept, asked: dict[str, Any]) -> None:
        super().admit(task, {**asked, "release_id": task.release_id})


@fault(ANY, "report-is-well-formed", scenes=LIFE)
class ReportsInItsOwnWords(PlainService):
    async def patch(self, task: Kept, body: dict[str, Any]) -> int | None:
        return await super().patch(task, {"status": "done"})


@fault(ANY, "report-is-true", scenes=LIFE)
class ReportsTheEndTooEarly(PlainService):
    async def stage(self, task: Kept) -> None:
        await super().stage(task)
        await self.patch(task, {"state": "failed"})


@fault(ANY, "repeat-works-once", scenes=("repeat at running",))
class WorksTwiceWhenAskedTwice(PlainService):
    async def start(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        if task is not None and task.state == "running":
            self.begin(task)
        return await super().start(task, asked)


@fault(ANY, "at-once-is-once", scenes=("all at once",))
class LooksFirstAndChangesLater(PlainService):
    async def start(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        task = self.known(task)
        seen = task.state
        await asyncio.sleep(0.1)
        task.state = seen
        return await super().start(task, asked)


@fault(ANY, "lost-answer-counts", scenes=("lost answers",), patience_s=2)
class UndoesWhatNobodyHeard(PlainService):
    async def post(self, request: Request) -> Response:
        response = await super().post(request)
        await asyncio.sleep(0.1)
        if await request.is_disconnected():
            self.tasks.clear()
            self.tasks["TA_poison"] = Kept("", "", [])
        return response

    async def initialize(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        if "TA_poison" in self.tasks:
            raise No(400, "the task was given up")
        return await super().initialize(task, asked)


@fault(ANY, "work-outlives-reports", scenes=("reports answered 403",))
class FailsWhenAReportIsRefused(PlainService):
    async def report(self, task: Kept, state: str) -> None:
        if await self.patch(task, {"state": state, "progress": 100}) == 403:
            task.state = "failed"

    async def stage(self, task: Kept) -> None:
        await super().stage(task)
        await self.report(task, "running")
        if task.state == "failed":
            raise RuntimeError("the coordinator does not want to know")


@fault(ANY, "restart-takes-up", scenes=("restart",), patience_s=2)
class LeavesWorkLyingAfterARestart(PlainService):
    def take_up(self) -> None:
        return


@fault(ANY, "restart-stages", scenes=("restart",))
class GivesUpAfterARestart(PlainService):
    def take_up(self) -> None:
        for task in self.tasks.values():
            task.state = "failed" if task.state in {"running", "publishing"} else task.state


@fault(ANY, "epoch-named", scenes=("epochs",))
class KnowsNoEpochs(PlainService):
    def read(self, body: bytes) -> dict[str, Any]:
        return {**super().read(body), "epoch": None}


@fault(ANY, "stale-refused", "stale-changes-nothing", scenes=("epochs",))
class NamesEpochsOnly(PlainService):
    def admit(self, task: Kept, asked: dict[str, Any]) -> None:
        task.epoch = max(task.epoch or 0, asked["epoch"] or 0)


@fault(ANY, "stale-refused", scenes=("epochs",))
class DoesNotSayWhichEpoch(PlainService):
    def refuse(self, no: No) -> Response:
        return JSONResponse({"message": no.fields["message"]}, no.status)


@fault(ANY, "stale-refused", scenes=("epochs",))
class LetsStaleCallersLook(PlainService):
    def admit(self, task: Kept, asked: dict[str, Any]) -> None:
        if asked["action"] != "get_status" or (asked["epoch"] or 0) > (task.epoch or 0):
            super().admit(task, asked)


@fault(ANY, "epoch-is-optional", scenes=("epochs",))
class DemandsAnEpoch(PlainService):
    def admit(self, task: Kept, asked: dict[str, Any]) -> None:
        if task.epoch is not None and asked["epoch"] is None and asked["action"] == "start":
            raise No(400, "which epoch?")
        super().admit(task, asked)


@fault(ANY, "bad-epoch-refused", scenes=("epochs",))
class TakesAnythingForAnEpoch(PlainService):
    def read(self, body: bytes) -> dict[str, Any]:
        asked = super().read(body)
        return {**asked, "epoch": asked["epoch"] if type(asked["epoch"]) is int else None}

    def read_epoch(self, epoch: Any) -> None:
        return


@fault(ANY, "epoch-outlives-restart", scenes=("epochs", "restart"))
class ForgetsEpochs(PlainService):
    def remember(self) -> None:
        for task in self.tasks.values():
            task.epoch = None


@fault(ANY, "pages-keep-filters", scenes=("pages",))
class FollowsTheLinkAsItIs(PlainService):
    async def stage(self, task: Kept) -> None:
        async with aiohttp.ClientSession(self.coordinator_url) as web:
            for url in task.urls:
                more = f"/participants?visible=true&study_id={url.rsplit('/', 1)[1]}"
                while more:
                    async with web.get(more) as page:
                        more = (await page.json())["_links"].get("next")


@fault(ANY, "over-is-over", scenes=("read failure",))
class BeginsAgainWhatFailed(PlainService):
    async def start(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        if task is not None and task.state == "failed":
            task.state = "pending"
        return await super().start(task, asked)
