"""What people may ask to see, where it takes more than one read of the store.

The rest is the store's own: a face calls its lists and single reads directly, for there is nothing to add to them.
"""

from lockstep.coordinator.core.errors import Invalid, NotFound
from lockstep.coordinator.core.records import Page, PageOf, TaskFilter, TaskView
from lockstep.coordinator.ports import Store


async def tasks(store: Store, page: PageOf, which: TaskFilter) -> Page[TaskView]:
    """Return a page of tasks.

    Raises:
        Invalid: there is no such release or service; a list that is merely empty would hide a slip of the pen.
    """
    found = await store.tasks(page, which)
    if found.count == 0:
        await _must_exist(store, which)
    return found


async def _must_exist(store: Store, which: TaskFilter) -> None:
    try:
        if which.release_id is not None:
            await store.release(which.release_id)
    except NotFound as error:
        raise Invalid({"release": [str(error)]}) from None
    try:
        if which.task_service_id is not None:
            await store.service(which.task_service_id)
    except NotFound as error:
        raise Invalid({"task_service": [str(error)]}) from None
