"""The people who have been here: a caller's own profile, and everybody for those who may see them.

What a person may do comes with every token and is kept nowhere, so that only the caller's own roles and groups are
known here. A caller without a row of their own, such as a service, or anybody where callers are not known, has a
profile made up of what is known of them.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import strawberry
from strawberry.extensions import FieldExtension
from strawberry.types.field import StrawberryField

from lockstep.coordinator.core.callers import Caller
from lockstep.coordinator.core.errors import NotFound
from lockstep.coordinator.core.graph import Span
from lockstep.coordinator.core.records import PageOf
from lockstep.coordinator.core.users import Profile, User, UserFilter
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.web.graphql.connections import UNLIMITED, Connection, read_span, whole
from lockstep.coordinator.web.graphql.fields import PAGING, AnyNode, Info, argument
from lockstep.coordinator.web.graphql.filters import moment, read, read_order, text
from lockstep.coordinator.web.graphql.ids import global_id
from lockstep.coordinator.web.graphql.visit import Visit

_TEXTS: Final = {
    "email": "email",
    "email_Contains": "email_contains",
    "username": "username",
    "firstName": "first_name",
    "lastName": "last_name",
}
_TIMES: Final = {
    "lastLogin_Gt": "login_after",
    "lastLogin_Lt": "login_before",
    "dateJoined_Gt": "joined_after",
    "dateJoined_Lt": "joined_before",
}
_SECONDS: Final = {"joinedBefore": "joined_before", "joinedAfter": "joined_after"}
_ORDERS: Final = ("date_joined", "-date_joined")


@strawberry.type(description="Somebody who has been here. Roles and groups are told of the caller only.")
class UserNode(AnyNode):
    """Somebody who has been here."""

    username: str
    email: str
    first_name: str
    last_name: str
    picture: str
    slack_notify: bool
    slack_member_id: str
    date_joined: datetime
    last_login: datetime | None
    roles: list[str | None] | None
    groups: list[str | None] | None


async def my_profile(info: Info) -> UserNode | None:
    """Return the caller's own profile."""
    visit = info.context
    visit.must(Act.SEE_PROFILE)
    try:
        user = await visit.ask(visit.desk.store.people.user(visit.caller.subject))
    except NotFound:
        user = _made_up(visit)
    return _shown(user, visit.caller)


class ListOfUsers(FieldExtension):
    """Makes a field the list of users."""

    def apply(self, field: StrawberryField) -> None:
        """Give the field its arguments, whose names are not all spelt as the others are."""
        kinds: Mapping[str, Any] = {
            **dict.fromkeys(_TEXTS, str),
            **dict.fromkeys(_TIMES, datetime),
            **dict.fromkeys(_SECONDS, float),
        }
        field.arguments = [*PAGING, *(argument(name, kind, spelt=name) for name, kind in kinds.items())]

    async def resolve_async(self, next_: Any, source: Any, info: Info, **asked: Any) -> Connection[UserNode]:  # noqa: ANN401, ARG002
        """Return the list."""
        visit, span = info.context, read_span(info.field_name, asked)
        fields, oldest_first = _fields(asked), read_order(asked, _ORDERS)
        if not visit.may(Act.SEE_USERS):
            if not visit.caller.subject:
                return whole(())
            fields["sub"] = visit.caller.subject
        return await _users(visit, UserFilter(**fields), span, _ORDERS[0 if oldest_first else 1])


async def _users(visit: Visit, which: UserFilter, span: Span, order: str) -> Connection[UserNode]:
    people = visit.desk.store.people
    total = (await visit.ask(people.users(PageOf(1, 0, order), which))).count
    places = span.places(total, UNLIMITED)
    page = await visit.ask(people.users(PageOf(len(places), places.start, order), which))
    visit.count(len(page.rows))
    end = total if span.before is None else min(span.before, total)
    nodes = [_shown(user, visit.caller) for user in page.rows]
    earlier = span.last is not None and places.start > span.low
    return whole(nodes, places.start, more=places.stop < end, earlier=earlier)


def _fields(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a filter; of two bounds for one time the narrower counts."""
    given = {name: value for name, value in asked.items() if value is not None and value != ""}
    fields: dict[str, Any] = {field: read(name, text, given[name]) for name, field in _TEXTS.items() if name in given}
    times: list[tuple[str, Any]] = [(field, _in_utc(given[name])) for name, field in _TIMES.items() if name in given]
    times += [(field, read(name, moment, given[name])) for name, field in _SECONDS.items() if name in given]
    for field, time in times:
        narrower = min if field.endswith("before") else max
        fields[field] = narrower(time, fields.get(field, time))
    return fields


def _in_utc(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _made_up(visit: Visit) -> User:
    profile = Profile(visit.caller.subject, username=visit.caller.name)
    return User(0, profile, visit.desk.commands.clock.now())


def _shown(user: User, caller: Caller) -> UserNode:
    own = user.profile.sub == caller.subject
    profile = user.profile
    return UserNode(
        id=strawberry.ID(global_id("UserNode", user.number or None)),
        username=profile.username,
        email=profile.email,
        first_name=profile.first_name,
        last_name=profile.last_name,
        picture=profile.picture,
        slack_notify=user.slack_notify,
        slack_member_id=user.slack_member_id,
        date_joined=user.date_joined,
        last_login=user.last_login,
        roles=[role.value for role in sorted(caller.roles)] if own else [],
        groups=list[str | None](sorted(caller.groups)) if own else [],
    )


async def _nothing() -> None:
    """Stand for what `ListOfUsers` does."""


ALL_USERS: Final[Any] = strawberry.field(resolver=_nothing, extensions=[ListOfUsers()], description="Users.")
