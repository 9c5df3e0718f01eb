"""The courier with real receivers over HTTP, and a clock that a test moves through the day of retries."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from lockstep.coordinator.adapters.addresses import AddressGuard
from lockstep.coordinator.adapters.feed import LocalFeed
from lockstep.coordinator.adapters.webhooks import HttpWebhooks
from lockstep.coordinator.core.announcing import DeliveryState, Outcome, Receiver, ReceiverKind
from lockstep.coordinator.core.records import PageOf
from lockstep.coordinator.engine.courier import Courier
from lockstep.coordinator.ports import Outbox
from lockstep.coordinator.store.memory import MemoryStore
from lockstep.stack.processes import free_ports
from tests.announcing.log import EventLog, SetClock, event_log
from tests.announcing.receivers import Answer, Letter, Receiving
from tests.conftest import Serve
from tests.patience import PATIENCE_S, until

SECRET = "whsec_bG9ja3N0ZXAgbG9ja3N0ZXAgbG9ja3N0ZXA="
DAY_S = 86_400


@dataclass
class Announcing:
    """A courier on a log of events, and what it told its observer."""

    log: EventLog
    clock: SetClock
    courier: Courier
    outcomes: list[Outcome]

    @property
    def outbox(self) -> Outbox:
        return self.log.store.outbox

    async def webhook(self, url: str) -> Receiver:
        new = Receiver("", ReceiverKind.WEBHOOK, url, self.clock.now(), secret=SECRET)
        return await self.outbox.add_webhook(new)

    async def write(self, *messages: str) -> list[str]:
        return [event.kf_id for event in await self.log.write(*messages, at=self.clock.now())]

    async def after(self, seconds: float) -> None:
        self.clock.pass_by(seconds)
        await self.courier.catch_up()

    async def states(self, webhook: Receiver) -> dict[str, DeliveryState]:
        page = await self.outbox.deliveries(webhook.kf_id, PageOf(100))
        return {one.event.message: one.state for one in page.rows}


@asynccontextmanager
async def announcing(timeout_s: float = PATIENCE_S) -> AsyncIterator[Announcing]:
    log, outcomes = await event_log(MemoryStore()), list[Outcome]()
    # Receivers refuse what was signed long ago, so the clock begins with the time as it is.
    clock = SetClock(datetime.now(UTC))
    async with HttpWebhooks(clock, timeout_s) as webhooks:
        courier = Courier(
            log.store.outbox,
            {ReceiverKind.WEBHOOK: webhooks},
            clock,
            "me",
            observe=lambda _, outcome: outcomes.append(outcome),
        )
        yield Announcing(log, clock, courier, outcomes)


def refusing(*messages: str, status: int) -> Callable[[Letter], Answer]:
    return lambda letter: status if letter.message in messages else 200


def test_an_event_arrives_signed_and_says_what_happened(serve: Serve) -> None:
    async def go() -> None:
        receiving = Receiving()
        async with announcing() as here, serve(receiving.app) as url:
            await here.webhook(f"{url}/hook?key=1")
            (event,) = await here.log.write("task TA_00000001 changed from running to staged", at=here.clock.now())
            await here.courier.catch_up()
            (letter,) = receiving.letters
            created_at = event.created_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
            assert letter.verified(SECRET) == {
                "type": "event.info",
                "timestamp": created_at,
                "data": {
                    "kf_id": event.kf_id,
                    "event_type": "info",
                    "message": "task TA_00000001 changed from running to staged",
                    "task_service": None,
                    "task": None,
                    "release": here.log.release_id,
                    "actor": event.actor,
                    "created_at": created_at,
                },
            }
            assert (letter.id, letter.headers["content-type"]) == (event.kf_id, "application/json")

    asyncio.run(go())


def test_a_receiver_that_was_away_gets_everything_in_order_once_under_the_same_ids(serve: Serve) -> None:
    async def go() -> None:
        receiving = Receiving(lambda _: 503)
        async with announcing() as here, serve(receiving.app) as url:
            webhook = await here.webhook(url)
            ids = await here.write("one", "two")
            for pause_s in (0, 5, 15, 45):
                await here.after(pause_s)
            ids += await here.write("three")
            assert receiving.messages == ["one"] * 4
            receiving.answer = lambda _: 200
            await here.after(134)
            assert receiving.messages == ["one"] * 4
            await here.after(1)
            assert [letter.id for letter in receiving.letters] == [ids[0]] * 4 + ids
            assert set((await here.states(webhook)).values()) == {DeliveryState.DELIVERED}

    asyncio.run(go())


def test_one_that_never_answers_is_tried_for_a_day_and_then_given_up() -> None:
    """Each event is tried, the pauses are never longer than an hour, and then it is over."""

    async def go() -> None:
        (nobodys,) = free_ports(1)
        async with announcing() as here:
            webhook = await here.webhook(f"http://127.0.0.1:{nobodys}")
            await here.write("one", "two")
            for _ in range(int(DAY_S / 600) - 1):
                await here.after(600)
            assert await here.states(webhook) == {"one": DeliveryState.WAITING}
            tries = len(here.outcomes)
            assert 24 < tries < 40
            await here.write("late")
            await here.after(3600)
            assert await here.states(webhook) == {
                "one": DeliveryState.GIVEN_UP,
                "two": DeliveryState.GIVEN_UP,
                "late": DeliveryState.WAITING,
            }
            page = await here.outbox.deliveries(webhook.kf_id, PageOf(1, 2))
            assert "Cannot connect" in page.rows[0].error

    asyncio.run(go())


def test_a_receiver_that_is_away_delays_no_other(serve: Serve) -> None:
    """The slow one is still being waited for when the quick one has everything."""

    async def go() -> None:
        slow, quick = Receiving(lambda _: None), Receiving()
        async with announcing() as here, serve(slow.app) as slow_url, serve(quick.app) as quick_url:
            await here.webhook(slow_url)
            await here.webhook(quick_url)
            await here.write("one", "two", "three")
            working = asyncio.create_task(here.courier.catch_up())
            await until(lambda: len(quick.letters) == 3)
            assert slow.messages == ["one"]
            slow.hanging.set()
            await working
            assert (slow.messages, quick.messages) == (["one", "two", "three"], ["one", "two", "three"])

    asyncio.run(go())


def test_silence_ends_with_the_time_out_and_holds_the_line(serve: Serve) -> None:
    async def go() -> None:
        slow = Receiving(lambda _: None)
        async with announcing(timeout_s=0.2) as here, serve(slow.app) as url:
            webhook = await here.webhook(url)
            await here.write("one", "two")
            await here.courier.catch_up()
            assert (slow.messages, here.outcomes) == (["one"], [Outcome(False, error="no answer within 0.2 s")])
            slow.hanging.set()
            await here.after(5)
            assert set((await here.states(webhook)).values()) == {DeliveryState.DELIVERED}

    asyncio.run(go())


@pytest.mark.parametrize("status", [400, 422, 500])
def test_an_event_that_a_receiver_chokes_on_is_set_aside_and_tried_by_itself(serve: Serve, status: int) -> None:
    async def go() -> None:
        receiving = Receiving(refusing("bad", status=status))
        async with announcing() as here, serve(receiving.app) as url:
            webhook = await here.webhook(url)
            await here.write("good", "bad", "better")
            for pause_s in (0, 5, 15, 45, 135):
                assert "better" not in receiving.messages
                await here.after(pause_s)
            assert receiving.messages == ["good", *["bad"] * 5, "better"]
            assert (await here.states(webhook))["bad"] is DeliveryState.WAITING
            await here.after(405)
            receiving.answer = lambda _: 200
            await here.after(1215)
            assert receiving.messages[7:] == ["bad", "bad"]
            assert set((await here.states(webhook)).values()) == {DeliveryState.DELIVERED}

    asyncio.run(go())


def test_410_switches_a_receiver_off(serve: Serve) -> None:
    async def go() -> None:
        receiving = Receiving(lambda _: 410)
        async with announcing() as here, serve(receiving.app) as url:
            webhook = await here.webhook(url)
            await here.write("one", "two")
            await here.courier.catch_up()
            await here.after(DAY_S / 2)
            assert receiving.messages == ["one"]
            after = await here.outbox.webhook(webhook.kf_id)
            assert (after.enabled, after.disabled_because[:16]) == (False, "It answered 410,")

    asyncio.run(go())


def test_a_redirect_is_not_followed_and_tried_again(serve: Serve) -> None:
    """Where it leads to was not checked, and a receiver that moved for good is registered anew."""

    async def go() -> None:
        elsewhere = Receiving()
        async with announcing() as here, serve(elsewhere.app) as other_url:
            moved = Receiving(lambda _: {"status_code": 307, "headers": {"Location": other_url}})
            async with serve(moved.app) as url:
                await here.webhook(url)
                await here.write("one")
                await here.courier.catch_up()
                await here.after(5)
        assert (moved.messages, elsewhere.messages) == (["one", "one"], [])
        assert [outcome.error for outcome in here.outcomes] == ["HTTP 307", "HTTP 307"]

    asyncio.run(go())


def test_a_receiver_may_ask_for_a_longer_pause(serve: Serve) -> None:
    async def go() -> None:
        receiving = Receiving(lambda _: {"status_code": 429, "headers": {"Retry-After": "60"}})
        async with announcing() as here, serve(receiving.app) as url:
            await here.webhook(url)
            await here.write("one")
            await here.courier.catch_up()
            await here.after(59)
            assert len(receiving.letters) == 1
            await here.after(1)
            assert len(receiving.letters) == 2

    asyncio.run(go())


def test_while_a_secret_is_changed_both_sign(serve: Serve) -> None:
    async def go() -> None:
        receiving = Receiving()
        other = "whsec_YW5vdGhlciBzZWNyZXQgYWx0b2dldGhlcg=="
        async with announcing() as here, serve(receiving.app) as url:
            webhook = await here.webhook(url)
            until_then = here.clock.now() + timedelta(days=1)
            change = {"secret": other, "old_secret": SECRET, "old_secret_until": until_then}
            await here.outbox.edit_webhook(webhook.kf_id, change)
            await here.write("one")
            await here.courier.catch_up()
            (letter,) = receiving.letters
            assert letter.verified(SECRET) == letter.verified(other) == json.loads(letter.body)

    asyncio.run(go())


def test_an_address_that_a_deployment_forbids_is_not_called(serve: Serve) -> None:
    async def go() -> None:
        receiving = Receiving()
        guard = AddressGuard(allow_private=False)
        async with announcing() as here, serve(receiving.app) as url, HttpWebhooks(here.clock, guard=guard) as guarded:
            here.courier.carriers = {ReceiverKind.WEBHOOK: guarded}
            await here.webhook(url)
            await here.write("one")
            await here.courier.catch_up()
            assert receiving.letters == []
            assert "which this deployment does not call" in here.outcomes[0].error

    asyncio.run(go())


def test_what_was_tried_is_recorded_when_the_courier_is_stopped(serve: Serve) -> None:
    """It hears of commits by the feed, and what a receiver took is not sent again by the next courier."""

    async def go() -> None:
        receiving = Receiving(lambda letter: None if letter.message == "three" else 200)
        async with announcing() as here, serve(receiving.app) as url:
            webhook = await here.webhook(url)
            feed = LocalFeed()
            working = asyncio.create_task(here.courier.run(feed))
            await here.write("one", "two", "three")
            await feed.announce(here.log.release_id)
            await until(lambda: len(receiving.letters) == 3)
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            assert await here.states(webhook) == {"one": DeliveryState.DELIVERED, "two": DeliveryState.DELIVERED}
            receiving.hanging.set()
            await here.courier.catch_up()
            assert receiving.messages == ["one", "two", "three", "three"]

    asyncio.run(go())


@pytest.mark.parametrize("turns", range(4))
def test_a_courier_ends_when_it_is_stopped_in_the_moment_of_an_announcement(turns: int) -> None:
    async def go() -> None:
        async with announcing() as here:
            feed = LocalFeed()
            for turns_before in range(8):
                working = asyncio.create_task(here.courier.run(feed))
                await _turns(turns_before)
                await feed.announce(here.log.release_id)
                await _turns(turns)
                working.cancel()
                await asyncio.wait({working}, timeout=PATIENCE_S)
                assert working.cancelled(), f"it went on when stopped {turns} turns of the loop after the announcement"

    asyncio.run(go())


async def _turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def test_two_couriers_share_the_work_and_deliver_once(serve: Serve) -> None:
    async def go() -> None:
        receiving = Receiving()
        async with announcing() as here, serve(receiving.app) as url:
            await here.webhook(url)
            other = Courier(here.outbox, here.courier.carriers, here.clock, "other")
            written = [str(n) for n in range(250)]
            await here.write(*written)
            await asyncio.gather(*(courier.catch_up() for courier in (here.courier, other)))
            await here.courier.catch_up()
            assert receiving.messages == written

    asyncio.run(go())


def test_a_redelivery_comes_again_under_the_same_id(serve: Serve) -> None:
    async def go() -> None:
        receiving = Receiving()
        async with announcing() as here, serve(receiving.app) as url:
            webhook = await here.webhook(url)
            (event_id, _) = await here.write("one", "two")
            await here.courier.catch_up()
            await here.outbox.redeliver(webhook.kf_id, event_id, here.clock.now())
            await here.courier.catch_up()
            assert [letter.id for letter in receiving.letters if letter.message == "one"] == [event_id] * 2
            assert set((await here.states(webhook)).values()) == {DeliveryState.DELIVERED}

    asyncio.run(go())
