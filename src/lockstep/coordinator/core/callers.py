"""Who asks something of the coordinator, as a value: what identity found out about a request, and nothing more.

Every face makes one of these from what it was sent and passes it on to the commands and the queries; what a caller may
do and see is answered from it in one place, `services/access.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lockstep.protocol.states import ReleaseState


class Role(StrEnum):
    """What a person is trusted with, by the words of the identity provider's roles."""

    ADMIN = "ADMIN"
    DEV = "DEV"
    USER = "USER"


class Kind(StrEnum):
    """What sort of caller this is."""

    LOCAL = "local"
    """Whoever reaches a coordinator that runs without identity: may do everything."""

    PERSON = "person"
    SERVICE = "service"
    """A machine with a token of its own, by client credentials."""

    TASK = "task"
    """A task service that has nothing but the callback token of one task."""

    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        kind: what sort of caller.
        name: what is written as author and actor: a person's user name, a service's client id, `anonymous`.
        subject: the `sub` of the token, by which the issuer knows the caller; empty where there is none.
        roles: a person's roles, empty for others. A machine that is listed as an admin client has `ADMIN`.
        groups: ids of the studies that a person belongs to.
        task_id: the task that a callback token is for.
    """

    kind: Kind
    name: str
    subject: str = ""
    roles: frozenset[Role] = frozenset()
    groups: frozenset[str] = frozenset()
    task_id: str | None = None


LOCAL: Final = Caller(Kind.LOCAL, "admin", roles=frozenset({Role.ADMIN}))
"""Everybody, where identity is switched off."""

ANONYMOUS: Final = Caller(Kind.ANONYMOUS, "anonymous")


@dataclass(frozen=True, slots=True)
class Sight:
    """Which releases, with all that hangs on them, a caller may see; the store's lists take it as a filter.

    Attributes:
        everything: all of them, whatever their state.
        studies: where not everything is seen: beside the published ones, those that hold one of these studies.
    """

    everything: bool = False
    studies: frozenset[str] = frozenset()

    def sees(self, state: ReleaseState, studies: Iterable[str]) -> bool:
        """Tell whether a release in a state, with some studies, may be seen."""
        return self.everything or state is ReleaseState.PUBLISHED or not self.studies.isdisjoint(studies)


ALL: Final = Sight(everything=True)
PUBLIC: Final = Sight()
"""Published releases only."""
