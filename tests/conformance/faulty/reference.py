"""The faults of the first reference task."""

from typing import Any

from starlette.responses import HTMLResponse, Response

from tests.conformance.faulty.fault import fault
from tests.conformance.faulty.plain import Kept, No, PlainService

REFERENCE = "reference"
LIFE = ("whole life",)


@fault(REFERENCE, "no-server-error", scenes=("unknown task, get_status",))
class GetStatusUsesAnUndefinedName(PlainService):
    async def get_status(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        raise No(500, "NameError: name 'task_id' is not defined")


@fault(
    REFERENCE,
    "unknown-refused",
    "unknown-stays-unknown",
    scenes=("unknown task, start", "unknown task, publish", "unknown task, cancel"),
)
class AnyActionCreatesTheTask(PlainService):
    def find(self, asked: dict[str, Any]) -> Kept | None:
        if asked["action"] != "get_status" and asked["task_id"] not in self.tasks:
            state = {"start": "running", "publish": "publishing"}.get(asked["action"], "pending")
            self.tasks[asked["task_id"]] = Kept(asked["task_id"], asked["release_id"], [], state)
        return super().find(asked)

    async def cancel(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        return self.known(task)


@fault(REFERENCE, "published-stays", scenes=LIFE)
class CancelsWhatIsPublished(PlainService):
    async def cancel(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        task = self.known(task)
        task.state = "canceled"
        return task


@fault(REFERENCE, "refusal-says-why", scenes=("bad bodies",))
class RefusesInHtml(PlainService):
    def refuse(self, no: No) -> Response:
        return HTMLResponse(f"<!doctype html><title>{no.status}</title><h1>Bad Request</h1>", no.status)


@fault(REFERENCE, "repeat-changes-nothing", scenes=("repeat at staged",))
class InitializesFromAnyState(PlainService):
    async def initialize(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        self.tasks.pop(asked["task_id"], None)
        return await super().initialize(None, asked)


@fault(REFERENCE, "publish-needs-staged", scenes=LIFE)
class PublishesFromAnyState(PlainService):
    async def publish(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        task = self.known(task)
        if task.state == "pending":
            task.state = "staged"
            done = await super().publish(task, asked)
            done.state = "publishing"
            return done
        return await super().publish(task, asked)


@fault(REFERENCE, "over-is-over", scenes=("cancel at pending",))
class StartsWhatIsCanceled(PlainService):
    async def start(self, task: Kept | None, asked: dict[str, Any]) -> Kept:
        task = self.known(task)
        task.state = "pending" if task.state == "canceled" else task.state
        return await super().start(task, asked)


@fault(REFERENCE, "restart-forgets-nothing", scenes=("restart",))
class KeepsTasksInMemory(PlainService):
    def remember(self) -> None:
        self.tasks = {}


@fault(REFERENCE, "identity-missing", "identity-forged", "identity-expired", scenes=("identity",))
class AsksNobodyWhoTheyAre(PlainService):
    wants_identity = True

    def is_good(self, token: str) -> bool:
        return True


@fault(REFERENCE, "report-has-identity", scenes=LIFE)
class ReportsWithoutIdentity(PlainService):
    wants_identity = True

    async def patch(self, task: Kept, body: dict[str, Any]) -> int | None:
        self.wants_identity = False
        try:
            return await super().patch(task, body)
        finally:
            self.wants_identity = True
