"""Webhooks over REST: register, list, show, change, remove, deliveries, redelivery, and a secret that is shown once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from lockstep.coordinator.adapters.clock import SystemClock
from lockstep.coordinator.adapters.webhooks import HttpWebhooks
from lockstep.coordinator.core.announcing import ReceiverKind
from lockstep.coordinator.core.callers import ANONYMOUS, LOCAL, Caller, Kind, Role
from lockstep.coordinator.core.errors import Forbidden, Invalid, Unauthorized
from lockstep.coordinator.core.records import PageOf
from lockstep.coordinator.engine.courier import Courier
from lockstep.coordinator.services.access import Access
from lockstep.coordinator.services.webhooks import WebhookEdit, WebhookInput, Webhooks
from lockstep.coordinator.store.memory import MemoryStore
from lockstep.protocol.states import ReleaseState
from tests.announcing.receivers import Receiving
from tests.conftest import Serve
from tests.faces import Coordinator, coordinator

HOOK = "https://receiver.example.org/hook?key=1"


@dataclass
class Face:
    """A coordinator with a courier, spoken to over REST."""

    coordinator: Coordinator
    web: httpx.AsyncClient
    courier: Courier

    async def call(self, method: str, path: str, **body: Any) -> tuple[int, Any]:
        answer = await self.web.request(method, path, **body)
        return answer.status_code, answer.json() if answer.content else None

    async def register(self, url: str = HOOK, **fields: Any) -> dict[str, Any]:
        status, webhook = await self.call("POST", "/webhooks", json={"url": url, **fields})
        assert status == 201, webhook
        return dict(webhook)

    async def something_happens(self) -> list[str]:
        """Take a release on its way, and return the ids of the events of that, oldest first."""
        view = await self.coordinator.release()
        await self.coordinator.bring(view.release.kf_id, ReleaseState.STAGED)
        events = await self.coordinator.store.events(PageOf(100))
        await self.courier.catch_up()
        return [event.kf_id for event in reversed(events.rows) if event.release_id == view.release.kf_id]


@asynccontextmanager
async def face() -> AsyncIterator[Face]:
    async with coordinator() as here, here.client() as web, HttpWebhooks(SystemClock()) as carrier:
        carriers = {ReceiverKind.WEBHOOK: carrier}
        yield Face(here, web, Courier(here.store.outbox, carriers, SystemClock(), "me"))


def test_a_webhook_is_registered_shown_changed_and_removed() -> None:
    async def go() -> None:
        async with face() as here:
            made = await here.register(description="for the portal")
            secret = made.pop("secret")
            assert Webhook(secret).sign("id", SystemClock().now(), "{}")
            expected = {"url": HOOK, "description": "for the portal", "author": "admin", "enabled": True}
            assert expected.items() <= made.items()
            path = f"/webhooks/{made['kf_id']}"
            assert await here.call("GET", path) == (200, made)
            assert (await here.call("GET", "/webhooks"))[1]["results"] == [made]
            status, changed = await here.call("PATCH", path, json={"enabled": False, "url": "http://other"})
            assert (status, changed) == (200, {**made, "enabled": False, "url": "http://other"})
            assert await here.call("DELETE", path) == (204, None)
            assert await here.call("GET", path) == (404, {"detail": "Not found."})

    asyncio.run(go())


@pytest.mark.parametrize(
    "url", ["", "receiver.example.org", "ftp://receiver", "http://", "http://a b", "http://me:secret@a", "http://a#b"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    async def go() -> None:
        async with face() as here:
            status, said = await here.call("POST", "/webhooks", json={"url": url})
            assert (status, list(said)) == (400, ["url"])

    asyncio.run(go())


def test_deliveries_are_told_and_sent_again_on_request(serve: Serve) -> None:
    async def go() -> None:
        receiving = Receiving()
        async with face() as here, serve(receiving.app) as url:
            before = await here.something_happens()
            webhook = await here.register(url)
            happened = await here.something_happens()
            assert [letter.id for letter in receiving.letters] == happened
            assert receiving.letters[0].verified(webhook["secret"])["type"] == "event.info"
            path = f"/webhooks/{webhook['kf_id']}/deliveries"
            status, page = await here.call("GET", f"{path}?limit=1&state=delivered")
            assert (status, page["count"]) == (200, len(happened))
            (newest,) = page["results"]
            assert (newest["event"], newest["attempts"], newest["status"]) == (happened[-1], 1, 204)
            for event_id in (before[0], happened[0]):
                status, waiting = await here.call("POST", f"{path}/{event_id}")
                assert (status, waiting["state"], waiting["event"]) == (202, "waiting", event_id)
            await here.courier.catch_up()
            assert {letter.id for letter in receiving.letters[-2:]} == {before[0], happened[0]}
            assert (await here.call("POST", f"{path}/EV_00000000"))[0] == 404
            await here.call("PATCH", f"/webhooks/{webhook['kf_id']}", json={"enabled": False})
            assert (await here.call("POST", f"{path}/{happened[0]}"))[0] == 409

    asyncio.run(go())


def test_a_new_secret_is_shown_once_and_the_old_one_holds_for_a_day(serve: Serve) -> None:
    async def go() -> None:
        receiving = Receiving()
        async with face() as here, serve(receiving.app) as url:
            webhook = await here.register(url)
            status, rotated = await here.call("POST", f"/webhooks/{webhook['kf_id']}/secret")
            assert (status, rotated["secret"] != webhook["secret"]) == (200, True)
            assert "secret" not in (await here.call("GET", f"/webhooks/{webhook['kf_id']}"))[1]
            await here.something_happens()
            for secret in (webhook["secret"], rotated["secret"]):
                assert receiving.letters[0].verified(secret)["data"]["kf_id"] == receiving.letters[0].id

    asyncio.run(go())


@pytest.mark.parametrize(
    ("caller", "refusal"),
    [
        (LOCAL, None),
        (Caller(Kind.PERSON, "ada", roles=frozenset({Role.DEV})), None),
        (Caller(Kind.PERSON, "bob", roles=frozenset({Role.USER})), Forbidden),
        (Caller(Kind.SERVICE, "reports"), Forbidden),
        (ANONYMOUS, Unauthorized),
    ],
)
def test_developers_alone_have_to_do_with_webhooks(caller: Caller, refusal: type[Exception] | None) -> None:
    async def go() -> None:
        webhooks = Webhooks(MemoryStore().outbox, SystemClock(), Access())
        made = await webhooks.register(WebhookInput(url=HOOK), LOCAL)
        for ask in (
            lambda: webhooks.register(WebhookInput(url=HOOK), caller),
            lambda: webhooks.edit(made.kf_id, WebhookEdit(), caller),
            lambda: webhooks.rotate(made.kf_id, caller),
            lambda: webhooks.one(made.kf_id, caller),
            lambda: webhooks.listed(PageOf(), caller),
            lambda: webhooks.deliveries(made.kf_id, PageOf(), None, caller),
            lambda: webhooks.delete(made.kf_id, caller),
        ):
            if refusal is None:
                await ask()
            else:
                with pytest.raises(refusal):
                    await ask()

    asyncio.run(go())


def test_the_guard_is_asked_when_an_address_is_given() -> None:
    async def go() -> None:
        async def refuse(address: str) -> None:
            raise Invalid({"url": [f"{address} is not called from here."]})

        outbox = MemoryStore().outbox
        made = await Webhooks(outbox, SystemClock(), Access()).register(WebhookInput(url=HOOK), LOCAL)
        guarded = Webhooks(outbox, SystemClock(), Access(), refuse)
        for asked in (
            guarded.register(WebhookInput(url=HOOK), LOCAL),
            guarded.edit(made.kf_id, WebhookEdit(url=HOOK), LOCAL),
        ):
            with pytest.raises(Invalid, match="is not called from here"):
                await asked

    asyncio.run(go())
