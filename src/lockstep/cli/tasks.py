"""`lockstep task`: each service's part in each release."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from lockstep.cli.conversation import talk
from lockstep.cli.endings import WrongUse
from lockstep.cli.lists import View, id_in, show_facts, show_list
from lockstep.cli.options import (
    AS_FITS,
    FROM_PROFILE,
    AsJson,
    Everything,
    Limit,
    ReleaseFilter,
    Server,
    ServiceFilter,
    TaskId,
    example,
)
from lockstep.cli.tables import print_json
from lockstep.protocol.states import TaskState

if TYPE_CHECKING:
    from lockstep.cli.client import Api

app = typer.Typer(name="task", help="Look at the tasks of the services, one for each release.", no_args_is_help=True)

_TASKS: Final = View(
    ("ID", "RELEASE", "SERVICE", "STATE", "PROGRESS", "PROBLEM"),
    lambda task: (
        task["kf_id"],
        id_in(task["release"]),
        task["service_name"],
        task["state"],
        f"{task['progress']} %",
        task["last_error"],
    ),
    right=("PROGRESS",),
)


@app.command(
    "list", epilog=example("lockstep task list --release RE_8Y99QZJJ", "lockstep task list --state failed --all")
)
def list_tasks(
    *,
    release: ReleaseFilter = None,
    service: ServiceFilter = None,
    state: Annotated[TaskState | None, typer.Option("--state", help="Only tasks in this state.")] = None,
    limit: Limit = 20,
    everything: Everything = False,
    server: Server = FROM_PROFILE,
    as_json: AsJson = AS_FITS,
) -> None:
    """List tasks, the newest first."""
    show_list(
        server,
        "tasks",
        _TASKS,
        limit=limit,
        everything=everything,
        as_json=as_json,
        release=release,
        task_service=service,
        state=state,
    )


@app.command("show", epilog=example("lockstep task show TA_8Y99QZJJ"))
def show_task(task_id: TaskId, *, server: Server = FROM_PROFILE, as_json: AsJson = AS_FITS) -> None:
    """Show a task: how far it is, what went wrong, and what its service counted."""
    task = talk(server, lambda coordinator: coordinator.get(f"tasks/{task_id}", what=f"task {task_id}"))
    facts = [
        ("id", task["kf_id"]),
        ("release", id_in(task["release"])),
        ("service", f"{task['service_name']} ({id_in(task['task_service'])})"),
        ("state", task["state"]),
        ("since", task["state_since"]),
        ("progress", f"{task['progress']} %"),
        ("changed", task["updated_at"]),
        ("unanswered", task["attempts"]),
        ("problem", task["last_error"]),
        ("preview", task["preview"]),
        *((f"counted {name}", value) for name, value in (task["metrics"] or {}).items()),
    ]
    show_facts(task, facts, as_json=as_json)


@app.command("check", epilog=example("lockstep task check"))
def check_tasks(*, server: Server = FROM_PROFILE, as_json: AsJson = AS_FITS) -> None:
    """Have every task at work asked for its state now, and every release at work looked at.

    The coordinator does both by itself; this is for those who want to know sooner.
    """

    async def check(coordinator: "Api") -> dict[str, str]:
        tasks = await coordinator.post("tasks/status_checks", mark="message")
        releases = await coordinator.post("releases/status_checks", mark="message")
        return {"tasks": tasks["message"], "releases": releases["message"]}

    begun = talk(server, check)
    if as_json:
        print_json(begun)
    else:
        print(f"{begun['tasks']}, {begun['releases']}.")


@app.command("report", epilog=example("lockstep task report TA_8Y99QZJJ --state staged"))
def report_task(
    task_id: TaskId,
    *,
    state: Annotated[TaskState | None, typer.Option("--state", help="The state that it is in.")] = None,
    progress: Annotated[
        int | None, typer.Option("--progress", metavar="PERCENT", min=0, max=100, help="How far it is.")
    ] = None,
    server: Server = FROM_PROFILE,
    as_json: AsJson = AS_FITS,
) -> None:
    """Report on a task in the place of its service, for one that did its work and can no longer say so.

    What the rules do not allow is refused: a task that has ended stays as it is.
    """
    given = {"state": state, "progress": progress}
    body = {name: value for name, value in given.items() if value is not None}
    if not body:
        raise WrongUse("Say what there is to be reported: --state, --progress, or both.")
    what = f"task {task_id}"
    task = talk(server, lambda coordinator: coordinator.patch(f"tasks/{task_id}", body, what=what))
    _TASKS.show_one(task, as_json=as_json)
