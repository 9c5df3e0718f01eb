"""A coordinator with a past: releases of real studies in every state, as pages are looked at in tests and pictures.

No engine runs; what happened is committed through the core at the times at which it is to have happened. The reports
are real ones, from the published counts of the studies, behind a real server.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from starlette.applications import Starlette

from lockstep.coordinator.adapters.reports import HttpReports
from lockstep.coordinator.core.draft import Draft
from lockstep.coordinator.core.joint import settle
from lockstep.coordinator.core.model import COORDINATOR, Change, EventType, Snapshot, Task
from lockstep.coordinator.core.records import NewEvent, NewNote, NewRelease, ReleaseView, StudyFacts, TaskService
from lockstep.coordinator.ports import Store
from lockstep.coordinator.services.reporting import ReportShelf
from lockstep.dataservice.catalogue import AS_OF, figure, five_demo_studies, study_records
from lockstep.dataservice.entities import REPORTED
from lockstep.protocol.messages import Action
from lockstep.protocol.states import ReleaseState, TaskState
from lockstep.reports.api import reports_route
from lockstep.reports.counting import Count, Known, Unknown
from lockstep.reports.report import Heading, Report, ReportState
from lockstep.reports.sqlite_store import SqliteReports
from tests.conftest import Serve
from tests.faces import Coordinator, coordinator

FIVE = [study["kf_id"] for study in five_demo_studies()]
SERVICES = (
    ("Release reports", "Counts what the release holds."),
    ("Portal ETL", "Builds the search index of the portal."),
    ("FHIR loader", "Loads the studies into the FHIR server."),
    ("Snapshot", "Keeps every record as JSON."),
)
KINDS = {"down": EventType.WARNING, "ok": EventType.INFO}
Act = Callable[[Draft], None]


class Past:
    """Makes things happen at a time of its own, which only goes on."""

    def __init__(self, store: Store, *, ago: timedelta) -> None:
        self.store = store
        self.at = datetime.now(UTC) - ago
        self.who = COORDINATOR

    def after(self, **length: float) -> "Past":
        self.at += timedelta(**length)
        return self

    async def create(self, name: str, studies: Iterable[str], **fields: object) -> str:
        new = NewRelease(name, tuple(studies), **fields)  # type: ignore[arg-type] # the fields of the class
        return (await self.store.create_release(new, self.at)).release.kf_id

    async def act(self, release_id: str, act: Act) -> None:
        def decide(before: Snapshot) -> tuple[Change, None]:
            draft = Draft(before, self.at, self.who)
            act(draft)
            return draft.change(), None

        await self.store.change(release_id, decide)

    async def release(self, release_id: str, *states: ReleaseState) -> None:
        for state in states:
            await self.act(release_id, lambda draft, to=state: _ordered(draft, to))  # type: ignore[misc]

    async def tasks(self, release_id: str, *states: TaskState, told: Action, apart_s: float = 2) -> None:
        """Bring every task through states, one after the other."""
        view = await self.store.release(release_id)
        for task in view.tasks:
            self.after(seconds=apart_s)
            await self.act(release_id, lambda draft, t=task: _move(draft, t, states, told))  # type: ignore[misc]

    async def staged(self, name: str, studies: Iterable[str], *, work_s: float = 60, **fields: object) -> str:
        """Take a release to its review."""
        release_id = await self.create(name, studies, **fields)
        await self.after(seconds=1).release(release_id, ReleaseState.INITIALIZING)
        await self.tasks(release_id, TaskState.PENDING, told=Action.INITIALIZE, apart_s=3)
        await self.release(release_id, ReleaseState.RUNNING)
        await self.tasks(release_id, TaskState.RUNNING, told=Action.START, apart_s=0.4)
        await self.tasks(release_id, TaskState.STAGED, told=Action.START, apart_s=work_s)
        await self.release(release_id, ReleaseState.STAGED)
        return release_id

    async def published(self, release_id: str, who: str = "ada") -> str:
        self.who = who
        await self.release(release_id, ReleaseState.PUBLISHING)
        self.who = COORDINATOR
        await self.tasks(release_id, TaskState.PUBLISHING, told=Action.PUBLISH, apart_s=0.6)
        await self.tasks(release_id, TaskState.PUBLISHED, told=Action.PUBLISH, apart_s=11)
        await self.release(release_id, ReleaseState.PUBLISHED)
        return release_id


def _ordered(draft: Draft, to: ReleaseState) -> None:
    if to is ReleaseState.PUBLISHING:
        draft.set_release(publish_order=draft.before.last_order + 1)
    draft.move_release(to)


def _move(draft: Draft, task: Task, states: tuple[TaskState, ...], told: Action) -> None:
    draft.set_task(task.kf_id, told=told)
    draft.move_task(task.kf_id, *states)


def fail(name: str, cause: str, *, ending: ReleaseState = ReleaseState.FAILED) -> Act:
    """Return an act: one service fails, and with it the release."""

    def act(draft: Draft) -> None:
        task = next(task for task in draft.tasks.values() if task.service_name == name)
        draft.fail_task(task.kf_id, TaskState.FAILED, cause)
        settle(draft)
        for other in list(draft.tasks.values()):
            if other.state not in {TaskState.FAILED, TaskState.PUBLISHED}:
                draft.move_task(other.kf_id, TaskState.CANCELED)
        if any(task.state is TaskState.PUBLISHED for task in draft.tasks.values()):
            draft.set_release(partially_published=True)
        draft.move_release(ending)

    return act


def _counts(study_id: str, as_of: str) -> dict[str, Count]:
    reason = "the published counts do not tell"
    found = {entity: figure(entity, study_id, as_of) for entity in REPORTED}
    return {
        e: Unknown(reason, "catalogue", withheld=True) if n is None else Known(n, "catalogue") for e, n in found.items()
    }


def _report(view: ReleaseView, as_of: str, state: ReportState) -> Report:
    release = view.release
    heading = Heading(
        release.kf_id, view.tasks[0].kf_id, str(release.version), state, release.created_at, release.published_at
    )
    return Report.of(heading, {study: _counts(study, as_of) for study in release.studies})


@asynccontextmanager
async def scenery(
    serve: Serve, folder: Path, store: Store | None = None
) -> AsyncIterator[tuple[Coordinator, dict[str, str]]]:
    """Open a coordinator with a past; and its releases, by what there is to see of them."""
    async with coordinator(store) as c:
        long_ago = datetime.now(UTC) - timedelta(days=400)
        facts = [StudyFacts(row["kf_id"], row["name"], row["visible"], long_ago) for row in study_records()]
        await c.store.sync_studies(facts)
        for name, does in SERVICES:
            url = f"http://{name.lower().replace(' ', '-')}:8080"
            await c.store.add_service(TaskService("", name, does, url, "ada", long_ago))
        reports = SqliteReports(folder / "reports.db")
        shown = await _happen(c, reports)
        async with (
            serve(Starlette(routes=[reports_route(reports)])) as url,
            HttpReports(url, timeout_s=5) as adapter,
        ):
            c.desk = replace(c.desk, reports=ReportShelf(adapter))
            yield c, shown


async def _happen(c: Coordinator, reports: SqliteReports) -> dict[str, str]:
    shown: dict[str, str] = {}
    past = Past(c.store, ago=timedelta(days=92))
    first = await past.staged("Third quarter 2023", FIVE, work_s=1500, author="ada", description=FIRST)
    await past.after(hours=20).published(first)
    view = await c.store.release(first)
    reports.write(_report(view, AS_OF[0], ReportState.PUBLISHED), None)
    await c.store.add_note(NewNote("Sequencing of the second cohort is complete.", first, FIVE[2], "ada"), past.at)
    shown["published"] = first

    past = Past(c.store, ago=timedelta(days=12))
    failed = await past.staged("Fourth quarter 2023, first try", FIVE[:3], work_s=400, author="grace")
    await past.release(failed, ReleaseState.PUBLISHING)
    await past.tasks(failed, TaskState.PUBLISHING, told=Action.PUBLISH, apart_s=0.5)
    await past.act(failed, lambda draft: _publish_first(draft, "Release reports"))
    await past.after(seconds=40).act(
        failed, fail("FHIR loader", "request to publish task failed: HTTP 500, 'index locked'")
    )
    shown["partial"] = failed

    past = Past(c.store, ago=timedelta(days=3))
    broken = await past.create("Hotfix for consent codes", FIVE[3:4], author="ada")
    await past.after(seconds=1).release(broken, ReleaseState.INITIALIZING)
    await past.after(seconds=30).act(
        broken,
        fail(
            "Portal ETL",
            "request to initialize task failed: could not reach http://portal-etl:8080: Connection refused",
        ),
    )
    shown["failed"] = broken

    past = Past(c.store, ago=timedelta(hours=5))
    staged = await past.staged(
        "Fourth quarter 2023", FIVE, work_s=700, author="grace", tags=("quarterly",), description=STAGED
    )
    reports.write(_report(await c.store.release(staged), AS_OF[1], ReportState.STAGED), None)
    await c.store.add_note(
        NewNote(
            "New **kidney** cohort: 489 participants. See [the paper](https://example.org/paper).",
            staged,
            FIVE[3],
            "grace",
        ),
        past.at,
    )
    shown["staged"] = staged
    shown["note"] = (await c.store.release(staged)).notes[0].kf_id
    shown["study"] = FIVE[2]
    shown["service"] = (await c.store.release(staged)).tasks[2].service_id
    for days, hours in ((19, 5), (3, 20)):
        down = Past(c.store, ago=timedelta(days=days))
        for to, was, length in (("down", "ok", hours), ("ok", "down", 0)):
            message = f"task service {shown['service']}: no answer; health changed from {was} to {to}"
            await c.store.add_event(NewEvent(KINDS[to], message, task_service_id=shown["service"]), down.at)
            down.after(hours=length)

    past = Past(c.store, ago=timedelta(minutes=26))
    running = await past.create(
        "Neuroblastoma update", [row["kf_id"] for row in study_records()[10:13]], author="ada", is_major=True
    )
    await past.after(seconds=1).release(running, ReleaseState.INITIALIZING)
    await past.tasks(running, TaskState.PENDING, told=Action.INITIALIZE, apart_s=2)
    await past.release(running, ReleaseState.RUNNING)
    await past.tasks(running, TaskState.RUNNING, told=Action.START, apart_s=1)
    await past.after(minutes=9).act(running, _progress)
    shown["running"] = running
    return shown


def _publish_first(draft: Draft, name: str) -> None:
    task = next(task for task in draft.tasks.values() if task.service_name == name)
    draft.move_task(task.kf_id, TaskState.PUBLISHED)


def _progress(draft: Draft) -> None:
    for task, percent in zip(list(draft.tasks.values()), (100, 62, 8, 35), strict=True):
        if percent == 100:
            draft.move_task(task.kf_id, TaskState.STAGED)
        else:
            draft.set_progress(task.kf_id, percent)
    slow = next(task for task in draft.tasks.values() if task.service_name == "FHIR loader")
    draft.set_task(slow.kf_id, attempts=2, last_error="no answer from http://fhir-loader:8080/tasks within 15 s")


FIRST = "The first release of five studies.\n\n* counts as of September\n* consent codes reviewed"
STAGED = "Five studies with the counts of **December**.\n\nReview the *kidney* study first; it has grown most."
