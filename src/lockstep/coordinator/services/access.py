"""Who may do what: one table, from which REST, GraphQL, the dashboard and the command line are answered.

A row of `TABLE` is an act, and says for each standing that a caller can have whether it is allowed, and in which
words it is refused. Commands ask here themselves, so that no face can forget to; what may be seen is told as a
`Sight`, which the store's lists and single reads take as a filter. What somebody may not see does not exist for them:
it is left out of lists and answered with "not found".

An error says the words that REST clients know. GraphQL clients know others, `graphql_refusal`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lockstep.coordinator.core.callers import ALL, PUBLIC, Caller, Kind, Role, Sight
from lockstep.coordinator.core.errors import Forbidden, Unauthorized

NOT_SIGNED_IN: Final = "Authentication credentials were not provided."
NO_PROFILE: Final = "not authenticated as a user with a profile"


class Standing(StrEnum):
    """What a caller is to us, in the order of trust; the columns of the table."""

    ADMIN = "admin"
    DEV = "dev"
    USER = "user"
    SERVICE = "service"
    TASK = "task"
    ANONYMOUS = "anonymous"


class Allowed(StrEnum):
    """One field of the table."""

    YES = "yes"
    OWN = "own"
    """Only for what is the caller's own: studies of their groups, tasks of their service, their one task."""

    SET = "set"
    """Only where a setting of the deployment allows it to everybody."""

    NO = "no"


class Act(StrEnum):
    """What can be asked of the coordinator; the rows of the table."""

    CREATE_RELEASE = "create a release"
    EDIT_RELEASE = "edit a release"
    CANCEL_RELEASE = "cancel a release"
    PUBLISH_RELEASE = "publish a release"
    REPORT_TASK = "report on a task"
    ADD_TASK = "add a task to a release"
    CREATE_NOTE = "write a release note"
    EDIT_NOTE = "change a release note"
    REMOVE_NOTE = "remove a release note"
    WRITE_EVENT = "write an event"
    SYNC_STUDIES = "sync the studies"
    CHECK = "have tasks, releases or services checked"
    SEE_SERVICES = "see task services and their addresses"
    REGISTER_SERVICE = "register a task service"
    EDIT_SERVICE = "change or remove a task service"
    SEE_ANNOUNCEMENTS = "see webhooks and their deliveries"
    EDIT_ANNOUNCEMENTS = "add, change or remove webhooks, and deliver again"
    SEE_PUBLISHED = "see published releases with their tasks, notes and events"
    SEE_IN_FLIGHT = "see ids, studies, state and version of a release in flight"
    SEE_DECISION = "see what was decided about a release"
    SEE_ALL = "see every release with all that hangs on it"
    SEE_PROFILE = "see one's own profile"
    SEE_USERS = "see all users"


@dataclass(frozen=True, slots=True)
class Row:
    """One act.

    Attributes:
        allowed: by standing, in the order of `Standing`.
        refusal: what REST says to somebody who is known and may not.
        graphql: what GraphQL says to anybody who may not; as `refusal` where clients know nothing else.
    """

    allowed: tuple[Allowed, Allowed, Allowed, Allowed, Allowed, Allowed]
    refusal: str
    graphql: str = ""


_Y, _O, _S, _N = Allowed.YES, Allowed.OWN, Allowed.SET, Allowed.NO
_RELEASES, _ADMIN, _DEV = "Not allowed", "Must be an admin", "Must be a developer"

