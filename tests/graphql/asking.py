"""What tests of GraphQL share: a coordinator on a real store, callers of every kind, and somebody who asks."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from lockstep.coordinator.adapters.clock import SystemClock
from lockstep.coordinator.core.callers import Caller, Kind, Role
from lockstep.coordinator.core.errors import Unauthorized
from lockstep.coordinator.core.records import NewNote, ReleaseNote, ReleaseView
from lockstep.coordinator.core.users import Profile
from lockstep.coordinator.services.recognition import Recognition
from lockstep.coordinator.store.opening import open_store
from lockstep.protocol.states import ReleaseState
from tests.faces import STUDIES, Coordinator, coordinator

PEOPLE = {
    "admin": Caller(Kind.PERSON, "ada", "auth0|ada", frozenset({Role.ADMIN})),
    "dev": Caller(Kind.PERSON, "dan", "auth0|dan", frozenset({Role.DEV})),
    "user": Caller(Kind.PERSON, "uma", "auth0|uma", frozenset({Role.USER}), frozenset({STUDIES[1]})),
    "admin client": Caller(Kind.SERVICE, "release@clients", "release@clients", frozenset({Role.ADMIN})),
    "service": Caller(Kind.SERVICE, "machine@clients", "machine@clients"),
    "task": Caller(Kind.TASK, "TA_00000001", task_id="TA_00000001"),
}
ANYBODY = (*PEOPLE, "anonymous")


class TokenBook:
    """An issuer of tokens that are called as their owners are."""

    async def of_token(self, token: str) -> tuple[Caller, Profile]:
        if token not in PEOPLE:
            raise Unauthorized(f"There is no token {token!r}.")
        caller = PEOPLE[token]
        return caller, Profile(caller.subject, caller.name, f"{caller.name}@example.org", token.capitalize(), "Test")

    async def profile(self, token: str) -> Profile | None:
        return None


@dataclass
class Asked:
    """A coordinator, and a client that asks it as one caller or another."""

    c: Coordinator
    web: httpx.AsyncClient

    async def whole(self, query: str, by: str = "anonymous", **variables: Any) -> dict[str, Any]:
        """Return a whole answer, which is 200 whatever it says."""
        headers = {} if by == "anonymous" else {"authorization": f"Bearer {by}"}
        answer = await self.web.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def data(self, query: str, by: str = "admin", **variables: Any) -> dict[str, Any]:
        """Return the data of an answer without errors."""
        body = await self.whole(query, by, **variables)
        assert "errors" not in body, body["errors"]
        data: dict[str, Any] = body["data"]
        return data

    async def error(self, query: str, by: str = "admin", **variables: Any) -> str:
        """Return the sentence of the one error of an answer."""
        body = await self.whole(query, by, **variables)
        [error] = body["errors"]
        sentence: str = error["message"]
        return sentence

    async def release(self, *studies: str, state: ReleaseState = ReleaseState.WAITING, name: str = "r") -> ReleaseView:
        view = await self.c.release(*studies, name=name)
        return await self.c.bring(view.release.kf_id, state)

    async def note(self, view: ReleaseView, text: str = "new", study: str | None = None) -> ReleaseNote:
        new = NewNote(text, view.release.kf_id, study or view.release.studies[0])
        return await self.c.store.add_note(new, datetime.now(UTC))


def gid(type_name: str, key: object) -> str:
    return b64encode(f"{type_name}:{key}".encode()).decode()


def cursor(place: int) -> str:
    return b64encode(f"arrayconnection:{place}".encode()).decode()


def nodes(connection: Mapping[str, Any]) -> list[Any]:
    return [edge["node"] for edge in connection["edges"]]


@asynccontextmanager
async def asked(tmp_path: Path, *, identity: bool = True, **options: Any) -> AsyncIterator[Asked]:
    """Open a coordinator on SQLite; without identity everybody may do everything."""
    async with (
        open_store(f"sqlite:///{tmp_path}/lockstep.db") as store,
        coordinator(store, options.pop("data_service", None)) as c,
    ):
        if identity:
            c.desk = replace(c.desk, recognition=Recognition(store.people, TokenBook(), SystemClock(), "secret"))
        async with c.client(**options) as web:
            yield Asked(c, web)


def on_coordinator(body: Callable[[Asked], Awaitable[None]]) -> Callable[[Path], None]:
    """Run an asynchronous test on a coordinator that knows its callers."""

    def test(tmp_path: Path) -> None:
        async def main() -> None:
            async with asked(tmp_path) as a:
                await body(a)

        asyncio.run(main())

    test.__name__, test.__doc__ = body.__name__, body.__doc__
    return test
