"""`/tasks`: list, show, and take what task services report about theirs; also under the address of the release."""

from typing import Annotated, Final

from fastapi import Query, Request
from pydantic import BeforeValidator, Field, WithJsonSchema
from starlette.responses import Response

from lockstep.coordinator.core.errors import Conflict, NotFound
from lockstep.coordinator.core.records import TASK_ORDERS, PageOf, TaskFilter, TaskView
from lockstep.coordinator.services import queries
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.services.checking import check_tasks
from lockstep.coordinator.services.inputs import TaskInput, TaskReport
from lockstep.coordinator.web.answers import JsonAnswer, base_url
from lockstep.coordinator.web.bodies import read
from lockstep.coordinator.web.callers import caller_of
from lockstep.coordinator.web.conditional import check_seen, expects, one
from lockstep.coordinator.web.desk import desk_of, sight_of
from lockstep.coordinator.web.operations import Operation
from lockstep.coordinator.web.rest.pages import (
    ORDERING,
    After,
    Before,
    PageQuery,
    ReleaseIdFilter,
    ServiceIdFilter,
    TaskIdFilter,
    TaskPage,
    orders,
    page_answer,
)
from lockstep.coordinator.web.rest.shapes import CheckedShape, TaskShape, task_shape
from lockstep.protocol.states import TASK_WORDS, TaskState


def _state(word: object) -> TaskState | None:
    if word == "":
        return None
    if isinstance(word, str) and word in TASK_WORDS:
        return TASK_WORDS[word]
    raise ValueError(f"This is not a state of a task; the states are {', '.join(TaskState)}.")


class TaskQuery(PageQuery):
    """Which tasks."""

    kf_id: Annotated[TaskIdFilter, Field(description="Only this task.")] = ""
    created_before: Before = None
    created_after: After = None
    ordering: Annotated[str, orders(TASK_ORDERS), ORDERING] = ""

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
    which = TaskFilter(
        query.release or None,
        query.task_service or None,
        query.state,
        query.kf_id or None,
        query.created_before,
        query.created_after,
    )
    page = await queries.tasks(desk_of(request).store, query.page_of(), which, sight_of(request))
    return page_answer(request, query, page, task_shape)


async def show_task(request: Request, task_id: str) -> Response:
    """Show a task."""
    return _shown(request, await _seen(request, task_id))


async def report_task(request: Request, task_id: str) -> Response:
    """Report the state or the progress of a task, as its service does. Other fields are ignored."""
    return await _report(request, task_id)


async def replace_task(request: Request, task_id: str) -> Response:
    """Report on a task by sending all of it: its state and its progress are taken, and the rest stays."""
    return await _report(request, task_id)


async def add_task(request: Request) -> Response:
    """Show the task that a service has in a release. Every enabled service has one from the start; none come later."""
    wanted = await read(request, TaskInput)
    desk = desk_of(request)
    which = TaskFilter(wanted.release, wanted.task_service)
    page = await queries.tasks(desk.store, PageOf(1), which, sight_of(request))
    if not page.rows:
        raise Conflict("A release gets the tasks of all enabled services when it is created, and no more later.")
    return _shown(request, page.rows[0])


async def start_task_checks(request: Request) -> Response:
    """Have the state of every task at work asked for now; it is asked for without this, too."""
    number = await check_tasks(desk_of(request).commands, caller_of(request))
    return JsonAnswer({"status": "ok", "message": f"{number} task to check"})


async def show_release_task(request: Request, release_id: str, task_id: str) -> Response:
    """Show a task of a release."""
    view = await _seen(request, task_id)
    if view.release_id != release_id:
        raise NotFound(f"Release {release_id} has no task {task_id}.")
    return _shown(request, view)


async def report_release_task(request: Request, release_id: str, task_id: str) -> Response:
    """Report the state or the progress of a task of a release."""
    return await _report(request, task_id, release_id)


async def _report(request: Request, task_id: str, release_id: str | None = None) -> Response:
    said = await read(request, TaskReport)
    base, seen = base_url(request), None
    if expects(request):
        seen = await _seen(request, task_id)
        check_seen(request, task_shape(seen, base))
    view = await desk_of(request).commands.report(task_id, said, caller_of(request), release_id, seen)
    return _shown(request, view)


async def _seen(request: Request, task_id: str) -> TaskView:
    desk = desk_of(request)
    return await queries.task(desk.store, desk.access, task_id, caller_of(request))


def _shown(request: Request, view: TaskView) -> Response:
    return one(request, task_shape(view, base_url(request)))


_ONE: Final = "/tasks/{task_id}"
_OF_RELEASE: Final = "/releases/{release_id}/tasks/{task_id}"

OPERATIONS: Final = (
    Operation(method="GET", path="/tasks", act=Act.SEE_PUBLISHED, call=list_tasks, shape=TaskPage),
    Operation(
        method="POST", path="/tasks", act=Act.ADD_TASK, call=add_task, shape=TaskShape, also=(409,), body=TaskInput
    ),
    Operation(method="POST", path="/tasks/status_checks", act=Act.CHECK, call=start_task_checks, shape=CheckedShape),
    Operation(
        method="GET",
        path=_ONE,
        act=Act.SEE_PUBLISHED,
        call=show_task,
        shape=TaskShape,
        also=(404,),
        conditional=True,
    ),
    Operation(
        method="PATCH",
        path=_ONE,
        act=Act.REPORT_TASK,
        call=report_task,
        shape=TaskShape,
        also=(404, 409),
        body=TaskReport,
        conditional=True,
    ),
    Operation(
        method="PUT",
        path=_ONE,
        act=Act.REPORT_TASK,
        call=replace_task,
        shape=TaskShape,
        also=(404, 409),
        body=TaskReport,
        conditional=True,
    ),
    Operation(
        method="GET",
        path=_OF_RELEASE,
        act=Act.SEE_PUBLISHED,
        call=show_release_task,
        shape=TaskShape,
        also=(404,),
        conditional=True,
    ),
    Operation(
        method="PATCH",
        path=_OF_RELEASE,
        act=Act.REPORT_TASK,
        call=report_release_task,
        shape=TaskShape,
        also=(404, 409),
        body=TaskReport,
        conditional=True,
    ),
)
