"""Couriers of several processes on one Postgres: the work is shared, and everything arrives once and in order."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from lockstep.coordinator.adapters.clock import SystemClock
from lockstep.coordinator.adapters.feed import LocalFeed
from lockstep.coordinator.adapters.webhooks import HttpWebhooks
from lockstep.coordinator.core.announcing import Receiver, ReceiverKind
from lockstep.coordinator.engine.courier import Courier
from lockstep.coordinator.store.opening import open_store
from tests.announcing.log import event_log
from tests.announcing.receivers import Receiving
from tests.conftest import Serve
from tests.patience import until

SECRET = "whsec_bG9ja3N0ZXAgbG9ja3N0ZXAgbG9ja3N0ZXA="


@pytest.mark.timeout(180)
def test_couriers_of_several_processes_deliver_once_and_in_order(serve: Serve, new_database: Callable[[], str]) -> None:
    """Releases are written by all of them, and each courier hears of its own process only."""

    async def go() -> None:
        receiving, clock, url = Receiving(), SystemClock(), new_database()
        async with AsyncExitStack() as stack:
            target = await stack.enter_async_context(serve(receiving.app))
            webhooks = await stack.enter_async_context(HttpWebhooks(clock))
            stores = [await stack.enter_async_context(open_store(url)) for _ in range(3)]
            new = Receiver("", ReceiverKind.WEBHOOK, target, clock.now(), secret=SECRET)
            await stores[0].outbox.add_webhook(new)
            logs = [await event_log(store) for store in stores]
            feeds = [LocalFeed() for _ in stores]
            carriers = {ReceiverKind.WEBHOOK: webhooks}
            couriers = [Courier(store.outbox, carriers, clock, str(n)) for n, store in enumerate(stores)]
            working = [asyncio.create_task(one.run(feed)) for one, feed in zip(couriers, feeds, strict=True)]

            async def write(n: int) -> None:
                for m in range(30):
                    await logs[n].write(f"{n} {m}")
                    await feeds[n].announce(logs[n].release_id)

            await asyncio.gather(*map(write, range(3)))
            await until(lambda: len(receiving.letters) >= 90)
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
            assert len({letter.id for letter in receiving.letters}) == len(receiving.letters) == 90
            for n in range(3):
                assert [text for text in receiving.messages if text[0] == str(n)] == [f"{n} {m}" for m in range(30)]

    asyncio.run(go())
