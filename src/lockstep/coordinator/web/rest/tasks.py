"""`/tasks`: list, show, and take what task services report about theirs; also under the address of the release."""

from typing import Annotated, Final

from fastapi import Query, Request
from pydantic import BeforeValidator, Field, WithJsonSchema
from starlette.responses import Response

from lockstep.coordinator.core.errors import NotFound
from lockstep.coordinator.core.records import TaskFilter
from lockstep.coordinator.services import queries
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.services.inputs import TaskReport
from lockstep.coordinator.web.answers import JsonAnswer, base_url
from lockstep.coordinator.web.bodies import read
from lockstep.coordinator.web.callers import caller_of
from lockstep.coordinator.web.desk import desk_of, sight_of
from lockstep.coordinator.web.operations import Operation
from lockstep.coordinator.web.rest.pages import PageQuery, ReleaseIdFilter, ServiceIdFilter, TaskPage, page_answer
from lockstep.coordinator.web.rest.shapes import TaskShape, task_shape
from lockstep.protocol.states import TASK_WORDS, TaskState


def _state(word: object) -> TaskState | None:
    if word == "":
        return None
    if isinstance(word, str) and word in TASK_WORDS:
        return TASK_WORDS[word]
    raise ValueError(f"This is not a state of a task; the states are {', '.join(TaskState)}.")


class TaskQuery(PageQuery):
    """Which tasks."""

    release: Annotated[ReleaseIdFilter, Field(description="Only tasks of this release.")] = ""
    task_service: Annotated[ServiceIdFilter, Field(description="Only tasks of this service.")] = ""
    state: Annotated[
        TaskState | None,
        BeforeValidator(_state),
        WithJsonSchema({"type": "string", "enum": ["", *TASK_WORDS]}),
        Field(description="Only tasks in this state."),
    ] = None


async def list_tasks(request: Request, query: Annotated[TaskQuery, Query()]) -> Response:
    """List tasks, newest created first."""
    which = TaskFilter(query.release or None, query.task_service or None, query.state)
    page = await queries.tasks(desk_of(request).store, query.page_of(), which, sight_of(request))
    return page_answer(request, query, page, task_shape)


async def show_task(request: Request, task_id: str) -> Response:
    """Show a task."""
    desk = desk_of(request)
    return JsonAnswer(
        task_shape(await queries.task(desk.store, desk.access, task_id, caller_of(request)), base_url(request))
    )


async def report_task(request: Request, task_id: str) -> Response:
    """Report the state or the progress of a task, as its service does. Other fields are ignored."""
    said = await read(request, TaskReport)
    base = base_url(request)
    return JsonAnswer(
        task_shape(await desk_of(request).commands.report(task_id, said, caller=caller_of(request)), base)
    )


async def show_release_task(request: Request, release_id: str, task_id: str) -> Response:
    """Show a task of a release."""
    desk = desk_of(request)
    view = await queries.task(desk.store, desk.access, task_id, caller_of(request))
    if view.release_id != release_id:
        raise NotFound(f"Release {release_id} has no task {task_id}.")
    return JsonAnswer(task_shape(view, base_url(request)))


async def report_release_task(request: Request, release_id: str, task_id: str) -> Response:
    """Report the state or the progress of a task of a release."""
    said = await read(request, TaskReport)
    base = base_url(request)
    return JsonAnswer(
        task_shape(await desk_of(request).commands.report(task_id, said, release_id, caller_of(request)), base)
    )


_ONE: Final = "/tasks/{task_id}"
_OF_RELEASE: Final = "/releases/{release_id}/tasks/{task_id}"

OPERATIONS: Final = (
    Operation(method="GET", path="/tasks", act=Act.SEE_PUBLISHED, call=list_tasks, shape=TaskPage),
    Operation(method="GET", path=_ONE, act=Act.SEE_PUBLISHED, call=show_task, shape=TaskShape, also=(404,)),
    Operation(
        method="PATCH",
        path=_ONE,
        act=Act.REPORT_TASK,
        call=report_task,
        shape=TaskShape,
        also=(404, 409),
        body=TaskReport,
    ),
    Operation(
        method="GET", path=_OF_RELEASE, act=Act.SEE_PUBLISHED, call=show_release_task, shape=TaskShape, also=(404,)
    ),
    Operation(
        method="PATCH",
        path=_OF_RELEASE,
        act=Act.REPORT_TASK,
        call=report_release_task,
        shape=TaskShape,
        also=(404, 409),
        body=TaskReport,
    ),
)
