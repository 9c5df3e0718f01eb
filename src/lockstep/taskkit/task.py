"""What a function of the service is given: the task it works for.

`Task` is the whole of what a stage, publish or cancel function needs to know of the protocol: what to work on, a way
to say how far it is, and a way to learn that it should stop. It holds no rule; the desk decides what a progress or a
stop means.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from lockstep.taskkit.coordinator import Coordinator, CoordinatorError
from lockstep.taskkit.store import StoredTask


class TaskCanceled(BaseException):
    """The work is to stop: its task was canceled, or the service is going down.

    Like the end of an asyncio task it is no `Exception`, so that a function's own `except Exception` lets it pass.
    A function need not catch it. What is to be thrown away is the cancel function's business: after a mere stop of
    the service the work is run again and may want what is there.
    """


class Task:
    """One release's task in this service, as its functions see it.

    Attributes:
        id: the task's id, such as `TA_8BAN4D31`.
        release_id: the id of the release that it belongs to.
        studies: the ids of the studies to be released.
        urls: one address in the data service per study, in the same order; empty if the coordinator sent none.
        attempt: 1, and one more for each time that the process ended in the middle of this work and it was run again.
    """

    def __init__(
        self,
        stored: StoredTask,
        *,
        coordinator: Coordinator | None,
        on_progress: Callable[[int], None],
        is_stopped: Callable[[], bool],
    ) -> None:
        self.id = stored.task_id
        self.release_id = stored.release_id
        self.studies = stored.studies
        self.urls = stored.urls
        self.attempt = stored.attempt
        self._coordinator = coordinator
        self._on_progress = on_progress
        self._is_stopped = is_stopped

    def progress(self, done: float, of: float = 100) -> None:
        """Say how far the work is: `done` parts `of` so many, percent if not told otherwise.

        Returns at once, from any thread and from async functions as well; the coordinator is told in the background.

        Raises:
            TaskCanceled: the work is to stop.
        """
        self.check()
        self._on_progress(int(min(100, max(0, 100 * done / of))) if of > 0 else 100)

    def check(self) -> None:
        """Go on, or stop here.

        Raises:
            TaskCanceled: the work is to stop.
        """
        if self._is_stopped():
            raise TaskCanceled(f"task {self.id} is to stop")

    async def release(self) -> dict[str, Any]:
        """Ask the coordinator for the release, as its `GET /releases/{id}` shows it.

        While publishing, its `version` is the one that will be public. A function that is not async calls it by
        `asyncio.run(task.release())`.

        Raises:
            CoordinatorError: there is no coordinator to ask, it did not answer, or it refused.
        """
        if self._coordinator is None:
            raise CoordinatorError(
                "this task service knows no coordinator to ask for the release; "
                "set LOCKSTEP_COORDINATOR_URL, or coordinator_url of the TaskService"
            )
        return await self._coordinator.release(self.release_id)


TaskFunction = Callable[[Task], Awaitable[None]] | Callable[[Task], None]
"""A stage, publish or cancel function, async or not."""
