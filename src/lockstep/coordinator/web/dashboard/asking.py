"""Who asks, and what the pages therefore offer.

All of it is answered by `services.access`; that something is offered permits nothing, for the commands ask again.
"""

from dataclasses import dataclass

from starlette.requests import Request

from lockstep.coordinator.core.callers import Kind
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.web.callers import caller_of
from lockstep.coordinator.web.desk import desk_of


@dataclass(frozen=True, slots=True)
class May:
    """What a caller is offered."""

    plan: bool
    edit: bool
    publish: bool
    cancel: bool
    note: bool
    sync: bool
    check: bool
    see_services: bool
    register: bool
    edit_service: bool
    see_all: bool


def known(request: Request) -> bool:
    """Tell whether whoever asks is somebody, or identity is switched off, so that pages for those at work open."""
    return caller_of(request).kind is not Kind.ANONYMOUS


def may(request: Request) -> May:
    """Return what the caller is offered."""
    access, caller = desk_of(request).access, caller_of(request)

    def allowed(act: Act, *, own: bool = False) -> bool:
        return access.allows(caller, act, own=own)

    return May(
        plan=allowed(Act.CREATE_RELEASE, own=bool(caller.groups)),
        edit=allowed(Act.EDIT_RELEASE),
        publish=allowed(Act.PUBLISH_RELEASE),
        cancel=allowed(Act.CANCEL_RELEASE),
        note=allowed(Act.CREATE_NOTE),
        sync=allowed(Act.SYNC_STUDIES),
        check=allowed(Act.CHECK),
        see_services=allowed(Act.SEE_SERVICES),
        register=allowed(Act.REGISTER_SERVICE),
        edit_service=allowed(Act.EDIT_SERVICE),
        see_all=allowed(Act.SEE_ALL),
    )
