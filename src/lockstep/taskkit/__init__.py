"""A task service in ten lines: write what staging and publishing mean, and let the kit speak the protocol.

    from lockstep.taskkit import Task, TaskService

    service = TaskService("example task")

    @service.stage
    async def stage(task: Task) -> None:
        for done, study in enumerate(task.studies, start=1):
            ...  # prepare the study where the public cannot see it
            task.progress(done, of=len(task.studies))

    @service.publish
    def publish(task: Task) -> None: ...

    @service.cancel
    def cancel(task: Task) -> None: ...

    if __name__ == "__main__":
        service.run(port=8282)

`service` is an ASGI application: any server of that kind runs it, and `service.run()` brings its own. The kit answers
the five actions by one table (`table`), keeps its tasks in a store (a file; Postgres or DynamoDB where processes share
them), runs the functions in threads of their own, runs them again after the process was killed, and tells the
coordinator of progress and states. What it asks of the functions is one thing: that they may be run twice.
"""

from lockstep.taskkit.coordinator import CoordinatorError
from lockstep.taskkit.identity import Identity
from lockstep.taskkit.service import TaskService
from lockstep.taskkit.sqlite_store import SqliteStore
from lockstep.taskkit.store import MemoryStore, StoredTask, StoreUnavailable, TaskStore
from lockstep.taskkit.stores import store_at
from lockstep.taskkit.task import Task, TaskCanceled, TaskFailed

__all__ = [
    "CoordinatorError",
    "Identity",
    "MemoryStore",
    "SqliteStore",
    "StoreUnavailable",
    "StoredTask",
    "Task",
    "TaskCanceled",
    "TaskFailed",
    "TaskService",
    "TaskStore",
    "store_at",
]
