"""Who asks, what they see, and what the pages therefore offer.

All of it is answered by `services.access`; that something is offered permits nothing, for the commands ask again.
"""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from lockstep.coordinator.core.callers import LOCAL, Caller, Sight
from lockstep.coordinator.services.access import Access, Act
from lockstep.coordinator.web.desk import desk_of

_UNSET: Final = Access()


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


def caller_of(request: Request) -> Caller:
    """Return who asks, as identity found out."""
    caller: Caller = getattr(request.state, "caller", LOCAL)
    return caller


def access_of(request: Request) -> Access:
    """Return the deployment's table of who may do what."""
    access: Access = getattr(desk_of(request), "access", _UNSET)
    return access


def sight_of(request: Request) -> Sight:
    """Return which releases the caller sees."""
    return access_of(request).sight(caller_of(request))


def may(request: Request) -> May:
    """Return what the caller is offered."""
    access, caller = access_of(request), caller_of(request)

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
