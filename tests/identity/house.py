"""A coordinator with everything in it, and a way in for every kind of caller: what the matrix is tried on."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, cast

import httpx
from fastapi import FastAPI
from joserfc.jwk import RSAKey

from lockstep.coordinator.adapters.addresses import AddressGuard
from lockstep.coordinator.adapters.clock import SystemClock
from lockstep.coordinator.adapters.feed import LocalFeed
from lockstep.coordinator.adapters.identity import OidcIdentity
from lockstep.coordinator.adapters.oidc import Issuer
from lockstep.coordinator.adapters.prober import HttpProber
from lockstep.coordinator.core.announcing import Receiver, ReceiverKind
from lockstep.coordinator.core.draft import Draft
from lockstep.coordinator.core.model import Change, EventType, Snapshot
from lockstep.coordinator.core.records import NewNote, NewRelease, StudyFacts
from lockstep.coordinator.ports import Store
from lockstep.coordinator.services.access import Access
from lockstep.coordinator.services.callback_tokens import CallbackTokens
from lockstep.coordinator.services.commands import Commands
from lockstep.coordinator.services.discretion import DiscreetStore
from lockstep.coordinator.services.recognition import Recognition
from lockstep.coordinator.store.memory import MemoryStore
from lockstep.coordinator.web.app import make_app
from lockstep.coordinator.web.desk import Desk
from lockstep.coordinator.web.operations import Operation
from lockstep.protocol.states import ReleaseState
from tests.conftest import Serve
from tests.faces import STUDIES, Bell, Coordinator
from tests.identity.matrix import TARGETS, Target
from tests.identity.provider import GROUPS, ROLES
from tests.identity.published import published

SECRET: Final = "a secret of the deployment that nobody guesses"
INTERNAL: Final = "10.11.12.13"
"""Where the services are: nobody's business but of those who run the place."""

CAUSE: Final = f"request to start task failed: http://{INTERNAL}:8282: they said swordfish"
PREVIEW: Final = "http://preview.internal/"
_NOW: Final = datetime(2026, 3, 4, tzinfo=UTC)
_KEY: Final = RSAKey.generate_key(2048, {"kid": "one"})
_CLAIMS: Final[Mapping[str, dict[str, Any]]] = {
    "admin": {"nickname": "ada", ROLES: ["ADMIN"]},
    "dev": {"nickname": "dev", ROLES: ["DEV"]},
    "user": {"nickname": "uma", ROLES: ["USER"], GROUPS: [STUDIES[1]]},
    "outsider": {"nickname": "out", ROLES: ["USER"], GROUPS: ["SD_ZZZZZZZZ"]},
    "admin client": {"gty": "client-credentials", "azp": "deployer"},
    "service": {"gty": "client-credentials", "azp": "reports-client", ROLES: ["ADMIN"], GROUPS: list(STUDIES)},
    "other service": {"gty": "client-credentials", "azp": "other-client"},
}


@dataclass
class House:
    """One coordinator, furnished, and the headers of every caller."""

    app: FastAPI
    store: Store
    targets: Mapping[str, Target]
    headers: Mapping[str, Mapping[str, str]]

    def web(self, caller: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        base_url = "http://coordinator:5000"
        return httpx.AsyncClient(transport=transport, base_url=base_url, headers=self.headers[caller])

    async def ask(self, caller: str, operation: Operation, target: Target) -> httpx.Response:
        async with self.web(caller) as web:
            path, body = target.path(operation.path), target.body(operation.call.__name__)
            return await web.request(operation.method, path, json=body)


@asynccontextmanager
async def houses(serve: Serve, access: Access | None = None) -> AsyncIterator[Callable[[], Awaitable[House]]]:
    """Give a way to build houses, one after the other, behind one application; its issuer is served over HTTP."""
    async with (
        published(serve, _KEY) as there,
        Issuer(there.url) as issuer,
        HttpProber(1, AddressGuard()) as prober,
    ):
        tokens = {name: there.token(_KEY, **{"sub": name, **said}) for name, said in _CLAIMS.items()}
        identity = OidcIdentity(issuer, "lockstep", admin_clients=["deployer"])
        recognition = Recognition(MemoryStore().people, identity, SystemClock(), SECRET)

        def desk(store: Store) -> Desk:
            commands = Commands(store, Bell(), LocalFeed(), SystemClock(), prober, None, access or Access())
            made = Desk(commands, store, LocalFeed(), recognition=recognition)
            made.closing.set()  # event streams end at once
            return made

        app = make_app(desk(MemoryStore()))

        async def build() -> House:
            mine = desk(MemoryStore())
            app.state.desk = replace(mine, store=cast("Store", DiscreetStore(mine.store)))
            targets = await _furnish(Coordinator(mine.store, LocalFeed(), Bell(), mine.commands, mine))
            callbacks = {"task": targets["own"].task_id, "other task": targets["foreign"].task_id}
            whole = tokens | {name: CallbackTokens(SECRET).issue(task_id) for name, task_id in callbacks.items()}
            headers = {name: {"Authorization": f"Bearer {token}"} for name, token in whole.items()}
            return House(app, mine.store, targets, {**headers, "anonymous": {}})

        yield build


async def _furnish(c: Coordinator) -> Mapping[str, Target]:
    """Put in a release of each kind: published, of the user's study, and of a study and a service of others."""
    await c.store.sync_studies([StudyFacts(kf_id, f"Study {kf_id}", True, _NOW) for kf_id in STUDIES])
    url = f"http://{INTERNAL}:8282"
    reports = await c.service("reports", url, client_id="reports-client")
    other = await c.service("other", url, client_id="other-client")
    webhook = await c.store.outbox.add_webhook(Receiver("", ReceiverKind.WEBHOOK, f"{url}/hook", _NOW, secret="whsec_"))
    targets: dict[str, Target] = {}
    for name, study_id in zip(TARGETS, STUDIES, strict=True):
        service, away = (other, reports) if name == "foreign" else (reports, other)
        await c.store.edit_service(service.kf_id, {"enabled": True})
        await c.store.edit_service(away.kf_id, {"enabled": False})
        new = NewRelease(f"name of {name}", (study_id,), f"text of {name}", f"author of {name}", (f"tag of {name}",))
        release_id = (await c.store.create_release(new, _NOW)).release.kf_id
        await c.bring(release_id, ReleaseState.PUBLISHED if name == "published" else ReleaseState.STAGED)
        await c.store.change(release_id, _failing)
        note = await c.store.add_note(NewNote(f"note of {name}", release_id, study_id, f"author of {name}"), _NOW)
        view, events = await c.store.release(release_id), await c.store.events_after(release_id, 0, 1)
        ids = (view.tasks[0].kf_id, service.kf_id, note.kf_id, events[0].kf_id, webhook.kf_id)
        targets[name] = Target(release_id, study_id, *ids)
    return targets


def _failing(before: Snapshot) -> tuple[Change, None]:
    """Have something gone wrong on the way, which is told with what the service is called and what it said."""
    draft = Draft(before, _NOW, "ada")
    for task_id in before.tasks:
        draft.note(CAUSE, event_type=EventType.WARNING, task=draft.set_task(task_id, last_error=CAUSE, preview=PREVIEW))
    return draft.change(), None
