"""What people and services may ask the coordinator to do. Every face calls these, and decides nothing itself.

Each command checks what needs the store or the world, makes its one change in one transaction, with the core's own
functions for whatever is decided about a release, and then says that something changed: to the engine, which has
something to do, and to whoever watches. A command that fails has changed nothing, and its error says why. Every
command first asks whether its caller may, and writes down whom it was: `Unauthorized` and `Forbidden` say that they
may not.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final

from lockstep.coordinator.core.callbacks import report
from lockstep.coordinator.core.callers import Caller, Kind
from lockstep.coordinator.core.draft import Draft
from lockstep.coordinator.core.errors import Changed, Conflict, Invalid, NotFound, Unavailable
from lockstep.coordinator.core.model import Change, EventType, Lease, Release, Snapshot
from lockstep.coordinator.core.records import (
    NewEvent,
    NewRelease,
    PageOf,
    ReleaseView,
    RequestKey,
    SyncResult,
    TaskService,
    TaskView,
)
from lockstep.coordinator.core.requests import ask_to_cancel, ask_to_publish
from lockstep.coordinator.core.requests import edit as edit_release
from lockstep.coordinator.ports import Announcer, Clock, DataService, Doorbell, Prober, Store
from lockstep.coordinator.services.access import Access, Act
from lockstep.coordinator.services.inputs import ReleaseEdit, ServiceEdit, ServiceInput, TaskReport
from lockstep.protocol.states import ReleaseState

_PROBES_AT_ONCE: Final = 20
_SERVICES_AT_ONCE: Final = 100
_WHO_CHARS: Final = 200
_TOLD_CHARS: Final = 900


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands, and the ports that they work on. `data_service` is None where none is configured."""

    store: Store
    doorbell: Doorbell
    announcer: Announcer
    clock: Clock
    prober: Prober
    data_service: DataService | None = None
    access: Access = field(default_factory=Access)
    _syncing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def create_release(self, new: NewRelease, caller: Caller, key: str = "") -> ReleaseView:
        """Create a release. Where studies are not known yet, they are looked for in the data service first.

        Args:
            new: the release.
            caller: who asks.
            key: a word of the caller's for this request: sent again with it, it gives the same release.

        Raises:
            Invalid: a study is not known there either.
            KeyReused: the key was sent with another request before.
            Unavailable: the data service could not be asked.
        """
        self.access.check_studies(caller, new.studies)
        new = replace(new, author=_author(caller, new.author))
        used_as = _request_key(caller, key, new)
        try:
            view = await self.store.create_release(new, self.clock.now(), used_as)
        except Invalid:
            if self.data_service is None:
                raise
            await self._sync(self.data_service)
            view = await self.store.create_release(new, self.clock.now(), used_as)
        await self._tell(view.release.kf_id)
        return view

    async def edit_release(
        self, release_id: str, edit: ReleaseEdit, caller: Caller, seen: Release | None = None
    ) -> ReleaseView:
        """Change a release: the state `publishing` publishes it, and the state that it has changes nothing.

        Args:
            release_id: the release.
            edit: what is to change.
            caller: who asks.
            seen: what the caller has seen, if it is to change only that.

        Raises:
            NotFound: there is no such release.
            Conflict: a field may not change now, or it is to be published and is not staged, or any other state was
                asked for.
            Changed: it is no longer as the caller saw it.
        """
        self.access.check(caller, Act.EDIT_RELEASE)
        state, fields = edit.state, edit.model_dump(exclude_unset=True, exclude={"state"})

        def request(draft: Draft) -> None:
            release = draft.release
            if seen is not None and as_shown(release) != as_shown(seen):
                raise Changed(f"The release {release_id} has changed since you looked at it; look again.")
            if state is not None and state not in {release.state, ReleaseState.PUBLISHING}:
                raise Conflict(
                    f"The release in state {release.state} may not be set to {state}; "
                    "publishing is the only state to ask for, and only when it is staged."
                )
            edit_release(draft, **fields)
            if state is ReleaseState.PUBLISHING is not release.state:
                self.access.check(caller, Act.PUBLISH_RELEASE)
                ask_to_publish(draft)

        return await self._ask(release_id, request, caller)

    async def publish(self, release_id: str, caller: Caller) -> ReleaseView:
        """Publish a release that is staged, at once or after those before it that share a study.

        Raises:
            NotFound: there is no such release.
            Conflict: it is not staged.
        """
        self.access.check(caller, Act.PUBLISH_RELEASE)
        return await self._ask(release_id, ask_to_publish, caller)

    async def cancel(self, release_id: str, caller: Caller) -> ReleaseView:
        """Cancel a release; one that has ended stays as it is.

        Raises:
            NotFound: there is no such release.
        """
        self.access.check(caller, Act.CANCEL_RELEASE)
        return await self._ask(release_id, ask_to_cancel, caller)

    async def report(
        self,
        task_id: str,
        said: TaskReport,
        caller: Caller,
        release_id: str | None = None,
        seen: TaskView | None = None,
    ) -> TaskView:
        """Take what a task service says of its task; `release_id` must be the task's release, if it is given.

        Raises:
            NotFound: there is no such task.
            Invalid: the task's table does not have this move now.
            Conflict: the task or its release is settled.
            Changed: the task is no longer as the caller saw it.
        """
        self.access.check(caller, Act.REPORT_TASK, own=await self.is_own(caller, task_id))

        def decide(before: Snapshot) -> tuple[Change, tuple[TaskView, bool, bool]]:
            if release_id not in {None, before.release.kf_id}:
                raise NotFound(f"Release {release_id} has no task {task_id}.")
            if seen is not None and before.tasks[task_id] != seen.task:
                raise Changed(f"The task {task_id} has changed since you looked at it; look again.")
            draft = Draft(before, self.clock.now(), caller.name)
            report(draft, task_id, said.state, said.progress, said.findings)
            view = TaskView(draft.tasks[task_id], before.release.kf_id)
            moved = draft.release.state is not before.release.state
            return draft.change(), (view, moved, view.task != before.tasks[task_id])

        view, moved, changed = await self.store.change_by_task(task_id, decide)
        if moved:
            await self._tell(view.release_id)
        elif changed:
            await self.announcer.announce(view.release_id)
        return view

    async def sync_studies(self, caller: Caller) -> SyncResult:
        """Make the studies here those of the data service; nothing where none is configured.

        Raises:
            Unavailable: the data service did not give its studies.
        """
        self.access.check(caller, Act.SYNC_STUDIES)
        if self.data_service is None:
            return SyncResult()
        return await self._sync(self.data_service)

    async def register_service(self, new: ServiceInput, caller: Caller) -> TaskService:
        """Register a task service, whose `/status` must answer.

        Raises:
            Invalid: it does not; the sentence says what was seen.
        """
        self.access.check(caller, Act.REGISTER_SERVICE)
        await self._probe(new.url)
        fields = {**new.model_dump(), "author": _author(caller, new.author)}
        service = await self.store.add_service(TaskService(kf_id="", created_at=self.clock.now(), **fields))
        await self.announcer.announce(service.kf_id)
        return service

    async def edit_service(
        self,
        service_id: str,
        edit: ServiceEdit,
        caller: Caller,
        seen: TaskService | None = None,
    ) -> TaskService:
        """Change a task service; if a URL is given, its `/status` must answer.

        Raises:
            NotFound: there is no such service.
            Invalid: it does not answer.
            Changed: it is no longer as the caller saw it.
        """
        self.access.check(caller, Act.EDIT_SERVICE)
        before = await self.store.service(service_id)
        fields = edit.model_dump(exclude_unset=True)
        if caller.kind is not Kind.LOCAL:
            fields.pop("author", None)
        if not fields:
            return before
        if "url" in fields:
            await self._probe(fields["url"])
        service = await self.store.edit_service(service_id, fields, seen)
        await self.announcer.announce(service_id)
        return service

    async def delete_service(self, service_id: str, caller: Caller, seen: TaskService | None = None) -> None:
        """Take a task service out of new releases and off the lists.

        Raises:
            NotFound: there is no such service.
            Changed: it is no longer as the caller saw it.
        """
        self.access.check(caller, Act.EDIT_SERVICE)
        await self.store.delete_service(service_id, seen)
        await self.announcer.announce(service_id)

    async def check_health(self, caller: Caller) -> None:
        """Look at the `/status` of every service, and count for each how often it has failed in a row."""
        self.access.check(caller, Act.CHECK)
        services: list[TaskService] = []
        while True:
            page = await self.store.services(PageOf(_SERVICES_AT_ONCE, len(services)))
            services.extend(page.rows)
            if not page.rows or len(services) >= page.count:
                break
        probes = asyncio.Semaphore(_PROBES_AT_ONCE)
        await asyncio.gather(*(self._check_service(service, probes) for service in services))

    async def _check_service(self, service: TaskService, probes: asyncio.Semaphore) -> None:
        failures, seen = 0, "it answers again"
        async with probes:
            try:
                await self.prober.probe(service.url)
            except Unavailable as error:
                failures, seen = service.last_ok_status + 1, str(error)
        if failures == service.last_ok_status:
            return
        try:
            after = await self.store.edit_service(service.kf_id, {"last_ok_status": failures})
        except NotFound:
            return
        if after.health_status != service.health_status:
            await self.store.add_event(_health_event(after, service.health_status, seen), self.clock.now())
        await self.announcer.announce(service.kf_id)

    async def _probe(self, url: str) -> None:
        try:
            await self.prober.probe(url)
        except Unavailable as error:
            raise Invalid({"url": [str(error)]}) from error

    async def _sync(self, data_service: DataService) -> SyncResult:
        async with self._syncing:
            synced = await self.store.sync_studies(await data_service.studies())
        for study_id in (*synced.new, *synced.deleted, *synced.restored):
            await self.announcer.announce(study_id)
        return synced

    async def is_own(self, caller: Caller, task_id: str) -> bool:
        """Tell whether a task is that of a callback token, or one of the service that a machine's token is for."""
        if caller.kind is Kind.TASK:
            return caller.task_id == task_id
        if caller.kind is not Kind.SERVICE or not caller.name:
            return False
        return caller.name == await self.store.people.client_of_task(task_id)

    async def _ask(self, release_id: str, request: Callable[[Draft], None], caller: Caller) -> ReleaseView:
        def decide(before: Snapshot) -> tuple[Change, tuple[ReleaseView, bool]]:
            draft = Draft(before, self.clock.now(), caller.name)
            request(draft)
            return draft.change(), (
                ReleaseView(draft.release, tuple(draft.tasks.values())),
                draft.release != before.release,
            )

        view, changed = await self.store.change(release_id, decide)
        if changed:
            await self._tell(release_id)
        return replace(view, notes=tuple(await self.store.notes_of(release_id)))

    async def _tell(self, release_id: str) -> None:
        await self.announcer.announce(release_id)
        await self.doorbell.ring(release_id)


def _health_event(service: TaskService, before: str, seen: str) -> NewEvent:
    kind = EventType.INFO if service.health_status == "ok" else EventType.WARNING
    told = f"task service {service.kf_id}: {seen}"[:_TOLD_CHARS]
    message = f"{told}; health changed from {before} to {service.health_status}"
    return NewEvent(kind, message, task_service_id=service.kf_id)


def as_shown(release: Release) -> Release:
    """Return a release without what only the engine knows of it, which may change at any moment."""
    return replace(release, look_at=None, lease=Lease())


def _request_key(caller: Caller, key: str, new: NewRelease) -> RequestKey | None:
    if not key:
        return None
    who = f"{caller.kind}:{caller.subject or caller.name}"[:_WHO_CHARS]
    return RequestKey(who, key, sha256(repr(new).encode()).hexdigest())


def _author(caller: Caller, given: str) -> str:
    """Return who did something: the caller, but where callers are not known, whoever they say."""
    return given if caller.kind is Kind.LOCAL else caller.name
