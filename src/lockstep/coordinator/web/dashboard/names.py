"""The names of what is only known by its id: one question to the store for each kind."""

from collections.abc import Iterable, Mapping

from starlette.requests import Request

from lockstep.coordinator.core.graph import Entity
from lockstep.coordinator.core.records import Event
from lockstep.coordinator.web.desk import desk_of, sight_of


async def names(request: Request, entity: Entity, kf_ids: Iterable[str | None]) -> Mapping[str, str]:
    """Return the names of some releases, studies or services, as far as the caller may see them."""
    wanted = list(dict.fromkeys(kf_id for kf_id in kf_ids if kf_id))
    if not wanted:
        return {}
    found = await desk_of(request).store.look_up(entity, wanted, sight_of(request))
    return {kf_id: str(getattr(node.record, "name", kf_id)) for kf_id, node in found.items()}


async def study_names(request: Request, study_ids: Iterable[str]) -> Mapping[str, str]:
    """Return the names of studies."""
    return await names(request, Entity.STUDY, study_ids)


async def service_names(request: Request, events: Iterable[Event]) -> Mapping[str, str]:
    """Return the names of the services that events are about."""
    return await names(request, Entity.SERVICE, (event.task_service_id for event in events))


async def release_names(request: Request, events: Iterable[Event]) -> Mapping[str, str]:
    """Return the names of the releases that events are about."""
    return await names(request, Entity.RELEASE, (event.release_id for event in events))
