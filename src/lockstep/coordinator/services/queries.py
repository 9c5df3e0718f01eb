"""What people may ask to see, where it takes more than one read of the store, or more than a `Sight` to answer.

The rest is the store's own: a face calls its lists and single reads directly, for there is nothing to add to them.
"""

from dataclasses import replace

from lockstep.coordinator.core.callers import ALL, Caller, Kind, Sight
from lockstep.coordinator.core.errors import Invalid, NotFound
from lockstep.coordinator.core.model import Release
from lockstep.coordinator.core.records import (
    NoteFilter,
    Page,
    PageOf,
    ReleaseNote,
    ReleaseView,
    Study,
    StudyFilter,
    TaskFilter,
    TaskView,
)
from lockstep.coordinator.ports import Store
from lockstep.coordinator.services.access import Access, Act
from lockstep.coordinator.services.discretion import seen
from lockstep.protocol.ids import Prefix, is_id
from lockstep.protocol.states import SETTLED_RELEASES


async def release(store: Store, access: Access, release_id: str, caller: Caller) -> ReleaseView:
    """Return a release; to those who may see no more of one in flight, its id, studies, state and version.

    Raises:
        NotFound: there is no such release, or the caller may not see it.
    """
    try:
        return await store.release(release_id, access.sight(caller))
    except NotFound:
        own = caller.task_id is not None and (await store.task(caller.task_id)).release_id == release_id
        if not access.allows(caller, Act.SEE_IN_FLIGHT, own=own):
            raise
    view = await store.release(release_id, ALL)
    if view.release.state in SETTLED_RELEASES:
        raise NotFound(f"There is no release {release_id}.")
    return ReleaseView(replace(view.release, name="", description="", author="", tags=(), waits_for=None))


async def decided(store: Store, access: Access, release_id: str, caller: Caller) -> Release | None:
    """Return a release of which somebody wants to know what was decided, None for one that is not known.

    Whatever was sent to a service was stored before, and so was the decision to publish. A release that is not known
    was never begun, or is not among what was put back after a loss, and will not be published.

    Raises:
        NotFound: the id is none of a release, or the caller may not know.
    """
    try:
        release = (await store.release(release_id, ALL)).release
    except NotFound:
        is_lost = caller.task_id is not None and await _release_of(store, caller.task_id) is None
        if is_id(release_id, Prefix.RELEASE) and access.allows(caller, Act.SEE_DECISION, own=is_lost):
            return None
        raise
    own = caller.task_id is not None and await _release_of(store, caller.task_id) == release_id
    seen_anyway = access.sight(caller).sees(release.state, release.studies)
    if seen_anyway or access.allows(caller, Act.SEE_DECISION, own=own):
        return release
    raise NotFound(f"There is no release {release_id}.")


async def _release_of(store: Store, task_id: str) -> str | None:
    try:
        return (await store.task(task_id)).release_id
    except NotFound:
        return None


async def task(store: Store, access: Access, task_id: str, caller: Caller) -> TaskView:
    """Return a task; a callback token sees its own.

    Raises:
        NotFound: there is no such task, or the caller may not see it.
    """
    sight = access.sight(caller)
    if caller.kind is Kind.TASK and caller.task_id == task_id:
        return seen(await store.task(task_id, ALL), sight)
    return await store.task(task_id, sight)


async def tasks(store: Store, page: PageOf, which: TaskFilter, sight: Sight = ALL) -> Page[TaskView]:
    """Return a page of tasks.

    Raises:
        Invalid: there is no such release or service; a list that is merely empty would hide a slip of the pen.
    """
    found = await store.tasks(page, which, sight)
    if found.count == 0:
        await _must_exist(store, which, sight)
    return found


async def notes(store: Store, page: PageOf, which: NoteFilter, sight: Sight = ALL) -> Page[ReleaseNote]:
    """Return a page of release notes.

    Raises:
        Invalid: there is no such release or study, as with tasks.
    """
    found = await store.notes(page, which, sight)
    if found.count == 0:
        await _must_exist(store, TaskFilter(which.release_id), sight)
        if which.study_id is not None:
            try:
                await study(store, which.study_id, sight)
            except NotFound as error:
                raise Invalid({"study": [str(error)]}) from None
    return found


async def study(store: Store, study_id: str, sight: Sight = ALL) -> Study:
    """Return a study.

    Raises:
        NotFound: there is no such study, or it may not be seen.
    """
    found = await store.study(study_id)
    if not sight.everything and (found.deleted or not found.visible):
        raise NotFound(f"There is no study {study_id}.")
    return seen(found, sight)


async def studies(store: Store, page: PageOf, which: StudyFilter | None = None, sight: Sight = ALL) -> Page[Study]:
    """Return a page of studies; to those who do not see everything, of those that the data service shows."""
    which = which or StudyFilter()
    if sight.everything:
        return await store.studies(page, which)
    if which.visible is False or which.deleted is True:
        return Page((), 0)
    shown = await store.studies(page, replace(which, visible=True, deleted=False))
    return Page(tuple(seen(study, sight) for study in shown.rows), shown.count)


async def _must_exist(store: Store, which: TaskFilter, sight: Sight) -> None:
    try:
        if which.release_id is not None:
            await store.release(which.release_id, sight)
    except NotFound as error:
        raise Invalid({"release": [str(error)]}) from None
    try:
        if which.task_service_id is not None:
            await _service_must_exist(store, which.task_service_id, sight)
    except NotFound as error:
        raise Invalid({"task_service": [str(error)]}) from None


async def _service_must_exist(store: Store, service_id: str, sight: Sight) -> None:
    """Let a service pass that is there; those who see part of the releases know services by the tasks that they see."""
    if sight.everything:
        await store.service(service_id)
    elif (await store.tasks(PageOf(1), TaskFilter(task_service_id=service_id), sight)).count == 0:
        raise NotFound(f"There is no task service {service_id}.")