TABLE: Final[Mapping[Act, Row]] = {
    #                          ADMIN DEV USER SERVICE TASK ANONYMOUS
    Act.CREATE_RELEASE: Row((_Y, _Y, _O, _N, _N, _N), _RELEASES, "Not authenticated to create a release."),
    Act.EDIT_RELEASE: Row((_Y, _Y, _N, _N, _N, _N), _RELEASES, "Not authenticated to update the release."),
    Act.CANCEL_RELEASE: Row((_Y, _Y, _N, _N, _N, _N), _RELEASES, "Not authenticated to cancel a release."),
    Act.PUBLISH_RELEASE: Row((_Y, _N, _N, _N, _N, _N), _RELEASES, "Not authenticated to publish a release."),
    Act.REPORT_TASK: Row((_Y, _Y, _N, _O, _O, _S), _ADMIN),
    Act.ADD_TASK: Row((_Y, _Y, _N, _N, _N, _N), _ADMIN),
    Act.CREATE_NOTE: Row((_Y, _Y, _N, _N, _N, _N), _ADMIN, "Not authenticated to create a release note."),
    Act.EDIT_NOTE: Row((_Y, _Y, _N, _N, _N, _N), _ADMIN, "Not authenticated to update a release note."),
    Act.REMOVE_NOTE: Row((_Y, _Y, _N, _N, _N, _N), _ADMIN, "Not authenticated to delete a release note."),
    Act.WRITE_EVENT: Row((_Y, _Y, _N, _O, _O, _N), _ADMIN),
    Act.SYNC_STUDIES: Row((_Y, _Y, _N, _N, _N, _N), _DEV, "Not authenticated to sync studies."),
    Act.CHECK: Row((_Y, _Y, _N, _N, _N, _N), _DEV),
    Act.SEE_SERVICES: Row((_Y, _Y, _N, _N, _N, _N), _DEV),
    Act.REGISTER_SERVICE: Row((_Y, _Y, _N, _N, _N, _N), _DEV, "Not authenticated to create a task service."),
    Act.EDIT_SERVICE: Row((_Y, _Y, _N, _N, _N, _N), _DEV, "Not authenticated to create a task service."),
    Act.SEE_ANNOUNCEMENTS: Row((_Y, _Y, _N, _N, _N, _N), _DEV),
    Act.EDIT_ANNOUNCEMENTS: Row((_Y, _Y, _N, _N, _N, _N), _DEV),
    Act.SEE_PUBLISHED: Row((_Y, _Y, _Y, _Y, _Y, _Y), ""),
    Act.SEE_IN_FLIGHT: Row((_Y, _Y, _O, _Y, _O, _S), _RELEASES),
    Act.SEE_DECISION: Row((_Y, _Y, _O, _Y, _O, _S), _RELEASES),
    Act.SEE_ALL: Row((_Y, _Y, _O, _N, _N, _N), _RELEASES),
    Act.SEE_PROFILE: Row((_Y, _Y, _Y, _N, _N, _N), NO_PROFILE, NO_PROFILE),
    Act.SEE_USERS: Row((_Y, _Y, _N, _N, _N, _N), _DEV),
}


@dataclass(frozen=True, slots=True)
class Access:
    """The table together with the two choices that a deployment has.

    Attributes:
        open_reads: callers without a token may see ids, studies, state and version of a release in flight.
        open_reports: callers without a token may report on tasks.
    """

    open_reads: bool = False
    open_reports: bool = False

    def allows(self, caller: Caller, act: Act, *, own: bool = False) -> bool:
        """Tell whether a caller may do something; `own` says whether it is done to what is theirs."""
        allowed = allowed_to(standing(caller), act)
        if allowed is Allowed.OWN:
            return own
        if allowed is Allowed.SET:
            return self.open_reports if act is Act.REPORT_TASK else self.open_reads
        return allowed is Allowed.YES

    def check(self, caller: Caller, act: Act, *, own: bool = False) -> None:
        """Let a caller pass who may do something; `own` says whether it is done to what is theirs.

        Raises:
            Unauthorized: they may not, and nobody knows who they are.
            Forbidden: they may not.
        """
        if self.allows(caller, act, own=own):
            return
        if caller.kind is Kind.ANONYMOUS:
            raise Unauthorized(NOT_SIGNED_IN)
        raise Forbidden(TABLE[act].refusal)

    def check_ever(self, caller: Caller, act: Act) -> None:
        """Let a caller pass who may do something to their own things at least: a refusal before anything is read.

        Raises:
            Unauthorized, Forbidden: as `check`.
        """
        self.check(caller, act, own=True)

    def check_studies(self, caller: Caller, studies: Collection[str]) -> None:
        """Let a caller pass who may create a release of some studies.

        Raises:
            Unauthorized, Forbidden: as `check`.
        """
        self.check(caller, Act.CREATE_RELEASE, own=bool(studies) and caller.groups.issuperset(studies))

    def sight(self, caller: Caller) -> Sight:
        """Return which releases a caller sees: all, those published and of their groups, or those published."""
        if self.allows(caller, Act.SEE_ALL):
            return ALL
        if allowed_to(standing(caller), Act.SEE_ALL) is Allowed.OWN:
            return Sight(studies=caller.groups)
        return PUBLIC


def standing(caller: Caller) -> Standing:
    """Return what a caller is to us. A machine that is no admin client is a service, whatever its token says."""
    if Role.ADMIN in caller.roles:
        return Standing.ADMIN
    if caller.kind is not Kind.PERSON:
        return _OF_KIND[caller.kind]
    return Standing.DEV if Role.DEV in caller.roles else Standing.USER


_OF_KIND: Final = {
    Kind.LOCAL: Standing.ADMIN,
    Kind.SERVICE: Standing.SERVICE,
    Kind.TASK: Standing.TASK,
    Kind.ANONYMOUS: Standing.ANONYMOUS,
}
_COLUMN: Final = {who: column for column, who in enumerate(Standing)}


def allowed_to(who: Standing, act: Act) -> Allowed:
    """Return the field of the table."""
    return TABLE[act].allowed[_COLUMN[who]]


def graphql_refusal(act: Act) -> str:
    """Return what GraphQL says to a caller who may not do something."""
    return TABLE[act].graphql or TABLE[act].refusal
