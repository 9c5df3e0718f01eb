"""What every outbox promises, as tests of one class. A subclass, at the end, only says how its store is opened."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lockstep.coordinator.core.announcing import (
    Batch,
    Delivery,
    DeliveryState,
    Outcome,
    Receiver,
    ReceiverKind,
    tried_aside,
    tried_in_line,
)
from lockstep.coordinator.core.errors import LeaseLost, NotFound
from lockstep.coordinator.core.records import PageOf
from lockstep.coordinator.ports import Outbox
from lockstep.protocol.ids import Prefix, is_id
from tests.announcing.log import NOW, EventLog, event_log
from tests.store.kinds import InMemory, OnPostgres, OnSqlite, Opens

MINUTE = timedelta(minutes=1)
HOOK = Receiver("", ReceiverKind.WEBHOOK, "https://receiver.example.org/hook?key=1", NOW, secret="whsec_MDAwMA==")
TAKEN, CHOKED = Outcome(taken=True, status=200), Outcome(taken=False, status=422, error="HTTP 422")
ARN = "arn:aws:sns:us-east-1:123456789012:releases"


def with_log(body: Callable[[Any, EventLog, Outbox], Awaitable[None]]) -> Callable[[Any, Path], None]:
    """Run an asynchronous test on an open store with a log of events."""

    def test(self: "OutboxContract", tmp_path: Path) -> None:
        async def main() -> None:
            async with self.opened(tmp_path) as store:
                await body(self, await event_log(store), store.outbox)

        asyncio.run(main())

    test.__name__, test.__doc__ = body.__name__, inspect.getdoc(body)
    return test


async def claim(outbox: Outbox, receiver_id: str, worker: str = "me", *, after: timedelta = timedelta()) -> Batch:
    batch = await outbox.claim(receiver_id, worker, NOW + after, until=NOW + after + MINUTE, alone=False)
    assert batch is not None
    return batch


async def deliver(outbox: Outbox, receiver_id: str, *outcomes: Outcome) -> None:
    """Try the next of the line, with these outcomes, and record."""
    batch = await claim(outbox, receiver_id)
    receiver, tried = batch.receiver, list[Delivery]()
    for delivery, outcome in zip(batch.line, outcomes, strict=False):
        receiver, after = tried_in_line(receiver, delivery, outcome, NOW)
        tried.append(after)
    await outbox.record(receiver, tried)


def told(deliveries: tuple[Delivery, ...]) -> list[str]:
    return [delivery.event.message for delivery in deliveries]


class OutboxContract(Opens):
    """The promises."""

    @with_log
    async def test_a_webhook_is_kept_as_it_was_given_and_begins_with_the_next_event(
        self, log: EventLog, outbox: Outbox
    ) -> None:
        before = await log.write("before")
        hook = await outbox.add_webhook(replace(HOOK, description="for the portal", author="ada"))
        assert is_id(hook.kf_id, Prefix.WEBHOOK)
        expected = replace(HOOK, kf_id=hook.kf_id, description="for the portal", author="ada")
        assert hook == replace(expected, cursor=before[0].position)
        assert await outbox.webhook(hook.kf_id) == hook
        assert await outbox.owed(NOW, alone=False) == []
        await log.write("after")
        assert await outbox.owed(NOW, alone=False) == [hook.kf_id]
        assert told((await claim(outbox, hook.kf_id)).line) == ["after"]

    @with_log
    async def test_the_line_has_the_order_of_the_log_and_goes_on_where_it_was(
        self, log: EventLog, outbox: Outbox
    ) -> None:
        hook = await outbox.add_webhook(HOOK)
        await log.write("one", "two", "three")
        await deliver(outbox, hook.kf_id, TAKEN, TAKEN)
        batch = await claim(outbox, hook.kf_id)
        assert (told(batch.line), batch.aside) == (["three"], ())
        assert batch.line[0] == Delivery(batch.line[0].event, NOW)
        await outbox.record(batch.receiver, ())
        await deliver(outbox, hook.kf_id, TAKEN)
        assert await outbox.owed(NOW, alone=False) == []

    @with_log
    async def test_one_at_a_time_is_at_work_on_a_receiver(self, log: EventLog, outbox: Outbox) -> None:
        """A claim runs out, can be ignored by who is alone, and what its holder still holds then is void."""
        hook = await outbox.add_webhook(HOOK)
        await log.write("one")
        first = await claim(outbox, hook.kf_id)
        assert await outbox.owed(NOW, alone=False) == []
        assert await outbox.claim(hook.kf_id, "other", NOW, until=NOW + MINUTE, alone=False) is None
        assert await outbox.owed(NOW, alone=True) == [hook.kf_id]
        assert await outbox.owed(NOW + MINUTE, alone=False) == [hook.kf_id]
        second = await claim(outbox, hook.kf_id, "other", after=MINUTE)
        with pytest.raises(LeaseLost):
            await outbox.record(replace(first.receiver, cursor=99), ())
        await outbox.record(second.receiver, ())
        assert (await outbox.webhook(hook.kf_id)).cursor == hook.cursor

    @with_log
    async def test_a_held_line_is_left_alone_until_its_time(self, log: EventLog, outbox: Outbox) -> None:
        hook = await outbox.add_webhook(HOOK)
        await log.write("one", "two")
        await deliver(outbox, hook.kf_id, Outcome(taken=False, error="no answer"))
        held = await outbox.webhook(hook.kf_id)
        assert (held.failures, held.held_until) == (1, NOW + timedelta(seconds=5))
        assert await outbox.owed(NOW + timedelta(seconds=4.9), alone=True) == []
        assert (await claim(outbox, hook.kf_id)).line == ()
        assert await outbox.owed(NOW + timedelta(seconds=5), alone=True) == [hook.kf_id]
        batch = await claim(outbox, hook.kf_id, after=MINUTE)
        assert [(one.event.message, one.attempts, one.error) for one in batch.line] == [
            ("one", 1, "no answer"),
            ("two", 0, ""),
        ]

    @with_log
    async def test_what_was_set_aside_comes_when_it_is_due(self, log: EventLog, outbox: Outbox) -> None:
        hook = await outbox.add_webhook(HOOK)
        (event,) = await log.write("indigestible")
        batch = await claim(outbox, hook.kf_id)
        aside = replace(batch.line[0], attempts=5, due_at=NOW + MINUTE, tried_at=NOW, status=422, error="HTTP 422")
        await outbox.record(replace(batch.receiver, cursor=event.position), (aside,))
        assert await outbox.owed(NOW, alone=True) == []
        assert await outbox.owed(NOW + MINUTE, alone=True) == [hook.kf_id]
        due = await claim(outbox, hook.kf_id, after=MINUTE)
        assert (due.aside, due.line) == ((aside,), ())
        receiver, after = tried_aside(due.receiver, due.aside[0], TAKEN, NOW + MINUTE)
        await outbox.record(receiver, (after,))
        assert await outbox.owed(NOW + 2 * MINUTE, alone=True) == []
        page = await outbox.deliveries(hook.kf_id, PageOf())
        assert page.rows == (after,)

    @with_log
    async def test_the_log_of_deliveries_is_newest_first_by_state_and_in_pages(
        self, log: EventLog, outbox: Outbox
    ) -> None:
        hook, other = await outbox.add_webhook(HOOK), await outbox.add_webhook(HOOK)
        await log.write("one", "two", "three")
        await deliver(outbox, hook.kf_id, TAKEN, TAKEN, CHOKED)
        page = await outbox.deliveries(hook.kf_id, PageOf(2))
        assert (told(page.rows), page.count) == (["three", "two"], 3)
        assert told((await outbox.deliveries(hook.kf_id, PageOf(2, 2))).rows) == ["one"]
        waiting = await outbox.deliveries(hook.kf_id, PageOf(), DeliveryState.WAITING)
        assert [(one.status, one.attempts, one.tried_at) for one in waiting.rows] == [(422, 1, NOW)]
        assert (await outbox.deliveries(other.kf_id, PageOf())).rows == ()

    @with_log
    async def test_a_redelivery_has_a_new_day_and_leaves_the_line_alone(self, log: EventLog, outbox: Outbox) -> None:
        old = (await log.write("before it was registered"))[0]
        hook = await outbox.add_webhook(HOOK)
        one, two = await log.write("one", "two")
        await deliver(outbox, hook.kf_id, TAKEN)
        later = NOW + 100 * MINUTE
        for event in (old, one):
            again = await outbox.redeliver(hook.kf_id, event.kf_id, later)
            assert again == Delivery(event, later, due_at=later)
        assert (await outbox.redeliver(hook.kf_id, two.kf_id, later)).due_at is None
        batch = await claim(outbox, hook.kf_id, after=100 * MINUTE)
        assert (told(batch.aside), told(batch.line)) == (["before it was registered", "one"], ["two"])

    @with_log
    async def test_asking_for_redelivery_of_the_first_in_a_held_line_tries_it_at_once(
        self, log: EventLog, outbox: Outbox
    ) -> None:
        hook = await outbox.add_webhook(HOOK)
        (event,) = await log.write("one")
        await deliver(outbox, hook.kf_id, Outcome(taken=False, status=503))
        assert await outbox.owed(NOW, alone=True) == []
        await outbox.redeliver(hook.kf_id, event.kf_id, NOW)
        assert told((await claim(outbox, hook.kf_id)).line) == ["one"]

    @with_log
    async def test_an_edit_voids_what_is_being_tried(self, log: EventLog, outbox: Outbox) -> None:
        hook = await outbox.add_webhook(HOOK)
        await log.write("one")
        batch = await claim(outbox, hook.kf_id)
        edited = await outbox.edit_webhook(hook.kf_id, {"target": "https://other.example.org"})
        assert edited.target == "https://other.example.org"
        with pytest.raises(LeaseLost):
            await outbox.record(batch.receiver, ())
        assert (await claim(outbox, hook.kf_id)).receiver.target == "https://other.example.org"

    @with_log
    async def test_one_that_is_switched_on_again_begins_with_the_next_event(
        self, log: EventLog, outbox: Outbox
    ) -> None:
        hook = await outbox.add_webhook(HOOK)
        await log.write("one")
        batch = await claim(outbox, hook.kf_id)
        off = replace(batch.receiver, enabled=False, disabled_because="It answered 410.")
        await outbox.record(off, ())
        assert (await outbox.webhook(hook.kf_id)).disabled_because == "It answered 410."
        assert await outbox.owed(NOW, alone=True) == []
        assert await outbox.claim(hook.kf_id, "me", NOW, until=NOW + MINUTE, alone=True) is None
        on = await outbox.edit_webhook(hook.kf_id, {"enabled": True})
        assert (on.enabled, on.disabled_because) == (True, "")
        assert await outbox.owed(NOW, alone=True) == []
        await log.write("two")
        assert told((await claim(outbox, hook.kf_id)).line) == ["two"]

    @with_log
    async def test_a_deleted_webhook_is_gone_with_its_deliveries(self, log: EventLog, outbox: Outbox) -> None:
        hook = await outbox.add_webhook(HOOK)
        await log.write("one", "two")
        await deliver(outbox, hook.kf_id, TAKEN)
        batch = await claim(outbox, hook.kf_id)
        await outbox.delete_webhook(hook.kf_id)
        with pytest.raises(LeaseLost):
            await outbox.record(batch.receiver, ())
        assert (await outbox.webhooks(PageOf())).rows == ()
        for use in (
            outbox.webhook(hook.kf_id),
            outbox.delete_webhook(hook.kf_id),
            outbox.edit_webhook(hook.kf_id, {"enabled": True}),
            outbox.deliveries(hook.kf_id, PageOf()),
            outbox.redeliver(hook.kf_id, "EV_00000000", NOW),
        ):
            with pytest.raises(NotFound):
                await use

    @with_log
    async def test_webhooks_are_listed_newest_first_and_without_the_topic(self, log: EventLog, outbox: Outbox) -> None:
        await outbox.set_topic(ARN, NOW)
        hooks = [await outbox.add_webhook(HOOK) for _ in range(3)]
        page = await outbox.webhooks(PageOf(2))
        assert ([hook.kf_id for hook in page.rows], page.count) == ([hooks[2].kf_id, hooks[1].kf_id], 3)
        await log.write("one")
        topic_id = (await outbox.owed(NOW, alone=True))[0]
        with pytest.raises(NotFound):
            await outbox.webhook(topic_id)

    @with_log
    async def test_one_topic_is_served_and_only_while_it_is_the_one(self, log: EventLog, outbox: Outbox) -> None:
        await outbox.set_topic(ARN, NOW)
        await log.write("one")
        await outbox.set_topic(ARN, NOW)
        (first,) = await outbox.owed(NOW, alone=True)
        batch = await claim(outbox, first)
        assert (batch.receiver.kind, batch.receiver.target, told(batch.line)) == (ReceiverKind.TOPIC, ARN, ["one"])
        await outbox.set_topic(f"{ARN}-new", NOW)
        await log.write("two")
        (second,) = await outbox.owed(NOW, alone=True)
        assert (second != first, told((await claim(outbox, second)).line)) == (True, ["two"])
        await outbox.set_topic(None, NOW)
        assert await outbox.owed(NOW, alone=True) == []
        await outbox.set_topic(ARN, NOW)
        assert await outbox.owed(NOW, alone=True) == []
        await log.write("three")
        assert told((await claim(outbox, first)).line) == ["three"]

    @with_log
    async def test_the_backlog_counts_what_is_not_done_with(self, log: EventLog, outbox: Outbox) -> None:
        assert dict(await outbox.backlog()) == {}
        await outbox.set_topic(ARN, NOW)
        hook = await outbox.add_webhook(HOOK)
        await outbox.edit_webhook((await outbox.add_webhook(HOOK)).kf_id, {"enabled": False})
        one, *_ = await log.write("one", "two", "three")
        await deliver(outbox, hook.kf_id, TAKEN)
        await outbox.redeliver(hook.kf_id, one.kf_id, NOW)
        assert dict(await outbox.backlog()) == {"topic": 3, "webhook": 3}

    @with_log
    async def test_no_event_is_passed_over_while_many_are_written(self, log: EventLog, outbox: Outbox) -> None:
        """Positions are given before the commit; one that was committed behind the cursor would be lost."""
        hook = await outbox.add_webhook(HOOK)
        logs = [await event_log(log.store) for _ in range(8)]
        seen: list[str] = []

        async def write(one: EventLog, n: int) -> None:
            for m in range(10):
                await one.write(f"{n} {m}")

        async def follow() -> None:
            while len(seen) < 80:
                batch = await claim(outbox, hook.kf_id)
                seen.extend(told(batch.line))
                cursor = batch.line[-1].event.position if batch.line else batch.receiver.cursor
                await outbox.record(replace(batch.receiver, cursor=cursor), ())
                await asyncio.sleep(0)

        async with asyncio.timeout(30):
            await asyncio.gather(follow(), *(write(one, n) for n, one in enumerate(logs)))
        assert sorted(seen) == sorted(f"{n} {m}" for n in range(8) for m in range(10))
        assert [text for text in seen if text.startswith("3 ")] == [f"3 {m}" for m in range(10)]

    @with_log
    async def test_a_redelivery_of_an_event_that_is_none_is_refused(self, log: EventLog, outbox: Outbox) -> None:
        hook = await outbox.add_webhook(HOOK)
        with pytest.raises(NotFound, match=r"There is no event EV_00000000\."):
            await outbox.redeliver(hook.kf_id, "EV_00000000", NOW)


class TestMemory(InMemory, OutboxContract):
    """In memory."""


class TestSqlite(OnSqlite, OutboxContract):
    """On SQLite."""


class TestPostgres(OnPostgres, OutboxContract):
    """On Postgres."""
